package worker

import (
	"context"
	"testing"
	"time"

	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// What operators wanted before says nothing any more, in whatever order a process comes to hear of it.
func TestAnOlderControlSaysNothing(t *testing.T) {
	t.Parallel()
	l := &lane{wake: make(chan struct{}, 1)}
	for i, step := range []struct {
		paused   bool
		sequence uint64
		want     bool
	}{
		{true, 803, true}, // as the worker was told at its start
		{true, 1, true},
		{false, 402, true}, // as the reader comes to it
		{true, 803, true},
		{false, 900, false},
		{true, 803, false},
	} {
		l.setControl(Control{Paused: step.paused}, step.sequence)
		if got := l.isPaused(); got != step.want {
			t.Errorf("step %d: paused %v, want %v", i, got, step.want)
		}
	}
}

// A checkpoint is written at most once a second or per 500 events, and also when nothing but the acts beside the position
// has changed. One that cannot be written is not tried again at once.
func TestACheckpointIsDue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	opened := logtest.Open(t, func(c *eventlog.Config) { c.Now = func() time.Time { return now } })
	l := &lane{name: "lane", log: opened}
	if _, err := l.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(want bool, when string) {
		t.Helper()
		if got := l.checkpointDue(); got != want {
			t.Errorf("%s: due %v, want %v", when, got, want)
		}
	}
	state := func() any { return []int{} }
	save := func(ctx context.Context) {
		t.Helper()
		if err := l.saveIfDue(ctx, state); err != nil {
			t.Fatal(err)
		}
	}
	check(false, "at the start")
	l.advance(499)
	check(false, "after 499 events")
	l.advance(500)
	check(true, "after 500 events")
	save(t.Context())
	check(false, "when it was written")
	l.advance(501)
	check(false, "at once after one event")
	now = now.Add(time.Second)
	check(true, "a second after one event")
	save(t.Context())
	l.change()
	check(false, "at once after a change")
	now = now.Add(time.Second)
	check(true, "a second after a change")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	save(gone)
	check(false, "at once after it could not be written")
	now = now.Add(time.Second)
	check(true, "a second after it could not be written")
	save(t.Context())
	c, err := opened.LoadCheckpoint(t.Context(), "lane")
	if err != nil || c.Position != 501 || string(c.State) != "[]" {
		t.Errorf("the checkpoint is %+v (%v)", c, err)
	}
}
