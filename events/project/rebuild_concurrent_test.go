package project_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
)

// on returns a Progress that runs fn once, when a stage first reports.
func on(stage string, fn func()) func(string, uint64, uint64) {
	once := sync.OnceFunc(fn)
	return func(s string, _, _ uint64) {
		if s == stage {
			once()
		}
	}
}

// A rebuild that is cancelled leaves each document either repaired or unchanged, and the next rebuild repairs the rest. The
// projection keeps running.
func TestCancelledRebuildIsCompletedByNext(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := startWith(t, l, db, "A", "B", "C")
	damage(t, db, "A", "B", "GHOST")
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := project.Rebuild{DB: db, Log: l, Projection: stockProjection(), Progress: on("write stock", cancel)}
	if report, err := cancelled.Run(ctx); !errors.Is(err, context.Canceled) || report.Written {
		t.Errorf("cancelled rebuild: got %+v, %v; want nothing written and %v", report, err, context.Canceled)
	}
	if left := rebuild(t, l, db, true); left.Drifted() != 2 {
		t.Errorf("after the cancelled rebuild: got %+v, want 2 drifts of 3", left)
	}
	rebuild(t, l, db, false)
	adjust(t, l, "C", 1)
	shop.awaitCheckpoint(t)
	if after := rebuild(t, l, db, true); after.Drifted() != 0 {
		t.Errorf("after the second rebuild: got %+v, want no drift", after)
	}
	checkDocuments(t, l, db, 3)
}

// A projection that is killed between its writes and its checkpoint leaves documents beyond the checkpoint. A rebuild keeps them.
func TestRebuildKeepsDocumentsBeyondCheckpoint(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := startWith(t, l, db, "A")
	shop.Stop()
	adjust(t, l, "A", 1)
	state, seq, err := levels.Read(t.Context(), l, "A")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Collection("stock").ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: "A"}}, stored{ID: "A", Seq: seq, Doc: state}); err != nil {
		t.Fatal(err)
	}
	if report := rebuild(t, l, db, false); report.Drifted() != 0 || report.Sequence != 1 {
		t.Errorf("rebuild: got %+v, want no drift at 1", report)
	}
	checkDocuments(t, l, db, 1)
}

// A document that the projection writes during a rebuild is kept.
func TestRebuildKeepsDocumentsWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *mongo.Database) {
		l := logtest.Open(t)
		shop := startWith(t, l, db, "A", "B", "LOST")
		damage(t, db, "LOST", "A", "GHOST")
		damage(t, db, "LOST", "B", "GHOST2")
		r := project.Rebuild{DB: db, Log: l, Projection: stockProjection(), Progress: on("write stock", func() { // after the deletion of GHOST
			adjust(t, l, "B", 1)
			adjust(t, l, "LOST", 1)
			shop.await(t)
		})}
		if report, err := r.Run(t.Context()); err != nil || report.Drifted() != 5 {
			t.Errorf("rebuild: got %+v, %v; want 5 drifts", report, err)
		}
		checkDocuments(t, l, db, 3)
	})
}

// Row 26 of the fault matrix: concurrent rebuilds do not interfere, whenever the second one starts.
func TestConcurrentRebuilds(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *mongo.Database) {
		l := logtest.Open(t)
		startWith(t, l, db, "A", "B", "C")
		damage(t, db, "A", "B", "GHOST1")
		damage(t, db, "A", "C", "GHOST2")
		first := project.Rebuild{DB: db, Log: l, Projection: stockProjection(), Progress: on("write stock", func() {
			if dry := rebuild(t, l, db, true); dry.Drifted() != 4 {
				t.Errorf("dry run during the first rebuild: got %+v, want 4 drifts of 5", dry)
			}
			if second := rebuild(t, l, db, false); second.Drifted() != 4 {
				t.Errorf("second rebuild: got %+v, want 4 drifts", second)
			}
		})}
		if report, err := first.Run(t.Context()); err != nil || report.Drifted() != 5 || !report.Written {
			t.Errorf("first rebuild: got %+v, %v; want 5 drifts, written", report, err)
		}
		checkDocuments(t, l, db, 3)
		rebuildInParallel(t, l, db)
		checkDocuments(t, l, db, 3)
	})
}

// rebuildInParallel damages documents and runs four rebuilds in parallel.
func rebuildInParallel(t *testing.T, l *eventlog.Log, db *mongo.Database) {
	t.Helper()
	damage(t, db, "A", "B", "GHOST")
	errs := make([]error, 4)
	var running sync.WaitGroup
	for i := range errs {
		running.Go(func() {
			r := project.Rebuild{DB: db, Log: l, Projection: stockProjection()}
			_, errs[i] = r.Run(t.Context())
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Errorf("parallel rebuilds: %v", err)
	}
}
