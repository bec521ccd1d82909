package archive_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

var levels = eventlog.Entity[int64]{Prefix: events.PrefixStock, Apply: func(s int64, e events.Event) (int64, error) {
	return s + e.Payload.(events.StockAdjusted).Quantity, nil
}}

// move appends n events.
func move(t testing.TB, l *eventlog.Log, n int) {
	t.Helper()
	fact := events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "A", Quantity: 1}, Reason: "counted"}
	for n > 0 {
		together := min(n, 500)
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			return levels.Append(tx, "A", slices.Repeat([]events.Payload{fact}, together)...)
		})
		if err != nil {
			t.Fatal(err)
		}
		n -= together
	}
}

// process runs the archive's lane until the test ends, or stops it.
type process struct {
	*worker.Worker
	log  *eventlog.Log
	stop func() // waits until it has ended
	term func() // does not
}

func start(t testing.TB, l *eventlog.Log, db *mongo.Database) *process {
	t.Helper()
	return run(t, l, lane(l, db))
}

// lane is a process that does nothing but archive.
func lane(l *eventlog.Log, db *mongo.Database) worker.Config {
	return worker.Config{Batches: []worker.Batch{archive.Batch(l, archive.Config{DB: db, Window: 20 * time.Millisecond})}}
}

func run(t testing.TB, l *eventlog.Log, config worker.Config) *process {
	t.Helper()
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
	p := &process{Worker: w, log: l, term: cancel, stop: func() { cancel(); <-done }}
	t.Cleanup(p.stop)
	return p
}

// problem is what the archive waits for.
func (p *process) problem() error { return p.Lanes()[0].Problem }

// await waits until everything is archived.
func (p *process) await(t testing.TB) {
	t.Helper()
	last := end(t, p.log)
	await(t, "everything is archived", func() bool { s := p.Lanes()[0]; return s.Leased && s.Problem == nil && s.Position >= last })
}

func end(t testing.TB, l *eventlog.Log) uint64 {
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

// archiveIsTheLog compares the archive with the log, message by message and byte by byte, and looks at the chunks themselves:
// Each passes over what overlaps.
func archiveIsTheLog(t testing.TB, l *eventlog.Log, db *mongo.Database) {
	t.Helper()
	want := messages(t, l)
	if diff := gocmp.Diff(want, archived(t, archive.New(db), 0)); diff != "" {
		t.Errorf("the archive is not the log (-log +archive):\n%s", diff)
	}
	if head, err := archive.New(db).Head(t.Context()); err != nil || head.Last != uint64(len(want)) || head.EventID != want[len(want)-1].EventID() {
		t.Errorf("head %+v (%v), want it at %d", head, err, len(want))
	}
	chunksFollowEachOther(t, db)
}

func chunksFollowEachOther(t testing.TB, db *mongo.Database) {
	t.Helper()
	next := uint64(1)
	for _, c := range chunks(t, db.Collection(archive.Collection)) {
		if want := fmt.Sprintf("%012d", next); c.ID != want {
			t.Errorf("chunk %s stands where %s should", c.ID, want)
		}
		next = c.Last + 1
	}
}

type chunk struct {
	ID   string `bson:"_id"`
	Last uint64 `bson:"last"`
}

// chunks returns where the chunks of an archive lie.
func chunks(t testing.TB, collection *mongo.Collection) (found []chunk) {
	t.Helper()
	cursor, err := collection.Find(t.Context(), bson.D{})
	if err == nil {
		err = cursor.All(t.Context(), &found)
	}
	if err != nil {
		t.Fatal(err)
	}
	found = slices.DeleteFunc(found, func(c chunk) bool { return c.ID == "head" })
	slices.SortFunc(found, func(a, b chunk) int { return cmp.Compare(a.ID, b.ID) })
	return found
}

// messages reads the log one by one, which the lane does not.
func messages(t testing.TB, l *eventlog.Log) (all []archive.Archived) {
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

// archived reads an archive from a sequence on.
func archived(t testing.TB, a *archive.Archive, from uint64) (all []archive.Archived) {
	t.Helper()
	err := a.Each(t.Context(), from, func(m archive.Archived) error { all = append(all, m); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// made returns messages as an archive takes them, from a sequence on.
func made(first, last uint64) (all []archive.Archived) {
	for sequence := first; sequence <= last; sequence++ {
		header := map[string][]string{events.HeaderID: {fmt.Sprintf("event-%d", sequence)}}
		all = append(all, archive.From(eventlog.Message{Sequence: sequence, Subject: "inventory.stock.main.A", Stored: time.Unix(int64(sequence), 0), Header: header,
			Data: []byte(fmt.Sprintf(`{"n":%d}`, sequence))}))
	}
	return all
}

func sequences(all []archive.Archived) (found []uint64) {
	for _, a := range all {
		found = append(found, a.Sequence)
	}
	return found
}
