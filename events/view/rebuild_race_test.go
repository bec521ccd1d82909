package view_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/log/logtest"
	"tillstream/events/view"
	"tillstream/events/view/viewtest"
)

// Two rebuilds at once, or a dry run during a rebuild, do not take each other's side collection for the log.
func TestTwoRebuildsAtOnce(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), viewtest.Database(t)
	remember(t, l, db)
	for i := range 3 {
		move(t, l, fmt.Sprintf("S%d", i), 1)
	}
	await(t, "caught up", acknowledged(t, l))
	var other error
	first := view.Rebuild{DB: db, JS: l.JetStream(), View: stockView(), Progress: func(stage string, _, _ uint64) {
		if strings.HasPrefix(stage, "fold what is new") {
			_, other = (&view.Rebuild{DB: db, JS: l.JetStream(), View: stockView(), DryRun: true}).Run(t.Context())
		}
	}}
	report, err := first.Run(t.Context())
	t.Logf("first: %+v, %v; other: %v", report, err, other)
	if n := len(all[stored](t, db, "stock")); n != 3 {
		t.Errorf("%d documents are left of 3", n)
	}
}

// Operators who pause a view while a rebuild holds it find it paused afterwards, for as long as they said.
func TestAPauseDuringARebuildStays(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), viewtest.Database(t)
	remember(t, l, db)
	move(t, l, "A", 1)
	await(t, "caught up", acknowledged(t, l))
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	r := view.Rebuild{DB: db, JS: l.JetStream(), View: stockView(), Progress: func(stage string, _, _ uint64) {
		if !strings.HasPrefix(stage, "fold what is new") {
			return
		}
		if _, err := l.JetStream().PauseConsumer(t.Context(), events.StreamInventory, "stock-view", tomorrow); err != nil {
			t.Error(err)
		}
		await(t, "renewal", func() bool { return !pause(t, l).Equal(tomorrow) })
	}}
	if _, err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if until := pause(t, l); !until.Equal(tomorrow) {
		t.Errorf("paused until %s, want %s", until, tomorrow)
	}
}
