package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"path/filepath"

	jsonv2 "github.com/go-json-experiment/json"

	"tillstream/events/embedded/journal"
)

// journalName is the file in Config.DataDir.
const journalName = "stripe-sandbox.jsonl"

// The kinds of journal lines. A lineEnd ends a transaction.
const (
	lineIntent    = "intent"
	lineCharge    = "charge"
	lineRefund    = "refund"
	lineEvent     = "event"
	lineAnswer    = "answer"
	lineDelivered = "delivered"
	lineBalance   = "balance"
	lineClock     = "clock"
	lineForeign   = "foreign"
	linePayout    = "payout"
	lineDispute   = "dispute"
	lineTask      = "task"
	lineEnd       = "end"
)

// endLine is the last line of every transaction. endMark finds it: JSON text has no line breaks, so it occurs nowhere else.
const (
	endLine = `{"kind":"` + lineEnd + `"}` + "\n"
	endMark = "\n" + endLine
)

// record is one transaction in the journal. Memory finds an object, an event or an answer by the position of the
// transaction that wrote it last.
type record []byte

// line is one line of a record. The note has the part of the state that the public object does not show. id, note and data point
// into the record.
type line struct {
	kind string
	id   []byte
	note []byte
	data []byte
}

// span locates bytes in their transaction. Answers and event snapshots are spans of object lines, so nothing is stored
// twice.
type span struct {
	at   int64
	size int32
}

// openJournal opens the journal and restores the server's memory from it.
func (s *Server) openJournal() (err error) {
	config := journal.Config{End: endMark, Apply: s.restore, Unfinished: checkLines}
	if s.config.DataDir != "" {
		config.Path = filepath.Join(s.config.DataDir, journalName)
	}
	s.journal, err = journal.Open(config)
	return err
}

func (s *Server) readRecord(at int64) (record, error) {
	r, err := s.journal.Read(at)
	return r, err
}

// checkLines refuses the unfinished end of a file that is not a journal of a sandbox. The last line may be incomplete.
func checkLines(tail []byte) error {
	for _, err := range record(tail[:bytes.LastIndexByte(tail, '\n')+1]).lines() {
		if err != nil {
			return err
		}
	}
	return nil
}

// lines yields the lines of the record without the last. It stops at the first error.
func (r record) lines() iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		for raw := range bytes.Lines(r) {
			if string(raw) == endLine {
				return
			}
			l, err := parseLine(raw)
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// last returns the last of the matching lines.
func (r record) last(match func(line) bool) (found line, err error) {
	err = errMissing
	for l, problem := range r.lines() {
		if problem != nil {
			return line{}, problem
		}
		if match(l) {
			found, err = l, nil
		}
	}
	return found, err
}

// part returns the bytes of a span.
func (r record) part(at int64, size int32) ([]byte, error) {
	if at < 0 || size < 0 || at+int64(size) > int64(len(r)) {
		return nil, fmt.Errorf("%d bytes at %d: %w", size, at, errMissing)
	}
	return r[at : at+int64(size)], nil
}

var (
	errLine    = errors.New("not a line of a sandbox journal")
	errMissing = errors.New("not in its transaction")
)

// lineHead is the start of a line.
type lineHead struct {
	Kind string          `json:"kind"`
	ID   string          `json:"id,omitempty"`
	Note json.RawMessage `json:"note,omitempty"`
}

// The marks before the parts of a line. None occurs inside a JSON string, where quotes are escaped.
var (
	kindMark = []byte(`{"kind":`)
	idMark   = []byte(`,"id":`)
	noteMark = []byte(`,"note":`)
	dataMark = []byte(`,"data":`)
)

// appendLine adds one line to a transaction's buffer and returns the span of its data.
func appendLine(buf []byte, head lineHead, data []byte) (out []byte, body span, err error) {
	encoded, err := json.Marshal(head)
	if err != nil {
		return buf, span{}, fmt.Errorf("encode journal line %s %s: %w", head.Kind, head.ID, err)
	}
	buf = append(buf, encoded[:len(encoded)-1]...)
	if data != nil {
		buf = append(buf, dataMark...)
		body = span{at: int64(len(buf)), size: int32(len(data))}
		buf = append(buf, data...)
	}
	return append(buf, "}\n"...), body, nil
}

// parseLine parses a line without a JSON decoder, because a restart reads millions of lines.
func parseLine(raw []byte) (line, error) {
	head, ok := bytes.CutSuffix(raw, []byte("}\n"))
	var l line
	if i := bytes.Index(head, dataMark); i >= 0 {
		head, l.data = head[:i], head[i+len(dataMark):]
	}
	kind, rest, err := cutString(head, kindMark)
	if err == nil && bytes.HasPrefix(rest, idMark) {
		l.id, rest, err = cutString(rest, idMark)
	}
	if err != nil || !ok {
		return line{}, fmt.Errorf("parse journal line: %w", errors.Join(err, errLine))
	}
	l.kind = kindOf(kind)
	l.note, _ = bytes.CutPrefix(rest, noteMark)
	return l, nil
}

// kindOf returns the constant for a kind, which saves an allocation.
func kindOf(kind []byte) string {
	for _, known := range []string{lineIntent, lineCharge, lineRefund, lineEvent, lineAnswer, lineDelivered, lineTask, lineBalance} {
		if string(kind) == known {
			return known
		}
	}
	return string(kind)
}

// cutString decodes the JSON string after a mark and returns what follows it.
func cutString(b, mark []byte) (value, rest []byte, err error) {
	b, ok := bytes.CutPrefix(b, mark)
	if !ok || len(b) == 0 || b[0] != '"' {
		return nil, nil, errLine
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++ // the next byte is escaped
		case '"':
			if bytes.IndexByte(b[:i], '\\') < 0 {
				return b[1:i], b[i+1:], nil
			}
			var decoded string
			err := json.Unmarshal(b[:i+1], &decoded)
			return []byte(decoded), b[i+1:], err
		}
	}
	return nil, nil, errLine
}

