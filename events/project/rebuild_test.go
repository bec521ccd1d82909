package project_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

// damage deletes one document of the collection stock, changes one and inserts one that belongs to no entity.
func damage(t testing.TB, db *mongo.Database, deleted, changed, invented string) {
	t.Helper()
	c := db.Collection("stock")
	_, err := c.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: deleted}})
	var d stored
	err = errors.Join(err, c.FindOne(t.Context(), bson.D{{Key: "_id", Value: changed}}).Decode(&d))
	d.Doc.OnHand = -7
	_, err2 := c.ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: changed}}, d)
	_, err3 := c.InsertOne(t.Context(), stored{ID: invented, Seq: 1 << 40, Doc: level{OnHand: 1}})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
}

func rebuild(t testing.TB, l *eventlog.Log, db *mongo.Database, dry bool) project.RebuildReport {
	t.Helper()
	r := project.Rebuild{DB: db, Log: l, Projection: stockProjection(), DryRun: dry}
	report, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Rows 26 and 58 of the fault matrix: while events arrive, a rebuild repairs documents that were deleted, changed or invented, byte
// by byte, and restores a collection that was dropped. A dry run reports the same and changes nothing.
func TestRebuildWhileEventsArrive(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *mongo.Database) {
		server := logtest.Server(t)
		l := logtest.OpenOn(t, server)
		shop := start(t, l, db)
		for i := range 30 {
			adjust(t, l, fmt.Sprintf("S%d", i), 1)
		}
		shop.awaitCheckpoint(t)
		stopSelling := sell(t, logtest.OpenOn(t, server))

		damage(t, db, "S1", "S2", "GHOST")
		report := rebuild(t, l, db, true)
		c := report.Collections[0]
		if c.Missing != 1 || c.Different != 1 || c.Extra != 1 || report.Written || report.Drifted() != 3 {
			t.Errorf("dry run: got %+v, want one missing, one different, one extra", report)
		}
		want := []project.Drift{{ID: "S2", Detail: "doc.on_hand is {\"$numberLong\":\"-7\"}, should be {\"$numberLong\":\"1\"}"},
			{ID: "S1", Detail: "is missing"}, {ID: "GHOST", Detail: "the log has no such entity"}}
		if diff := cmp.Diff(want, c.Drifts); diff != "" {
			t.Errorf("drifts (-want +got):\n%s", diff)
		}
		if written := rebuild(t, l, db, false); written.Drifted() != 3 || !written.Written {
			t.Errorf("rebuild: got %+v, want 3 drifts, written", written)
		}
		for range 2 {
			if after := rebuild(t, l, db, true); after.Drifted() != 0 || after.Sequence == 0 {
				t.Fatalf("while events arrive: got %+v, want no drift", after)
			} else {
				t.Logf("%d documents, %.2f s", after.Collections[0].Documents, after.Seconds)
			}
		}
		shop.Stop() // otherwise the projection itself would write some of the deleted documents
		if err := db.Collection("stock").Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Documents of events since the projection stopped are not missing: the projection will write them.
		if dropped := rebuild(t, l, db, false).Collections[0]; dropped.Missing < 30 || dropped.Missing > dropped.Documents || dropped.Different+dropped.Extra > 0 {
			t.Errorf("after the collection was dropped: got %+v, want at least 30 missing and nothing else", dropped)
		}
		shop = start(t, l, db)
		stopSelling()
		shop.awaitCheckpoint(t)
		last := rebuild(t, l, db, true)
		if last.Drifted() != 0 || last.Collections[0].Documents < 31 {
			t.Errorf("at the end: got %+v, want no drift in at least 31 documents", last)
		}
		checkDocuments(t, l, db, last.Collections[0].Documents)
		if names, err := db.ListCollectionNames(t.Context(), bson.D{}); err != nil || strings.Contains(strings.Join(names, " "), "rebuild") {
			t.Errorf("collections: got %v, %v; want none of the rebuild", names, err)
		}
	})
}

// sell appends events about existing and new entities until stopped.
func sell(t testing.TB, l *eventlog.Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var selling sync.WaitGroup
	selling.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond) // at a shorter interval the database of a busy machine would not keep up
		defer ticker.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			adjust(t, l, fmt.Sprintf("S%d", 10+i%20), 1)
			adjust(t, l, fmt.Sprintf("NEW%d", i), 1)
			<-ticker.C
		}
	})
	stop = func() { cancel(); selling.Wait() }
	t.Cleanup(stop)
	return stop
}

// Documents that lag behind the log, or do not exist yet, have not drifted: the projection will write them.
func TestLaggingProjectionHasNotDrifted(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := startWith(t, l, db, "A")
	shop.Stop()
	adjust(t, l, "A", 1)
	adjust(t, l, "B", 1)
	for _, dry := range []bool{true, false} {
		if report := rebuild(t, l, db, dry); report.Drifted() != 0 || report.Sequence != 1 {
			t.Errorf("rebuild with dry run %v: got %+v, want no drift at 1", dry, report)
		}
	}
}

