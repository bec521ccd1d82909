package backup

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"tillstream/events"
	"tillstream/events/durable"
)

// Writer writes one backup. It is not safe for concurrent use.
type Writer struct {
	dir      string
	created  bool // the directory did not exist before
	finished bool
	manifest *os.File
	content  Manifest
}

// Create begins a backup in a directory that does not exist or is empty. Otherwise it returns [ErrExists] or [ErrUnfinished] and
// changes nothing. The caller must call Finish or Abandon.
func Create(dir string, begun time.Time) (*Writer, error) {
	dir = filepath.Clean(dir) // the parent of "backups/today/" is "backups" too
	entries, err := os.ReadDir(dir)
	missing := errors.Is(err, os.ErrNotExist)
	if err != nil && !missing {
		return nil, fmt.Errorf("create backup: %w", err)
	}
	if err := checkEmpty(dir, entries); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create backup: %w", err)
	}
	// Of two backups that begin at the same time, one fails here.
	manifest, err := os.OpenFile(filepath.Join(dir, unfinishedFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, errUnfinishedIn(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("create backup: %w", err)
	}
	return &Writer{dir: dir, created: missing, manifest: manifest,
		content: Manifest{Format: Format, Topology: events.Topology, ID: uuid.NewString(), Begun: begun.UTC(), Files: map[string]File{}}}, nil
}

// checkEmpty returns an error when a directory has entries.
func checkEmpty(dir string, entries []os.DirEntry) error {
	for _, e := range entries {
		switch e.Name() {
		case manifestFile:
			return fmt.Errorf("%w: %s contains a backup; name another directory", ErrExists, dir)
		case unfinishedFile:
			return errUnfinishedIn(dir)
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: %s contains %s; name another directory", ErrExists, dir, entries[0].Name())
	}
	return nil
}

func errUnfinishedIn(dir string) error {
	return fmt.Errorf("%w in %s: another ops backup is running there or was interrupted; if none is running, delete the directory and run ops backup again", ErrUnfinished, dir)
}

// Lines writes a file with records: fn calls add with each record.
func (w *Writer) Lines(name string, fn func(add func(record any) error) error) error {
	return w.file(name, func(to io.Writer) (lines uint64, err error) {
		compressor, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		if err != nil {
			return 0, err
		}
		encoder := jsontext.NewEncoder(compressor, jsontext.AllowInvalidUTF8(true))
		err = fn(func(record any) error {
			lines++
			return jsonv2.MarshalEncode(encoder, record, jsonv2.Deterministic(true))
		})
		return lines, errors.Join(err, compressor.Close())
	})
}

// Put writes a file without records.
func (w *Writer) Put(name string, data []byte) error {
	return w.file(name, func(to io.Writer) (uint64, error) {
		_, err := to.Write(data)
		return 0, err
	})
}

// file writes one file, flushes it to disk and adds it to the manifest.
func (w *Writer) file(name string, fill func(io.Writer) (lines uint64, err error)) error {
	file, err := os.OpenFile(filepath.Join(w.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	w.content.Files[name] = File{}
	sum, size := sha256.New(), &counter{}
	lines, err := fill(io.MultiWriter(file, sum, size))
	if err = cmp.Or(err, file.Sync()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	w.content.Files[name] = File{Lines: lines, Bytes: size.bytes, SHA256: hex.EncodeToString(sum.Sum(nil))}
	return nil
}

// counter counts the bytes written to it.
type counter struct{ bytes int64 }

// Write implements [io.Writer].
func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return len(p), nil
}

// Finish completes the backup, which ends at a sequence of the log, and returns when the manifest is on disk.
func (w *Writer) Finish(cut uint64, finished time.Time) (Manifest, error) {
	w.content.Cut, w.content.Finished = cut, finished.UTC()
	if err := w.content.check(); err != nil { // a missing file is reported now, and not during a restore
		return Manifest{}, fmt.Errorf("finish backup: %w", err)
	}
	data, err := json.MarshalIndent(w.content, "", "  ")
	if err == nil {
		_, err = w.manifest.Write(append(data, '\n'))
	}
	if err == nil {
		err = w.manifest.Sync()
	}
	if err = errors.Join(err, w.manifest.Close()); err == nil {
		err = os.Rename(filepath.Join(w.dir, unfinishedFile), filepath.Join(w.dir, manifestFile))
	}
	if err = errors.Join(err, durable.SyncDir(w.dir), durable.SyncDir(filepath.Dir(w.dir))); err != nil {
		return Manifest{}, fmt.Errorf("finish backup: %w", err)
	}
	w.finished = true
	return w.content, nil
}

// Abandon deletes the files of an unfinished backup, and the directory if Create has created it.
func (w *Writer) Abandon() error {
	if w.finished {
		return nil
	}
	var problems []error
	if err := w.manifest.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		problems = append(problems, err)
	}
	// The manifest first and the mark of an unfinished backup last, so that the directory is never mistaken for a complete backup.
	names := append([]string{manifestFile}, slices.Sorted(maps.Keys(w.content.Files))...)
	for _, name := range append(names, unfinishedFile) {
		if err := os.Remove(filepath.Join(w.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	if w.created {
		problems = append(problems, os.Remove(w.dir))
	}
	return errors.Join(problems...)
}
