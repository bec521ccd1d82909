package project_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
)

// during returns a Progress that runs fn once, when a stage first reports.
func during(stage string, fn func()) func(string, uint64, uint64) {
	once := sync.OnceFunc(fn)
	return func(s string, _, _ uint64) {
		if s == stage {
			once()
		}
	}
}

// A rebuild that ends in the middle leaves documents that are right or as they were, and the next one mends the rest. The
// projection goes on meanwhile.
func TestARebuildThatEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	for _, sku := range []string{"A", "B", "C"} {
		move(t, l, sku, 1)
	}
	shop.awaitCheckpoint(t)
	damage(t, db, "stock", "A", "B", "GHOST")
	ctx, cancel := context.WithCancel(t.Context())
	cut := project.Rebuild{DB: db, Log: l, Projection: stockProjection(), Progress: during("write stock", cancel)}
	if report, err := cut.Run(ctx); !errors.Is(err, context.Canceled) || report.Written {
		t.Errorf("cut off: %+v, %v", report, err)
	}
	if left := rebuild(t, l, db, true); left.Drifted() != 2 {
		t.Errorf("one of three drifts was mended: %+v", left)
	}
	rebuild(t, l, db, false)
	move(t, l, "C", 1)
	shop.awaitCheckpoint(t)
	if after := rebuild(t, l, db, true); after.Drifted() != 0 {
		t.Errorf("after the second one: %+v", after)
	}
	documentsAreTheLog(t, l, db, 3)
}

// A projection that died between writing and its checkpoint has documents beyond where it is: a rebuild does not set them
// back.
func TestARebuildSetsNothingBack(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	move(t, l, "A", 1)
	shop.awaitCheckpoint(t)
	shop.stop()
	move(t, l, "A", 1)
	state, seq, err := levels.Read(t.Context(), l, "A")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Collection("stock").ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: "A"}}, stored{ID: "A", Seq: seq, Doc: state}); err != nil {
		t.Fatal(err)
	}
	if report := rebuild(t, l, db, false); report.Drifted() != 0 || report.Sequence != 1 {
		t.Errorf("what is newer counts as drifted: %+v", report)
	}
	documentsAreTheLog(t, l, db, 1)
}

// Where the projection was faster than a rebuild its document stays.
func TestARebuildGivesWayToTheProjection(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, db *mongo.Database) {
		l := logtest.Open(t)
		shop := start(t, l, db)
		for _, sku := range []string{"A", "B", "LOST"} {
			move(t, l, sku, 1)
		}
		shop.awaitCheckpoint(t)
		damage(t, db, "stock", "LOST", "A", "GHOST")
		damage(t, db, "stock", "LOST", "B", "GHOST2")
		r := project.Rebuild{DB: db, Log: l, Projection: stockProjection(), Progress: during("write stock", func() { // GHOST is gone
			move(t, l, "B", 1)
			move(t, l, "LOST", 1)
			shop.await(t)
		})}
		if report, err := r.Run(t.Context()); err != nil || report.Drifted() != 5 {
			t.Errorf("rebuild: %+v, %v", report, err)
		}
		documentsAreTheLog(t, l, db, 3)
	})
}

// Row 26 of the fault matrix: two rebuilds at once do each other no harm, wherever the second one comes in.
func TestTwoRebuildsAtOnce(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, db *mongo.Database) {
		l := logtest.Open(t)
		shop := start(t, l, db)
		for _, sku := range []string{"A", "B", "C"} {
			move(t, l, sku, 1)
		}
		shop.awaitCheckpoint(t)
		damage(t, db, "stock", "A", "B", "GHOST1")
		damage(t, db, "stock", "A", "C", "GHOST2")
		first := project.Rebuild{DB: db, Log: l, Projection: stockProjection(), Progress: during("write stock", func() {
			if dry := rebuild(t, l, db, true); dry.Drifted() != 4 {
				t.Errorf("a dry run, when one of five drifts was mended: %+v", dry)
			}
			if second := rebuild(t, l, db, false); second.Drifted() != 4 {
				t.Errorf("the second one: %+v", second)
			}
		})}
		if report, err := first.Run(t.Context()); err != nil || report.Drifted() != 5 || !report.Written {
			t.Errorf("the first one: %+v, %v", report, err)
		}
		documentsAreTheLog(t, l, db, 3)
		rebuildTogether(t, l, db)
		documentsAreTheLog(t, l, db, 3)
	})
}

// rebuildTogether damages documents and runs several rebuilds that nothing keeps in step.
func rebuildTogether(t *testing.T, l *log.Log, db *mongo.Database) {
	t.Helper()
	damage(t, db, "stock", "A", "B", "GHOST")
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
		t.Errorf("rebuilds at once: %v", err)
	}
}
