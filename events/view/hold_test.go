package view_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events"
	"tillstream/events/log/logtest"
	"tillstream/events/view"
	"tillstream/events/view/viewtest"
)

// Operators who pause a view while a rebuild holds it find it paused afterwards, for as long as they said; when they let
// it go on, the rebuild says that it did not rest.
func TestWhatOperatorsSayDuringARebuildCounts(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), viewtest.Database(t)
	remember(t, l, db)
	move(t, l, "A", 1)
	await(t, "caught up", acknowledged(t, l))
	renew, release, err := view.Hold(t.Context(), l.JetStream(), stockView())
	if err != nil {
		t.Fatal(err)
	}
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	if _, err := l.JetStream().PauseConsumer(t.Context(), events.StreamInventory, "stock-view", tomorrow); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(renew(t.Context()), renew(t.Context()), release(t.Context())); err != nil {
		t.Error(err)
	}
	if until := pause(t, l); !until.Equal(tomorrow) {
		t.Errorf("paused until %s, want %s", until, tomorrow)
	}
	renew, _, err = view.Hold(t.Context(), l.JetStream(), stockView())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.JetStream().ResumeConsumer(t.Context(), events.StreamInventory, "stock-view"); err != nil {
		t.Fatal(err)
	}
	if err := renew(t.Context()); !errors.Is(err, view.ErrMoved) || !pause(t, l).IsZero() {
		t.Errorf("it was paused again: %v", err)
	}
}

// A view that died between writing and acknowledging has documents beyond where it is: a rebuild does not set them back.
func TestARebuildSetsNothingBack(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), viewtest.Database(t)
	remember(t, l, db)
	move(t, l, "A", 1)
	await(t, "caught up", acknowledged(t, l))
	rest(t, l)
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
}

// A view that went on while it was compared, and is at rest again when that ends, is compared again.
func TestARebuildNoticesThatTheViewMoved(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), viewtest.Database(t)
	remember(t, l, db)
	move(t, l, "A", 1)
	await(t, "caught up", acknowledged(t, l))
	r := view.Rebuild{DB: db, JS: l.JetStream(), View: stockView(), Progress: func(stage string, _, _ uint64) {
		if !strings.HasPrefix(stage, "fold what is new") {
			return
		}
		if _, err := l.JetStream().ResumeConsumer(t.Context(), events.StreamInventory, "stock-view"); err != nil {
			t.Error(err)
		}
		move(t, l, "A", 1)
		await(t, "went on", acknowledged(t, l))
		rest(t, l)
	}}
	if _, err := r.Run(t.Context()); !errors.Is(err, view.ErrMoved) {
		t.Errorf("it moved: %v", err)
	}
}
