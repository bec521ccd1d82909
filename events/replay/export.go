package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Export writes the state of the whole shop at a moment: one file of JSON lines for each kind of entity, sorted by subject, one for the
// dead letters, and a manifest. It folds every event again and reads no projection. The same sequence gives the same bytes, whatever
// was appended since.
type Export struct {
	At       Moment // as [Reader.At] has returned it
	Dir      string // must not exist
	Kinds    []Kind
	Log      *Reader
	Progress func(stage string, done, total uint64)

	chunk int // entities folded at a time, which bounds the memory; default chunkSize
}

// chunkSize is the number of entities whose states an export holds at a time: about 200 MB of orders. Each chunk reads the events of
// its kind once.
const chunkSize = 50_000

// Manifest describes an export. It is written last.
type Manifest struct {
	Sequence uint64                  `json:"sequence"`
	Time     time.Time               `json:"time"`     // when the event at the sequence was stored
	Topology int                     `json:"topology"` // of the release that has folded the events
	Files    map[string]ManifestFile `json:"files"`
}

// ManifestFile describes one file of an export.
type ManifestFile struct {
	Entities   int   `json:"entities"`
	Unreadable int   `json:"unreadable"` // entities with an error: an event is missing or cannot be read
	Bytes      int64 `json:"bytes"`
}

// exportedEntity is a line of an export.
type exportedEntity struct {
	ID       string `json:"id"`
	Subject  string `json:"subject"`
	Sequence uint64 `json:"sequence"`
	Revision uint64 `json:"revision"`
	State    any    `json:"state"`
	Error    string `json:"error,omitempty"`
}

// Run writes the export into a directory beside Dir, which becomes Dir when it is complete. It returns [ErrExists] when Dir exists.
func (x Export) Run(ctx context.Context) (Manifest, error) {
	if _, err := os.Lstat(x.Dir); !errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("write the state to %s: %w", x.Dir, errOr(err, ErrExists))
	}
	parent := filepath.Dir(filepath.Clean(x.Dir))
	temporary, err := os.MkdirTemp(parent, "."+filepath.Base(x.Dir)+".incomplete-")
	if err != nil {
		return Manifest{}, fmt.Errorf("write the state to %s: %w", x.Dir, err)
	}
	defer func() { _ = os.RemoveAll(temporary) }() // renamed by then, or of no use
	manifest := Manifest{Sequence: x.At.Sequence, Time: x.At.Time, Topology: events.Topology, Files: map[string]ManifestFile{}}
	for _, k := range x.Kinds {
		if err := x.file(temporary, k.Plural, manifest, func(w *lineWriter) error { return x.kind(ctx, k, w) }); err != nil {
			return Manifest{}, fmt.Errorf("write the state of %s: %w", k.Plural, err)
		}
	}
	if err := x.file(temporary, "dead_letters", manifest, func(w *lineWriter) error { return x.deadLetters(ctx, w) }); err != nil {
		return Manifest{}, fmt.Errorf("write the dead letters: %w", err)
	}
	return manifest, x.finish(temporary, manifest)
}

func errOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// finish writes the manifest and gives the directory its name.
func (x Export) finish(temporary string, manifest Manifest) error {
	data, err := json.MarshalIndent(manifest, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(temporary, "manifest.json"), append(data, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(temporary, x.Dir) // refuses a directory that has content by now
	}
	if err != nil {
		return fmt.Errorf("write the state to %s: %w", x.Dir, err)
	}
	return nil
}

// file writes one file and adds it to the manifest. It contains customers' addresses, so only its owner can read it.
func (x Export) file(dir, name string, manifest Manifest, fill func(*lineWriter) error) error {
	name += ".jsonl"
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := &lineWriter{buffer: bufio.NewWriterSize(file, 1<<20)}
	err = fill(w)
	if err == nil {
		err = w.buffer.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	manifest.Files[name] = w.ManifestFile
	return errors.Join(err, file.Close())
}

// lineWriter writes JSON lines and counts them.
type lineWriter struct {
	ManifestFile
	buffer *bufio.Writer
}

func (w *lineWriter) write(line any) error {
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	n, err := w.buffer.Write(append(data, '\n'))
	w.Bytes += int64(n)
	w.Entities++
	return err
}

// kind writes the entities of one kind, a chunk of their sorted subjects at a time.
func (x Export) kind(ctx context.Context, kind Kind, w *lineWriter) error {
	subjects, err := x.Log.subjects(ctx, kind)
	if err != nil {
		return err
	}
	size := x.chunk
	if size == 0 {
		size = chunkSize
	}
	for from := 0; from == 0 || from < len(subjects); from += size {
		within := func(subject string) bool { return true }
		if len(subjects) > size {
			part := subjects[from:min(from+size, len(subjects))]
			within = func(subject string) bool { return subject >= part[0] && subject <= part[len(part)-1] }
		}
		if err := x.part(ctx, kind, within, w); err != nil {
			return err
		}
	}
	return nil
}

// part writes the entities whose subjects are chosen.
func (x Export) part(ctx context.Context, kind Kind, within func(subject string) bool, w *lineWriter) error {
	folds := map[string]*fold{}
	err := x.Log.EachAsOf(ctx, Range{To: x.At.Sequence, Subjects: []string{kind.wildcard()}}, func(m Message) error {
		if x.Progress != nil && m.Sequence%1024 == 0 {
			x.Progress("write "+kind.Plural, m.Sequence, x.At.Sequence)
		}
		if _, ok := kind.ID(m.Subject); !ok || !within(m.Subject) {
			return nil
		}
		f, known := folds[m.Subject]
		if !known {
			f = &fold{kind: kind}
			folds[m.Subject] = f
		}
		f.add(m)
		return nil
	})
	if err != nil {
		return err
	}
	for _, subject := range sortedKeys(folds) {
		if err := w.entity(subject, folds[subject]); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys(folds map[string]*fold) []string {
	keys := make([]string, 0, len(folds))
	for key := range folds {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// entity writes one entity, unless it has no event.
func (w *lineWriter) entity(subject string, f *fold) error {
	id, _ := f.kind.ID(subject)
	s := f.entityState(id, subject, time.Time{})
	if !s.Exists() && s.Error == "" {
		return nil
	}
	if s.Error != "" {
		w.Unreadable++
	}
	return w.write(exportedEntity{ID: id, Subject: subject, Sequence: s.Sequence, Revision: s.Revision, State: s.Value, Error: s.Error})
}

// deadLetters writes the dead letters in their state at the moment.
func (x Export) deadLetters(ctx context.Context, w *lineWriter) error {
	letters, err := x.Log.DeadLettersAt(ctx, x.At.Time)
	for _, d := range letters {
		err = errors.Join(err, w.write(d))
	}
	return err
}

// subjects returns the subjects of a kind on which the log has messages, sorted.
func (r *Reader) subjects(ctx context.Context, kind Kind) ([]string, error) {
	stream, err := r.js.Stream(ctx, events.StreamShop)
	if err != nil {
		return nil, fmt.Errorf("list the subjects of %s: %w", kind.Plural, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(kind.wildcard()))
	if err != nil {
		return nil, fmt.Errorf("list the subjects of %s: %w", kind.Plural, err)
	}
	subjects := make([]string, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		subjects = append(subjects, subject)
	}
	slices.Sort(subjects)
	return subjects, nil
}
