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

// Damage is a run of bytes in a file of messages that holds no valid record.
type Damage struct {
	Stream string
	File   string
	Offset int64
	Length int64

	// After is the sequence of the last valid record before the damage, 0 if there is none in the stream. Before is the
	// sequence of the next valid one, 0 at the end of the stream. The sequences between the two are lost.
	After, Before uint64
}

// End reports whether nothing valid follows. A crash during a write leaves such an end, without a loss: a message is
// acknowledged only after it is on disk. Damage of the last messages looks the same.
func (d Damage) End() bool { return d.Before == 0 }

// String describes the damage and the sequences that are lost.
func (d Damage) String() string {
	lost := fmt.Sprintf("sequences %d to %d are lost", d.After+1, d.Before-1)
	switch {
	case d.End():
		lost = fmt.Sprintf("nothing after sequence %d can be read", d.After)
	case d.Before == d.After+1:
		lost = "no sequence is lost"
	case d.Before == d.After+2:
		lost = fmt.Sprintf("sequence %d is lost", d.After+1)
	}
	return fmt.Sprintf("stream %s: %s is damaged at byte %d: %s", d.Stream, d.File, d.Offset, lost)
}

// Check verifies every message below dir, the store directory of a stopped nats-server, and returns the damage that it
// finds. progress, if not nil, is called after each file with the bytes read so far and in total. It returns
// [ErrUnsupported] if it cannot read a stream.
func Check(ctx context.Context, dir string, progress func(done, total int64)) ([]Damage, error) {
	streams, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*"))
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	var files [][]string
	var done, total int64
	for _, stream := range streams {
		list, size, err := blocks(stream)
		if err != nil {
			return nil, fmt.Errorf("list messages of stream %s: %w", filepath.Base(stream), err)
		}
		files, total = append(files, list), total+size
	}
	var all []Damage
	for i, stream := range streams {
		s, err := newScan(stream)
		if err != nil {
			return nil, err
		}
		for _, file := range files[i] {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			size, err := s.file(file)
			if err != nil {
				return nil, fmt.Errorf("check stream %s: %w", s.stream, err)
			}
			if done += size; progress != nil {
				progress(done, total)
			}
		}
		all = append(all, s.damage...)
	}
	return all, nil
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
	stream string
	last   uint64 // the last valid sequence
	damage []Damage
}

func newScan(dir string) (*scan, error) {
	name := filepath.Base(dir)
	if _, err := os.Stat(filepath.Join(dir, "meta.key")); err == nil {
		return nil, fmt.Errorf("stream %s: %w", name, ErrUnsupported)
	}
	return &scan{stream: name}, nil
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
		s.damage = append(s.damage, Damage{Stream: s.stream, File: name, Offset: int64(at), Length: int64(next - at), After: s.last})
		at = next
	}
	return int64(len(buf)), nil
}

// valid records a valid record: the damage before it ends there.
func (s *scan) valid(rec record) {
	if rec.sequence == 0 {
		return
	}
	for i := len(s.damage) - 1; i >= 0 && s.damage[i].Before == 0; i-- {
		s.damage[i].Before = rec.sequence
	}
	s.last = max(s.last, rec.sequence)
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
