package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// commonSize is what most transactions fit into, so that one read suffices.
const commonSize = 8 << 10

// record is one transaction as it lies in the journal: its lines, the last of
// which is the end. Memory knows an object, an event or an answer by where the
// transaction begins that last wrote it.
type record []byte

// line is one line of a record, taken apart. All of it is the record's.
type line struct {
	kind string
	id   []byte
	note []byte
	data []byte
}

// endLine is the last line of every record, and endMark how it is found: a
// line's text has no line breaks, so nothing else looks like it.
var (
	endMark = []byte("\n" + `{"kind":"` + lineEnd + `"}` + "\n")
	endLine = endMark[1:]
)

// firstRecord cuts off what follows the transaction that b begins with; it is
// not ok when the end is missing.
func firstRecord(b []byte) (_ record, ok bool) {
	end := bytes.Index(b, endMark)
	if end < 0 {
		return nil, false
	}
	return b[:end+len(endMark)], true
}

// lines takes the record apart, without its end. It ends with the first error.
func (r record) lines() iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		for raw := range bytes.Lines(r) {
			if bytes.Equal(raw, endLine) {
				return
			}
			l, err := parseLine(raw)
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// each hands the lines of a record that begins at a place to apply.
func (r record) each(at int64, apply func(at int64, l line) error) error {
	for l, err := range r.lines() {
		if err == nil {
			err = apply(at, l)
		}
		if err != nil {
			return fmt.Errorf("%w: transaction at byte %d: %s %s: %w", ErrJournal, at, l.kind, l.id, err)
		}
	}
	return nil
}

// last finds what was written last of those lines that are wanted.
func (r record) last(wanted func(line) bool) (found line, err error) {
	err = errMissing
	for l, problem := range r.lines() {
		if problem != nil {
			return line{}, problem
		}
		if wanted(l) {
			found, err = l, nil
		}
	}
	return found, err
}

// part returns what a note refers to.
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

// Where the parts of a line's head begin. Lines are taken apart by hand because
// a restart reads millions of them.
var (
	kindMark = []byte(`{"kind":`)
	idMark   = []byte(`,"id":`)
	noteMark = []byte(`,"note":`)
)

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
		return line{}, fmt.Errorf("line cannot be read: %w", errors.Join(err, errLine))
	}
	l.kind = kindOf(kind)
	l.note, _ = bytes.CutPrefix(rest, noteMark)
	return l, nil
}

// kindOf makes a string of a kind without asking for memory, if it is one.
func kindOf(kind []byte) string {
	for _, known := range []string{lineIntent, lineCharge, lineRefund, lineEvent, lineAnswer, lineDelivered} {
		if string(kind) == known {
			return known
		}
	}
	return string(kind)
}

// cutString reads the JSON string after mark and returns what follows it.
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
