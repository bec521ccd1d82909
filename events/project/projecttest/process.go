package projecttest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// Process runs a worker until the test ends or stops it.
type Process struct {
	*worker.Worker

	cancel context.CancelFunc
	done   chan struct{}
}

// Start runs a worker on a log.
func Start(t testing.TB, l *eventlog.Log, config worker.Config) *Process {
	t.Helper()
	w, err := worker.New(t.Context(), l, config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := &Process{Worker: w, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if err := w.Run(ctx); err != nil {
			t.Errorf("run worker: %v", err)
		}
	}()
	t.Cleanup(p.Stop)
	return p
}

// Terminate tells the worker to stop.
func (p *Process) Terminate() { p.cancel() }

// Stop tells the worker to stop, and waits until it has stopped.
func (p *Process) Stop() { p.cancel(); <-p.done }

// Await polls until a condition holds.
func Await(t testing.TB, condition string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("timed out waiting until %s", condition)
		}
	}
}

// End returns the sequence of the last message of a log.
func End(t testing.TB, l *eventlog.Log) uint64 {
	t.Helper()
	last, err := l.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// Messages reads a log message by message, unlike the lane of the archive.
func Messages(t testing.TB, l *eventlog.Log) (all []archive.Archived) {
	t.Helper()
	for sequence := uint64(1); ; sequence++ {
		m, err := l.Get(t.Context(), sequence)
		if errors.Is(err, eventlog.ErrNotFound) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, archive.From(m))
	}
}

// Archived reads an archive from its beginning.
func Archived(t testing.TB, a *archive.Archive) (all []archive.Archived) {
	t.Helper()
	if err := a.Each(t.Context(), 0, func(m archive.Archived) error { all = append(all, m); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// CheckArchive fails the test unless the archive in a database equals the log, byte by byte, with no message in two chunks.
func CheckArchive(t testing.TB, l *eventlog.Log, db *mongo.Database) {
	t.Helper()
	want := Messages(t, l)
	if diff := cmp.Diff(want, Archived(t, archive.New(db))); diff != "" {
		t.Errorf("archive differs from log (-log +archive):\n%s", diff)
	}
	head, err := archive.New(db).Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if last := want[len(want)-1]; head.Last != last.Sequence || head.EventID != last.EventID() {
		t.Errorf("head of the archive: got %+v, want %d with event %s", head, last.Sequence, last.EventID())
	}
	CheckChunks(t, db)
}

// CheckChunks fails the test unless every chunk of an archive begins directly after the one before. [archive.Archive.Each] hides
// overlaps.
func CheckChunks(t testing.TB, db *mongo.Database) {
	t.Helper()
	var chunks []struct {
		ID   string `bson:"_id"`
		Last uint64 `bson:"last"`
	}
	cursor, err := db.Collection(archive.Collection).Find(t.Context(), bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err == nil {
		err = cursor.All(t.Context(), &chunks)
	}
	if err != nil {
		t.Fatal(err)
	}
	next := uint64(1)
	for _, c := range chunks {
		if c.ID == "head" {
			continue
		}
		if want := fmt.Sprintf("%012d", next); c.ID != want {
			t.Errorf("chunk of the archive: got id %s, want %s", c.ID, want)
		}
		next = c.Last + 1
	}
}
