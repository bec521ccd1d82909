package project_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/worker"
)

type level struct {
	OnHand int64 `json:"on_hand"`
	Moves  int   `json:"moves"`
}

var levels = log.Entity[level]{Prefix: events.PrefixStock, Apply: func(s level, e events.Event) (level, error) {
	moved := e.Payload.(events.StockAdjusted)
	return level{OnHand: s.OnHand + moved.Quantity, Moves: s.Moves + 1}, nil
}}

// lane is the name of the projection of the tests.
const lane = "stock.projection"

func stockProjection() project.Projection {
	return project.Projection{Name: lane, Collections: []project.Collection{
		project.NewCollection("stock", levels, func(_ string, s level) any { return s }, project.Index{Keys: []string{"-doc.on_hand"}})}}
}

func move(t testing.TB, l *log.Log, sku string, quantity int64) {
	t.Helper()
	fact := events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: quantity}, Reason: "counted"}
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return levels.Append(tx, sku, fact) }); err != nil {
		t.Fatal(err)
	}
}

// window is how long the lanes of the tests gather.
const window = 20 * time.Millisecond

// process runs lanes until the test ends, or stops it.
type process struct {
	*worker.Worker
	log  *log.Log
	stop func()
}

// start runs the projection of the tests and the archive, as a process of the shop does.
func start(t testing.TB, l *log.Log, db *mongo.Database, change ...func(*worker.Config)) *process {
	t.Helper()
	return run(t, l, []worker.Batch{stockProjection().Batch(l, project.Config{DB: db, Window: window}),
		archive.Batch(l, archive.Config{DB: db, Window: window})}, change...)
}

func run(t testing.TB, l *log.Log, lanes []worker.Batch, change ...func(*worker.Config)) *process {
	t.Helper()
	config := worker.Config{Domains: []worker.Domain{{Name: "stock", Log: l, Batches: lanes}}}
	for _, c := range change {
		c(&config)
	}
	w, err := worker.New(t.Context(), l, config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	p := &process{Worker: w, log: l, stop: func() { cancel(); <-done }}
	t.Cleanup(p.stop)
	return p
}

func batches(lanes ...worker.Batch) []worker.Batch { return lanes }

// caughtUp reports whether all lanes run here and have handled everything.
func (p *process) caughtUp(t testing.TB) bool {
	t.Helper()
	end := end(t, p.log)
	return !slices.ContainsFunc(p.Lanes(), func(s worker.LaneStatus) bool { return !s.Leased || s.Position < end || s.Problem != nil })
}

// status is how a lane stands.
func (p *process) status(name string) worker.LaneStatus {
	lanes := p.Lanes()
	return lanes[slices.IndexFunc(lanes, func(s worker.LaneStatus) bool { return s.Name == name })]
}

func end(t testing.TB, l *log.Log) uint64 {
	t.Helper()
	last, err := l.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// await polls until a fact is there.
func await(t testing.TB, what string, reached func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !reached() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("never reached: ", what)
		}
	}
}

// await waits until everything is written.
func (p *process) await(t testing.TB) {
	t.Helper()
	await(t, "caught up", func() bool { return p.caughtUp(t) })
}

// awaitCheckpoint waits until everything is written, and the checkpoint of the projection says so.
func (p *process) awaitCheckpoint(t testing.TB) {
	t.Helper()
	last := end(t, p.log)
	await(t, "the checkpoint is at the end of the log", func() bool { return checkpoint(t, p.log) >= last })
}

func checkpoint(t testing.TB, l *log.Log) uint64 {
	t.Helper()
	c, err := l.LoadCheckpoint(t.Context(), lane)
	if err != nil {
		t.Fatal(err)
	}
	return c.Position
}

// forget removes the checkpoints of all lanes.
func forget(t testing.TB, l *log.Log) {
	t.Helper()
	if err := l.JetStream().DeleteKeyValue(t.Context(), "checkpoints"); err != nil {
		t.Fatal(err)
	}
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

// documentsAreTheLog checks that the documents are those entities of the log, each in its newest state.
func documentsAreTheLog(t testing.TB, l *log.Log, db *mongo.Database, want int) {
	t.Helper()
	documents := all[stored](t, db, "stock")
	if len(documents) != want {
		t.Errorf("%d documents, want %d", len(documents), want)
	}
	for _, d := range documents {
		state, seq, err := levels.Read(t.Context(), l, d.ID)
		if err != nil || d.Seq != seq || d.Doc != state {
			t.Errorf("%s is stored as %+v, is %+v at %d (%v)", d.ID, d, state, seq, err)
		}
	}
}

// archiveIsTheLog compares the archive with the log, message by message and byte by byte.
func archiveIsTheLog(t testing.TB, l *log.Log, db *mongo.Database) {
	t.Helper()
	var archived []archive.Archived
	err := archive.New(db).Each(t.Context(), 0, func(a archive.Archived) error {
		archived = append(archived, a)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(messages(t, l), archived); diff != "" {
		t.Errorf("the archive is not the log (-log +archive):\n%s", diff)
	}
}

// messages reads the log one by one, which the archive's lane does not.
func messages(t testing.TB, l *log.Log) (all []archive.Archived) {
	t.Helper()
	for sequence := uint64(1); ; sequence++ {
		m, err := l.Get(t.Context(), sequence)
		if errors.Is(err, log.ErrNotFound) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, archive.From(m))
	}
}