// A document that lacks an event up to the checkpoint has drifted, although it was correct earlier.
func TestDocumentBehindCheckpointHasDrifted(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	adjust(t, l, "A", 1)
	shop.await(t)
	old := all[stored](t, db, "stock")[0]
	adjust(t, l, "A", 1)
	shop.awaitCheckpoint(t)
	if _, err := db.Collection("stock").ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: "A"}}, old); err != nil {
		t.Fatal(err)
	}
	if report := rebuild(t, l, db, false); report.Collections[0].Different != 1 {
		t.Errorf("rebuild: got %+v, want one different document", report)
	}
	checkDocuments(t, l, db, 1)
}

// A log with more entities than fit into memory is read several times, and each document is compared once.
func TestRebuildInSeveralPassesComparesEachDocumentOnce(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	for i := range 20 {
		adjust(t, l, fmt.Sprintf("S%d", i), 1)
	}
	shop.awaitCheckpoint(t)
	for _, i := range []int{0, 2, 4, 6, 8} {
		damage(t, db, fmt.Sprintf("S%d", i), fmt.Sprintf("S%d", i+1), fmt.Sprintf("GHOST%d", i))
	}
	for _, want := range []int{5, 0} {
		r := project.Rebuild{DB: db, Log: l, Projection: stockProjection()}
		r.EntitiesPerPass(3)
		report, err := r.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c := report.Collections[0]; c.Documents != 20 || c.Missing != want || c.Different != want || c.Extra != want || len(c.Drifts) != 3*want {
			t.Errorf("rebuild: got %+v, want %d drifts of each kind", c, want)
		}
	}
	checkDocuments(t, l, db, 20)
}

// A log that ends before the checkpoint has lost events that the documents contain: a rebuild leaves the documents unchanged.
func TestRebuildRefusesTruncatedLog(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := startWith(t, l, db, "A", "A")
	shop.Stop()
	before := all[stored](t, db, "stock")
	emptyLog(t, l)
	r := project.Rebuild{DB: db, Log: l, Projection: stockProjection()}
	if report, err := r.Run(t.Context()); !errors.Is(err, eventlog.ErrTruncated) || report.Written {
		t.Errorf("rebuild: got %+v, %v; want nothing written and %v", report, err, eventlog.ErrTruncated)
	}
	if diff := cmp.Diff(before, all[stored](t, db, "stock")); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

// emptyLog replaces the log by an empty one.
func emptyLog(t *testing.T, l *eventlog.Log) {
	t.Helper()
	config := eventlog.Streams(1)[0]
	if err := l.JetStream().DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := l.JetStream().CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

func TestRebuildRefusesUnknownProjectionOrCollection(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	never := project.Rebuild{DB: db, Log: l, Projection: stockProjection()}
	if _, err := never.Run(t.Context()); !errors.Is(err, project.ErrNeverRan) {
		t.Errorf("projection without a checkpoint: got %v, want %v", err, project.ErrNeverRan)
	}
	unknown := project.Rebuild{DB: db, Log: l, Projection: stockProjection(), Collections: []string{"socks"}}
	if _, err := unknown.Run(t.Context()); err == nil || !strings.Contains(err.Error(), `no collection "socks"`) {
		t.Errorf("unknown collection: got %v, want an error that names it", err)
	}
}

// Row 26 of the fault matrix: a rebuild reports missing indexes and creates them, after it has repaired the documents that would
// violate a unique one.
func TestRebuildCreatesMissingIndexes(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *mongo.Database) {
		l := logtest.Open(t)
		shop := startLanes(t, l, []worker.Batch{numberedProjection().Batch(l, project.Config{DB: db, Window: window})})
		adjust(t, l, "A", 1)
		adjust(t, l, "B", 1)
		shop.awaitCheckpoint(t)
		c := db.Collection("numbered")
		if err := c.Indexes().DropOne(t.Context(), "doc_number"); err != nil {
			t.Fatal(err)
		}
		duplicate := bson.D{{Key: "_id", Value: "B"}, {Key: "seq", Value: int64(2)}, {Key: "doc", Value: bson.D{{Key: "number", Value: "A"}, {Key: "on_hand", Value: int64(1)}}}}
		if _, err := c.ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: "B"}}, duplicate); err != nil {
			t.Fatal(err)
		}
		for _, dry := range []bool{true, false} {
			r := project.Rebuild{DB: db, Log: l, Projection: numberedProjection(), DryRun: dry}
			report, err := r.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := report.Collections[0]; !slices.Equal(got.MissingIndexes, []string{"doc_number"}) || got.Different != 1 || report.Drifted() != 2 {
				t.Errorf("rebuild with dry run %v: got %+v, want one missing index and one different document", dry, report)
			}
			if got := hasIndex(t, c, "doc_number"); got == dry {
				t.Errorf("index after rebuild with dry run %v: got %v, want %v", dry, got, !dry)
			}
		}
		r := project.Rebuild{DB: db, Log: l, Projection: numberedProjection(), DryRun: true}
		if report, err := r.Run(t.Context()); err != nil || report.Drifted() != 0 {
			t.Errorf("second rebuild: got %+v, %v; want no drift", report, err)
		}
	})
}
