package natsfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrUnsupported is returned for a stream whose files are compressed or encrypted.
var ErrUnsupported = errors.New("compressed or encrypted stream")

// Part is the part of a stream's files that is damaged.
type Part int

// The parts of a stream's files.
const (
	Messages Part = iota // a file of messages
	Index                // computed from the messages; the server writes it again
	Settings             // without them the server ignores the stream until a program creates it again; its messages are kept
)

// Damage is a run of bytes in a file of messages that holds no valid record, or another file whose checksum is wrong. Without a
// length, it is the end of the messages, which is missing.
type Damage struct {
	Stream string
	Part   Part
	File   string
	Offset int64
	Length int64

	// After is the sequence of the last valid record before the damage, 0 if there is none in the stream. Before is the
	// sequence of the next valid one; at the end of the stream it is the one after the last known sequence. The sequences
	// between the two are lost. Both are 0 for another part than messages.
	After, Before uint64
	// Incomplete is a record at the end of the stream that was not written completely, because the process or the machine stopped
	// during the write. It is no loss: a message is acknowledged only after it is on disk. Before is 0.
	Incomplete bool
}

// Loss reports whether messages or settings are lost.
func (d Damage) Loss() bool {
	return d.Part == Settings || d.Part == Messages && !d.Incomplete && d.Before != d.After+1
}

// String describes the damage and what is lost.
func (d Damage) String() string {
	name := filepath.Base(d.File)
	switch {
	case d.Part == Index:
		return fmt.Sprintf("stream %s: %s does not match its checksum and is computed again", d.Stream, name)
	case d.Part == Settings:
		return fmt.Sprintf("stream %s: %s does not match its checksum in meta.sum: the stream is created again with its messages; limits set by an operator are lost", d.Stream, name)
	case d.Incomplete:
		return fmt.Sprintf("stream %s: the write after sequence %d was interrupted; no acknowledged message is lost", d.Stream, d.After)
	}
	lost := fmt.Sprintf("sequences %d to %d are lost", d.After+1, d.Before-1)
	switch d.Before {
	case d.After + 1:
		lost = "no sequence is lost"
	case d.After + 2:
		lost = fmt.Sprintf("sequence %d is lost", d.After+1)
	}
	if d.Length == 0 {
		return fmt.Sprintf("stream %s: the end of its messages is missing: %s", d.Stream, lost)
	}
	return fmt.Sprintf("stream %s: %s is damaged at byte %d: %s", d.Stream, name, d.Offset, lost)
}

// Check verifies the settings, the index and every message of every stream below dir, the store directory of a stopped
// nats-server, and returns the damage that it finds. progress, if not nil, is called after each file of messages with the bytes
// read so far and in total. With the damage of the other streams it returns [ErrUnsupported] if it cannot read a stream.
func Check(ctx context.Context, dir string, progress func(done, total int64)) ([]Damage, error) {
	streams, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "[^.]*")) // a dot marks one that is being deleted
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	files := make([][]string, len(streams))
	var done, total int64
	for i, stream := range streams {
		var size int64
		if files[i], size, err = blocks(stream); err != nil {
			return nil, fmt.Errorf("list messages of stream %s: %w", filepath.Base(stream), err)
		}
		total += size
	}
	var all []Damage
	var unsupported []error
	for i, stream := range streams {
		damage, err := checkStream(ctx, stream, files[i], func(size int64) {
			if done += size; progress != nil {
				progress(done, total)
			}
		})
		switch {
		case errors.Is(err, ErrUnsupported):
			unsupported = append(unsupported, err)
		case err != nil:
			return nil, fmt.Errorf("check stream %s: %w", filepath.Base(stream), err)
		}
		all = append(all, damage...)
	}
	return all, errors.Join(unsupported...)
}

// checkStream checks the stream in a directory. read is called with the size of each file of messages.
func checkStream(ctx context.Context, dir string, files []string, read func(size int64)) ([]Damage, error) {
	s, err := newScan(dir)
	if err != nil {
		return nil, err
	}
	end := Damage{Stream: s.stream, File: filepath.Join(dir, "msgs")}
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		size, err := s.file(file)
		if err != nil {
			return s.damage, err
		}
		read(size)
		end.File, end.Offset = file, size
	}
	return s.end(end), nil
}

