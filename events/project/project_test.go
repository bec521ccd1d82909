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
	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/embedded"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
)

func TestDocumentsAndArchiveFollowTheLog(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	for i := range 30 {
		move(t, l, "A", 1)
		move(t, l, fmt.Sprintf("B%d", i), 2)
	}
	shop.await(t)
	documentsAreTheLog(t, l, db, 31)
	archiveIsTheLog(t, l, db)
}

// Rows 26 and 27 of the fault matrix: a collection that is gone comes back when the log is read again, and reading again what
// is written changes nothing.
func TestTheStreamAgainGivesTheSameDocuments(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, db := logtest.OpenOn(t, server), projecttest.Database(t)
	shop := start(t, l, db)
	for i := range 20 {
		move(t, l, fmt.Sprintf("S%d", i%5), int64(i))
	}
	shop.await(t)
	before := all[stored](t, db, "stock")
	again := func() []stored {
		shop.stop()
		forget(t, l)
		shop = start(t, logtest.OpenOn(t, server), db) // a process that remembers nothing
		shop.await(t)
		return all[stored](t, db, "stock")
	}
	if diff := cmp.Diff(before, again()); diff != "" {
		t.Errorf("read again: %s", diff)
	}
	if err := db.Collection("stock").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, again(), sortByID()); diff != "" {
		t.Errorf("after the collection was dropped: %s", diff)
	}
	archiveIsTheLog(t, l, db)
}

func sortByID() cmp.Option {
	return cmp.Transformer("byID", func(in []stored) map[string]stored {
		out := make(map[string]stored, len(in))
		for _, s := range in {
			out[s.ID] = s
		}
		return out
	})
}

// Row 23 of the fault matrix: the database is away for a while; what was appended meanwhile arrives.
func TestADatabaseThatComesLateGetsEverything(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_MONGODB_URI") != "" {
		t.Skip("stops and starts the database itself: only with the embedded one")
	}
	dir := t.TempDir()
	server, err := embedded.StartMongo(embedded.MongoConfig{Dir: dir, Addr: "127.0.0.1:0"})
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
	move(t, l, "A", 1)
	shop.await(t)
	server.Stop()
	for range 10 {
		move(t, l, "A", 1)
	}
	server, err = embedded.StartMongo(embedded.MongoConfig{Dir: dir, Addr: strings.TrimSuffix(strings.TrimPrefix(uri, "mongodb://"), "/")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	shop.await(t)
	if got := all[stored](t, db, "stock"); len(got) != 1 || got[0].Doc.OnHand != 11 {
		t.Errorf("stored %+v, want 11 on hand", got)
	}
	archiveIsTheLog(t, l, db)
}

// An entity that cannot be read keeps its old document, and none of the others from being written. What is no event makes no
// difference. A rebuild sees it the same way.
func TestWhatCannotBeReadKeepsItsDocument(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	move(t, l, "A", 1)
	move(t, l, "B", 1)
	shop.await(t)
	fact := events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "A", Quantity: 1}, Reason: "counted"}
	lacking, err := events.Encode(events.Event{ID: "lacking", Source: "test", Time: time.Now(), Subject: events.PrefixStock + "A", Revision: 9, Payload: fact})
	if err != nil {
		t.Fatal(err)
	}
	garbage := &nats.Msg{Subject: events.PrefixStock + "B", Data: []byte("garbage")}
	for _, m := range []*nats.Msg{lacking, garbage} {
		if _, err := l.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	move(t, l, "C", 1)
	shop.awaitCheckpoint(t)
	want := map[string]stored{"A": {"A", 1, level{1, 1}}, "B": {"B", 4, level{1, 1}}, "C": {"C", 5, level{1, 1}}}
	for _, d := range all[stored](t, db, "stock") {
		if d != want[d.ID] {
			t.Errorf("stored %+v, want %+v", d, want[d.ID])
		}
	}
	if report := rebuild(t, l, db, false); report.Drifted() != 0 || report.Collections[0].Unreadable != 1 || report.Collections[0].Documents != 2 {
		t.Errorf("rebuild: %+v", report)
	}
	archiveIsTheLog(t, l, db)
}

// What the database may still lose is not written: no lane moves on before the sync has succeeded.
func TestNothingCountsAsWrittenBeforeTheSync(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	full := errors.New("the disk is full")
	var lasting atomic.Bool
	sync := func() error {
		if !lasting.Load() {
			return full
		}
		return nil
	}
	shop := run(t, l, batches(stockProjection().Batch(l, project.Config{DB: db, Window: window, Sync: sync}),
		archive.Batch(l, archive.Config{DB: db, Window: window, Sync: sync})))
	move(t, l, "A", 1)
	for _, name := range []string{lane, archive.Lane} {
		await(t, name+" waits for the disk", func() bool { return errors.Is(shop.status(name).Problem, full) })
		if at := shop.status(name).Position; at != 0 {
			t.Errorf("%s has moved on to %d", name, at)
		}
	}
	lasting.Store(true)
	shop.await(t)
	documentsAreTheLog(t, l, db, 1)
	archiveIsTheLog(t, l, db)
}
