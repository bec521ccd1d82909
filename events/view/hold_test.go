package view_test

import (
	"errors"
	"testing"
	"time"

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
