package project_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/embedded"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

func TestDocumentsAndArchiveFollowTheLog(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	for i := range 30 {
		adjust(t, l, "A", 1)
		adjust(t, l, fmt.Sprintf("B%d", i), 2)
	}
	shop.await(t)
	checkDocuments(t, l, db, 31)
	projecttest.CheckArchive(t, l, db)
}

// Rows 26 and 27 of the fault matrix: reading the log again changes no document, and recreates a collection that was dropped.
func TestRereadingTheLogWritesTheSameDocuments(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, db := logtest.OpenOn(t, server), projecttest.Database(t)
	shop := start(t, l, db)
	for i := range 20 {
		adjust(t, l, fmt.Sprintf("S%d", i%5), int64(i))
	}
	shop.await(t)
	want := all[stored](t, db, "stock")
	reread := func() []stored {
		shop.Stop()
		if err := l.JetStream().DeleteKeyValue(t.Context(), "checkpoints"); err != nil {
			t.Fatal(err)
		}
		shop = start(t, logtest.OpenOn(t, server), db)
		shop.await(t)
		return all[stored](t, db, "stock")
	}
	byID := cmpopts.SortSlices(func(a, b stored) bool { return a.ID < b.ID })
	if diff := cmp.Diff(want, reread(), byID); diff != "" {
		t.Errorf("documents after the checkpoints were deleted (-want +got):\n%s", diff)
	}
	if err := db.Collection("stock").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, reread(), byID); diff != "" {
		t.Errorf("documents after the collection was dropped (-want +got):\n%s", diff)
	}
	projecttest.CheckArchive(t, l, db)
}

// Row 26 of the fault matrix: when the whole database was lost, the next start writes every document again.
func TestLostDatabaseIsWrittenAgain(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	shop := start(t, l, projecttest.Database(t))
	for i := range 20 {
		adjust(t, l, fmt.Sprintf("S%d", i%5), int64(i))
	}
	shop.await(t)
	shop.awaitCheckpoint(t)
	shop.Stop()
	l, db := logtest.OpenOn(t, server), projecttest.Database(t)
	start(t, l, db).await(t)
	projecttest.Await(t, "every document is written", func() bool { return len(all[stored](t, db, "stock")) == 5 })
	checkDocuments(t, l, db, 5)
	projecttest.CheckArchive(t, l, db)
}

// Row 23 of the fault matrix: events that are appended while the database is down are written afterwards.
func TestDatabaseOutageIsCaughtUp(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_MONGODB_URI") != "" {
		t.Skip("stops and starts the database itself: only with the embedded one")
	}
	dir := t.TempDir()
	server, err := embedded.StartMongo(embedded.MongoConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	uri := server.URI()
	db, err := project.Connect(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	l := logtest.Open(t)
	shop := start(t, l, db)
	adjust(t, l, "A", 1)
	shop.await(t)
	server.Stop()
	for range 10 {
		adjust(t, l, "A", 1)
	}
	server, err = embedded.StartMongo(embedded.MongoConfig{Dir: dir, Addr: strings.TrimSuffix(strings.TrimPrefix(uri, "mongodb://"), "/")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	shop.await(t)
	want := []stored{{"A", 11, level{OnHand: 11, Moves: 11}}}
	if diff := cmp.Diff(want, all[stored](t, db, "stock")); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
	projecttest.CheckArchive(t, l, db)
}

// An entity that cannot be read keeps its old document and does not block the others. A message that is not an event changes
// nothing. A rebuild gives the same result.
func TestUnreadableEntityKeepsItsDocument(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	adjust(t, l, "A", 1)
	adjust(t, l, "B", 1)
	shop.await(t)
	gap, err := events.Encode(events.Event{ID: "revision-9", Source: "test", Time: time.Now(), Subject: events.PrefixStock + "A", Revision: 9, Payload: adjusted("A", 1)})
	if err != nil {
		t.Fatal(err)
	}
	garbage := &nats.Msg{Subject: events.PrefixStock + "B", Data: []byte("garbage")}
	for _, m := range []*nats.Msg{gap, garbage} {
		if _, err := l.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	adjust(t, l, "C", 1)
	shop.awaitCheckpoint(t)
	want := map[string]stored{"A": {"A", 1, level{1, 1}}, "B": {"B", 4, level{1, 1}}, "C": {"C", 5, level{1, 1}}}
	for _, d := range all[stored](t, db, "stock") {
		if d != want[d.ID] {
			t.Errorf("stored document: got %+v, want %+v", d, want[d.ID])
		}
	}
	if report := rebuild(t, l, db, false); report.Drifted() != 0 || report.Collections[0].Unreadable != 1 || report.Collections[0].Documents != 2 {
		t.Errorf("rebuild: got %+v, want no drift, 1 unreadable entity, 2 documents", report)
	}
	projecttest.CheckArchive(t, l, db)
}

// A lane does not advance before Sync has succeeded: the database may still lose what was written.
func TestLaneWaitsForSync(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	full := errors.New("the disk is full")
	var succeeds atomic.Bool
	sync := func() error {
		if !succeeds.Load() {
			return full
		}
		return nil
	}
	shop := startLanes(t, l, []worker.Batch{stockProjection().Batch(l, project.Config{DB: db, Window: window, Sync: sync}),
		archive.Batch(l, archive.Config{DB: db, Window: window, Sync: sync})})
	adjust(t, l, "A", 1)
	for _, name := range []string{lane, archive.Lane} {
		projecttest.Await(t, name+" reports the full disk", func() bool { return errors.Is(shop.status(name).Problem, full) })
		if got := shop.status(name).Position; got != 0 {
			t.Errorf("position of %s: got %d, want 0", name, got)
		}
	}
	succeeds.Store(true)
	shop.await(t)
	checkDocuments(t, l, db, 1)
	projecttest.CheckArchive(t, l, db)
}