// blocks lists the files of messages of a stream in the order in which they were written, with their size together.
func blocks(stream string) (files []string, size int64, err error) {
	entries, err := os.ReadDir(filepath.Join(stream, "msgs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, 0, err
	}
	number := map[string]int{}
	for _, e := range entries {
		name, isBlock := strings.CutSuffix(e.Name(), ".blk")
		n, err := strconv.Atoi(name)
		if !isBlock || err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, 0, err
		}
		file := filepath.Join(stream, "msgs", e.Name())
		files, number[file], size = append(files, file), n, size+info.Size()
	}
	slices.SortFunc(files, func(a, b string) int { return number[a] - number[b] })
	return files, size, nil
}

// scan reads the files of one stream in order.
type scan struct {
	stream  string
	last    uint64 // the last valid sequence
	deleted uint64 // the last sequence that a tombstone deletes
	indexed uint64 // the last sequence according to the index; 0 without a valid index
	damage  []Damage
}

func newScan(dir string) (*scan, error) {
	s := &scan{stream: filepath.Base(dir)}
	if _, err := os.Stat(filepath.Join(dir, "meta.key")); err == nil {
		return nil, fmt.Errorf("stream %s: %w", s.stream, ErrUnsupported)
	}
	err := s.settings(dir)
	if err == nil {
		err = s.index(filepath.Join(dir, "msgs", indexName))
	}
	return s, err
}

// file reads one file of at most the broker's block size, which is 8 MiB by default.
func (s *scan) file(name string) (size int64, err error) {
	buf, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	if bytes.HasPrefix(buf, []byte("cmp")) { // the mark of a compressed file
		return 0, fmt.Errorf("%s: %w", name, ErrUnsupported)
	}
	r, err := newReader(s.stream, name)
	if err != nil {
		return 0, err
	}
	for at := 0; at < len(buf); {
		if rec, ok := r.record(buf[at:]); ok {
			s.valid(rec)
			at += rec.size
			continue
		}
		next := r.next(buf, at)
		s.damage = append(s.damage, Damage{Stream: s.stream, File: name, Offset: int64(at), Length: int64(next - at), After: s.last,
			Incomplete: next == len(buf) && r.incomplete(buf[at:])})
		at = next
	}
	return int64(len(buf)), nil
}

// valid records a valid record: the damage before it ends there.
func (s *scan) valid(rec record) {
	if s.deleted = max(s.deleted, rec.deleted); rec.sequence == 0 {
		return
	}
	for i := len(s.damage) - 1; i >= 0 && s.damage[i].Part == Messages && s.damage[i].Before == 0; i-- {
		s.damage[i].Before, s.damage[i].Incomplete = rec.sequence, false
	}
	s.last = max(s.last, rec.sequence)
}

// end returns all damage. Damage at the end reaches to the last sequence of the index, which may have been written after it, and
// is at least one message unless the record is incomplete. If the files end before that sequence without damage, their end,
// missing, is the damage.
func (s *scan) end(missing Damage) []Damage {
	known := max(s.last, s.deleted)
	for i := range s.damage {
		d := &s.damage[i]
		if d.Part != Messages || d.Before > 0 || d.Incomplete && s.indexed <= s.last {
			continue
		}
		d.Before, d.Incomplete = max(s.indexed, s.last+1)+1, false
		known = max(known, d.Before-1)
	}
	if known < s.indexed {
		missing.After, missing.Before = known, s.indexed+1
		return append(s.damage, missing)
	}
	return s.damage
}

// next returns where the next valid record after a damaged one begins, or the end.
func (r *reader) next(buf []byte, damaged int) int {
	for at := damaged + 1; at <= len(buf)-minSize; at++ {
		if _, ok := r.record(buf[at:]); ok {
			return at
		}
	}
	return len(buf)
}
