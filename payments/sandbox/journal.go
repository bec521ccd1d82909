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

// span is where bytes lie in their transaction. Answers and event snapshots are
// spans of object lines, so that nothing is kept twice.
type span struct {
	at   int64
	size int32
}

// appendLine adds one line to a transaction's buffer and returns the span of
// its data.
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
	buf = append(buf, '}', '\n')
	return buf, body, nil
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

// replay hands every line to apply, oldest first, with where its transaction
// begins, and cuts off what a killed process left unfinished. The line is
// apply's for the call only.
func (j *journal) replay(apply func(at int64, l line) error) error {
	reader := bufio.NewReaderSize(io.NewSectionReader(j.store, 0, j.size), longestLine)
	var pending record
	var committed int64
	for {
		raw, err := reader.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read sandbox journal at %d: %w", committed+int64(len(pending)), err)
		}
		if pending = append(pending, raw...); !bytes.Equal(raw, endLine) {
			continue
		}
		if err := pending.each(committed, apply); err != nil {
			return err
		}
		committed += int64(len(pending))
		pending = pending[:0]
	}
	// What is unfinished is dropped, but only if it is ours.
	if err := pending.each(committed, func(int64, line) error { return nil }); err != nil {
		return err
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

// read returns the transaction that was committed at a place. It is safe for
// concurrent use.
func (j *journal) read(at int64) (record, error) {
	for size := commonSize; ; size *= 4 {
		buf := make([]byte, size)
		n, err := j.store.ReadAt(buf, at)
		if r, ok := firstRecord(buf[:n]); ok {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read sandbox journal at %d: %w", at, err)
		}
	}
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
