package project_test

import (
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

type level struct {
	OnHand int64 `json:"on_hand"`
	Moves  int   `json:"moves"`
}

var levels = eventlog.Entity[level]{Prefix: events.PrefixStock, Apply: func(s level, e events.Event) (level, error) {
	adjusted := e.Payload.(events.StockAdjusted)
	return level{OnHand: s.OnHand + adjusted.Quantity, Moves: s.Moves + 1}, nil
}}

// lane is the name of the projection of the tests.
const lane = "stock.projection"

func stockProjection() project.Projection {
	return project.Projection{Name: lane, Collections: []project.Collection{
		project.NewCollection("stock", levels, func(_ string, s level) any { return s }, project.Index{Keys: []string{"-doc.on_hand"}})}}
}

// numberedProjection has a unique index on a field.
func numberedProjection() project.Projection {
	return project.Projection{Name: lane, Collections: []project.Collection{project.NewCollection("numbered", levels,
		func(id string, s level) any { return map[string]any{"number": id, "on_hand": s.OnHand} }, project.Index{Keys: []string{"doc.number"}, Unique: true})}}
}

func adjusted(sku string, quantity int64) events.StockAdjusted {
	return events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: quantity}, Reason: "counted"}
}

// adjust appends one event about a SKU.
func adjust(t testing.TB, l *eventlog.Log, sku string, quantity int64) {
	t.Helper()
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return levels.Append(tx, sku, adjusted(sku, quantity)) }); err != nil {
		t.Fatal(err)
	}
}

// window is how long the lanes of the tests gather events.
const window = 20 * time.Millisecond

// process runs lanes on a log.
type process struct {
	*projecttest.Process

	log *eventlog.Log
}

// start runs the projection of the tests and the archive, as a process of the shop does.
func start(t testing.TB, l *eventlog.Log, db *mongo.Database, change ...func(*worker.Config)) *process {
	t.Helper()
	return startLanes(t, l, []worker.Batch{stockProjection().Batch(l, project.Config{DB: db, Window: window}),
		archive.Batch(l, archive.Config{DB: db, Window: window})}, change...)
}

// startWith is start, followed by one event about each SKU. It waits for the checkpoint.
func startWith(t testing.TB, l *eventlog.Log, db *mongo.Database, skus ...string) *process {
	t.Helper()
	shop := start(t, l, db)
	for _, sku := range skus {
		adjust(t, l, sku, 1)
	}
	shop.awaitCheckpoint(t)
	return shop
}

func startLanes(t testing.TB, l *eventlog.Log, lanes []worker.Batch, change ...func(*worker.Config)) *process {
	t.Helper()
	config := worker.Config{Domains: []worker.Domain{{Name: "stock", Log: l, Batches: lanes}}}
	for _, c := range change {
		c(&config)
	}
	return &process{projecttest.Start(t, l, config), l}
}

// status returns the status of a lane.
func (p *process) status(name string) worker.LaneStatus {
	lanes := p.Lanes()
	return lanes[slices.IndexFunc(lanes, func(s worker.LaneStatus) bool { return s.Name == name })]
}

// await waits until all lanes run here and have written everything.
func (p *process) await(t testing.TB) {
	t.Helper()
	end := projecttest.End(t, p.log)
	projecttest.Await(t, "all lanes have written everything", func() bool {
		return !slices.ContainsFunc(p.Lanes(), func(s worker.LaneStatus) bool { return !s.Leased || s.Position < end || s.Problem != nil })
	})
}

// awaitCheckpoint waits until the checkpoint of the projection is at the end of the log.
func (p *process) awaitCheckpoint(t testing.TB) {
	t.Helper()
	last := projecttest.End(t, p.log)
	projecttest.Await(t, "the checkpoint is at the end of the log", func() bool {
		c, err := p.log.LoadCheckpoint(t.Context(), lane)
		if err != nil {
			t.Fatal(err)
		}
		return c.Position >= last
	})
}

type stored struct {
	ID  string `bson:"_id"`
	Seq uint64 `bson:"seq"`
	Doc level  `bson:"doc"`
}

// all reads a collection.
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

// checkDocuments fails the test unless the collection holds that many documents, each with the newest state of its entity.
func checkDocuments(t testing.TB, l *eventlog.Log, db *mongo.Database, want int) {
	t.Helper()
	documents := all[stored](t, db, "stock")
	if len(documents) != want {
		t.Errorf("stored documents: got %d, want %d", len(documents), want)
	}
	for _, d := range documents {
		state, seq, err := levels.Read(t.Context(), l, d.ID)
		if err != nil {
			t.Error(err)
		}
		if want := (stored{d.ID, seq, state}); d != want {
			t.Errorf("stored document: got %+v, want %+v", d, want)
		}
	}
}

// eachDatabase runs a test on FerretDB as it is and on one that looks like MongoDB: the writer treats them differently.
func eachDatabase(t *testing.T, test func(t *testing.T, db *mongo.Database)) {
	t.Helper()
	t.Run("FerretDB", func(t *testing.T) { t.Parallel(); test(t, projecttest.Database(t)) })
	t.Run("MongoDB", func(t *testing.T) { t.Parallel(); test(t, projecttest.NewMember(t).Database(t, "")) })
}