// A note has the state that is stored beside the public object. If a line changes facts that memory holds, its note begins with
// these facts, so a restart decodes only the facts and no objects.

// factsMark begins a note with facts.
var factsMark = []byte(`{"news":`)

type intentNote struct {
	Facts *intentFacts `json:"news,omitempty"`
	intentPrivate
}

// intentFacts are on the first line of an intent, and on later lines that change its metadata.
type intentFacts struct {
	Created int64    `json:"created"`
	Pairs   []uint64 `json:"pairs"` // hashes of new metadata pairs
}

func intentFactsOf(before, in *intent) *intentFacts {
	var pairs []uint64
	for key, value := range in.Metadata {
		if before != nil {
			if old, ok := before.Metadata[key]; ok && old == value {
				continue
			}
		}
		pairs = append(pairs, pairHash(key, value))
	}
	if before != nil && pairs == nil {
		return nil
	}
	return &intentFacts{Created: in.Created, Pairs: pairs}
}

func pairHash(key, value string) uint64 {
	hash := fnv.New64a()
	hash.Write([]byte(key))
	hash.Write([]byte{0})
	hash.Write([]byte(value))
	return hash.Sum64()
}

func decodeIntent(l line) (*intent, error) {
	return decodeWith(l, func(in *intent) any { return &in.private })
}

// decodeWith decodes an object, and its private part from the note.
func decodeWith[T any](l line, private func(*T) any) (*T, error) {
	state, err := decodeObject[T](l)
	if err != nil {
		return nil, err
	}
	return state, jsonv2.Unmarshal(l.note, private(state))
}

type refundNote struct {
	Facts *refundFacts `json:"news,omitempty"`
}

// refundFacts are on every line of a refund; the first one counts.
type refundFacts struct {
	Created       int64  `json:"created"`
	Charge        string `json:"charge"`
	PaymentIntent string `json:"payment_intent"`
}

// readFacts decodes the facts of a line, nil if it has none.
func readFacts[T any](l line) (*T, error) {
	if !bytes.HasPrefix(l.note, factsMark) {
		return nil, nil
	}
	var note struct {
		Facts *T `json:"news"`
	}
	err := jsonv2.Unmarshal(l.note, &note)
	return note.Facts, err
}
