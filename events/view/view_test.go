package view_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/embedded"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/view"
	"tillstream/events/view/viewtest"
)

type level struct {
	OnHand int64 `json:"on_hand"`
	Moves  int   `json:"moves"`
}

var levels = log.Kind[level]{Stream: events.StreamInventory, Prefix: events.PrefixStock,
	Evolve: func(s level, e events.Event) (level, error) {
		moved := e.Payload.(events.StockAdjusted)
		return level{OnHand: s.OnHand + moved.Quantity, Moves: s.Moves + 1}, nil
	}}

func stockView() view.View {
	return view.View{Name: "stock-view", Stream: events.StreamInventory, Archive: "stock_archive", Collections: []view.Collection{
		view.Of("stock", levels, func(_ string, s level) any { return s }, view.Index{Keys: []string{"-doc.on_hand"}})}}
}

func move(t testing.TB, l *log.Log, sku string, quantity int64) {
	t.Helper()
	fact := events.StockAdjusted{StockMovement: events.StockMovement{SKU: sku, Quantity: quantity}, Reason: "counted", By: "test"}
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return levels.Append(tx, sku, fact) }); err != nil {
		t.Fatal(err)
	}
}

func remember(t testing.TB, l *log.Log, db *mongo.Database) (stop func()) {
	t.Helper()
	return keep(t, view.New(l, stockView(), view.Config{DB: db, Window: 20 * time.Millisecond}))
}

// keep runs a view until the test ends, or stops it.
func keep(t testing.TB, r *view.Rememberer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

type stored struct {
	ID  string `bson:"_id"`
	Seq uint64 `bson:"seq"`
	Doc level  `bson:"doc"`
}

func all[T any](t testing.TB, db *mongo.Database, collection string) []T {
	t.Helper()
	cursor, err := db.Collection(collection).Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var documents []T
	if err := cursor.All(t.Context(), &documents); err != nil {
		t.Fatal(err)
	}
	return documents
}

// await polls until the archive holds n messages: it is written before the documents are, and acknowledged after.
func await(t testing.TB, what string, reached func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for ticker := time.NewTicker(20 * time.Millisecond); !reached(); {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("never reached: ", what)
		}
	}
}

func acknowledged(t testing.TB, l *log.Log) func() bool {
	return func() bool {
		c, err := l.JetStream().Consumer(t.Context(), events.StreamInventory, "stock-view")
		if err != nil {
			return false
		}
		done, err := logtest.CaughtUp(t.Context(), l.JetStream(), c.CachedInfo())
		return err == nil && done && c.CachedInfo().Delivered.Consumer > 0
	}
}

func TestDocumentsAndArchiveFollowTheLog(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), viewtest.Database(t)
	remember(t, l, db)
	for i := range 30 {
		move(t, l, "A", 1)
		move(t, l, fmt.Sprintf("B%d", i), 2)
	}
	await(t, "caught up", acknowledged(t, l))
	documents := all[stored](t, db, "stock")
	if len(documents) != 31 {
		t.Fatalf("%d documents, want 31", len(documents))
	}
	for _, d := range documents {
		state, seq, err := levels.Read(t.Context(), l, d.ID)
		if err != nil || d.Seq != seq || d.Doc != state {
			t.Errorf("%s is stored as %+v, is %+v at %d (%v)", d.ID, d, state, seq, err)
		}
	}
	archiveIsTheLog(t, l, db)
}

// Rows 26 and 27 of the fault matrix: a collection that is gone comes back when the stream is delivered again, and delivering again
// what is there changes nothing.
func TestTheStreamAgainGivesTheSameDocuments(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, db := logtest.OpenOn(t, server), viewtest.Database(t)
	stop := remember(t, l, db)
	for i := range 20 {
		move(t, l, fmt.Sprintf("S%d", i%5), int64(i))
	}
	await(t, "caught up", acknowledged(t, l))
	before := all[stored](t, db, "stock")
	again := func() []stored {
		stop()
		if err := l.JetStream().DeleteConsumer(t.Context(), events.StreamInventory, "stock-view"); err != nil {
			t.Fatal(err)
		}
		stop = remember(t, logtest.OpenOn(t, server), db) // a process that remembers nothing
		await(t, "caught up again", acknowledged(t, l))
		return all[stored](t, db, "stock")
	}
	if diff := cmp.Diff(before, again()); diff != "" {
		t.Errorf("delivered again: %s", diff)
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
	db, err := view.Connect(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	l := logtest.Open(t)
	remember(t, l, db)
	move(t, l, "A", 1)
	await(t, "caught up", acknowledged(t, l))
	server.Stop()
	for range 10 {
		move(t, l, "A", 1)
	}
	server, err = embedded.StartMongo(embedded.MongoConfig{Dir: dir, Addr: strings.TrimSuffix(strings.TrimPrefix(uri, "mongodb://"), "/")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	await(t, "caught up", acknowledged(t, l))
	if got := all[stored](t, db, "stock"); len(got) != 1 || got[0].Doc.OnHand != 11 {
		t.Errorf("stored %+v, want 11 on hand", got)
	}
}
