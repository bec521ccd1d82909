package view_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/log/logtest"
	"tillstream/events/view"
	"tillstream/events/view/viewtest"
)

// Row 26 of the fault matrix: two rebuilds at once, or a dry run during a rebuild, would take what is left of each
// other's side collections for the log: the second one is told to wait.
func TestTwoRebuildsAtOnce(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), viewtest.Database(t)
	remember(t, l, db)
	for i := range 3 {
		move(t, l, fmt.Sprintf("S%d", i), 1)
	}
	await(t, "caught up", acknowledged(t, l))
	second := func(dry bool) {
		if _, err := (&view.Rebuild{DB: db, JS: l.JetStream(), View: stockView(), DryRun: dry}).Run(t.Context()); !errors.Is(err, view.ErrRebuilding) {
			t.Errorf("the second one, dry %v: %v", dry, err)
		}
	}
	first := view.Rebuild{DB: db, JS: l.JetStream(), View: stockView(), Progress: func(stage string, _, _ uint64) {
		if strings.HasPrefix(stage, "fold what is new") {
			second(true)
			second(false)
		}
	}}
	if report, err := first.Run(t.Context()); err != nil || report.Drifted() != 0 {
		t.Errorf("the first one: %+v, %v", report, err)
	}
	if n := len(all[stored](t, db, "stock")); n != 3 {
		t.Errorf("%d documents are left of 3", n)
	}
	rebuild(t, l, db, false) // nothing is left behind that keeps others out
}

// A rebuild that was cut off from the broker for so long that another one may have begun changes nothing.
func TestARebuildThatLostItsClaim(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), viewtest.Database(t)
	remember(t, l, db)
	move(t, l, "A", 1)
	await(t, "caught up", acknowledged(t, l))
	damage(t, db, "stock", "nobody", "A", "GHOST")
	lost := view.Rebuild{DB: db, JS: l.JetStream(), View: stockView(), Progress: func(stage string, _, _ uint64) {
		if strings.HasPrefix(stage, "fold what is new") { // the broker has forgotten it
			if err := l.JetStream().DeleteConsumer(t.Context(), events.StreamInventory, "stock-view_rebuild"); err != nil {
				t.Error(err)
			}
		}
	}}
	if _, err := lost.Run(t.Context()); !errors.Is(err, view.ErrRebuilding) {
		t.Errorf("without a claim: %v", err)
	}
	if report := rebuild(t, l, db, true); report.Drifted() != 2 {
		t.Errorf("it has mended: %+v", report)
	}
}
