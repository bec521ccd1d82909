package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// journalName is the one file in Config.DataDir.
const journalName = "stripe-sandbox.jsonl"

// The kinds of journal lines. lineEnd closes a transaction: lines after the
// last lineEnd were never answered and are dropped.
const (
	lineIntent    = "intent"
	lineCharge    = "charge"
	lineRefund    = "refund"
	lineEvent     = "event"
	lineAnswer    = "answer"
	lineDelivered = "delivered"
	lineEnd       = "end"
)

// longestLine bounds a journal line. A request is at most 256 KiB, and an answer
// shows at most a page of objects of which each came with one request.
const longestLine = 4 << 20

// dataMark stands between the head of a line and its data. It cannot occur
// inside a JSON string, where the quote would be escaped.
var dataMark = []byte(`,"data":`)

// lineHead is the start of a journal line. The note holds what the public
// object does not show.
type lineHead struct {
	Kind string          `json:"kind"`
	ID   string          `json:"id,omitempty"`
	Note json.RawMessage `json:"note,omitempty"`
}

// span is where bytes lie in the journal. Answers and event snapshots are
// spans of object lines, so that nothing is kept twice, on disk or in memory.
type span struct {
	at   int64
	size int32
}

// moved turns a span relative to a transaction into one of the journal.
func (s span) moved(start int64) span { return span{at: s.at + start, size: s.size} }

// entry is one committed line as read back. at is where its transaction
// starts, which spans inside notes are relative to.
type entry struct {
	lineHead
	line, data span
	at         int64
}

// appendLine adds one line to a transaction's buffer and returns the spans of
// the line and of its data, relative to the buffer.
func appendLine(buf []byte, head lineHead, data []byte) (out []byte, line, body span, err error) {
	start := len(buf)
	encoded, err := json.Marshal(head)
	if err != nil {
		return buf, span{}, span{}, fmt.Errorf("encode journal line %s %s: %w", head.Kind, head.ID, err)
	}
	buf = append(buf, encoded[:len(encoded)-1]...)
	if data != nil {
		buf = append(buf, dataMark...)
		body = span{at: int64(len(buf)), size: int32(len(data))}
		buf = append(buf, data...)
	}
	buf = append(buf, '}', '\n')
	return buf, span{at: int64(start), size: int32(len(buf) - start)}, body, nil
}

// storage is what a journal needs of a file.
type storage interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
}

// journal is an append-only file of transactions. Its methods but read are
// called by one goroutine at a time.
type journal struct {
	store  storage
	size   int64
	broken error
}

// openJournal opens or creates the journal in dir; "" keeps it in memory.
func openJournal(dir string) (*journal, error) {
	if dir == "" {
		return &journal{store: &memory{}}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create sandbox data folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, journalName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open sandbox journal: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("measure sandbox journal: %w", err), file.Close())
	}
	return &journal{store: file, size: info.Size()}, nil
}

// replay hands every committed line to apply, oldest first, and cuts off what
// a killed process left unfinished.
func (j *journal) replay(apply func(entry) error) error {
	reader := bufio.NewReaderSize(io.NewSectionReader(j.store, 0, j.size), longestLine)
	var pending []entry
	var at, committed int64
	for {
		line, err := reader.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read sandbox journal at %d: %w", at, err)
		}
		e, err := parseLine(line, at)
		if err != nil {
			return fmt.Errorf("%w: line at byte %d: %w", ErrJournal, at, err)
		}
		at += int64(len(line))
		if e.Kind != lineEnd {
			e.at = committed
			pending = append(pending, e)
			continue
		}
		for _, e := range pending {
			if err := apply(e); err != nil {
				return fmt.Errorf("%w: %s %s: %w", ErrJournal, e.Kind, e.ID, err)
			}
		}
		pending, committed = pending[:0], at
	}
	return j.cut(committed)
}

func (j *journal) cut(size int64) error {
	if size == j.size {
		return nil
	}
	if err := j.store.Truncate(size); err != nil {
		return fmt.Errorf("cut unfinished tail of sandbox journal: %w", err)
	}
	j.size = size
	return nil
}

// Where the parts of a line's head begin. Lines are taken apart by hand because
// a restart reads millions of them.
var (
	kindMark = []byte(`{"kind":`)
	idMark   = []byte(`,"id":`)
	noteMark = []byte(`,"note":`)
)

func parseLine(line []byte, at int64) (entry, error) {
	e := entry{line: span{at: at, size: int32(len(line))}}
	head, ok := bytes.CutSuffix(line, []byte("}\n"))
	if i := bytes.Index(line, dataMark); i >= 0 {
		start := i + len(dataMark)
		e.data = span{at: at + int64(start), size: int32(len(head) - start)}
		head = head[:i]
	}
	kind, rest, err := cutString(head, kindMark)
	if err == nil && bytes.HasPrefix(rest, idMark) {
		e.ID, rest, err = cutString(rest, idMark)
	}
	if err != nil || !ok {
		return entry{}, fmt.Errorf("line cannot be read: %w", errors.Join(err, errLine))
	}
	e.Kind = kind
	if note, ok := bytes.CutPrefix(rest, noteMark); ok {
		e.Note = bytes.Clone(note)
	}
	return e, nil
}

var errLine = errors.New("not a line of a sandbox journal")

// cutString reads the JSON string after mark and returns what follows it.
func cutString(b, mark []byte) (value string, rest []byte, err error) {
	b, ok := bytes.CutPrefix(b, mark)
	if !ok || len(b) == 0 || b[0] != '"' {
		return "", nil, errLine
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++ // the next byte is escaped
		case '"':
			if bytes.IndexByte(b[:i], '\\') < 0 {
				return string(b[1:i]), b[i+1:], nil
			}
			err := json.Unmarshal(b[:i+1], &value)
			return value, b[i+1:], err
		}
	}
	return "", nil, errLine
}

// commit appends a transaction and returns where it starts. When it returns an
// error nothing was appended.
func (j *journal) commit(buf []byte) (start int64, err error) {
	if j.broken != nil {
		return 0, j.broken
	}
	start = j.size
	if _, err := j.store.WriteAt(buf, start); err != nil {
		// A half-written transaction has no end line, but the next one would
		// be read as its continuation: take it back or write no more.
		if cutErr := j.store.Truncate(start); cutErr != nil {
			j.broken = fmt.Errorf("take back unfinished journal write: %w", cutErr)
		}
		return 0, fmt.Errorf("write sandbox journal: %w", err)
	}
	j.size += int64(len(buf))
	return start, nil
}

// read returns the bytes of a committed span. It is safe for concurrent use.
func (j *journal) read(s span) ([]byte, error) {
	buf := make([]byte, s.size)
	if _, err := j.store.ReadAt(buf, s.at); err != nil {
		return nil, fmt.Errorf("read sandbox journal at %d: %w", s.at, err)
	}
	return buf, nil
}

func (j *journal) close() error {
	if errors.Is(j.broken, ErrClosed) {
		return nil
	}
	j.broken = ErrClosed
	if err := j.store.Close(); err != nil {
		return fmt.Errorf("close sandbox journal: %w", err)
	}
	return nil
}
