package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// expiring is a domain with a timer that fires when an order expires unconfirmed.
func expiring(fire func(ctx context.Context, id string) error) worker.Domain {
	return worker.Domain{Timers: []worker.Timer{{Name: "orders.timers", Types: []events.Payload{events.OrderPlaced{}, events.OrderConfirmed{}},
		At: func(e events.Event) (id string, at time.Time) {
			id, _ = events.ParseSubject(events.PrefixOrder, e.Subject)
			if p, ok := e.Payload.(events.OrderPlaced); ok {
				at = p.ExpiresAt
			}
			return id, at
		}, Fire: fire}}}
}

func fires(fired *ids) func(context.Context, string) error {
	return func(_ context.Context, id string) error { fired.add(id); return nil }
}

func placeUntil(t testing.TB, l *eventlog.Log, id string, expires time.Time) {
	t.Helper()
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		return orders.Append(tx, id, events.OrderPlaced{OrderID: id, ExpiresAt: expires})
	}); err != nil {
		t.Fatal(err)
	}
}

func confirm(t testing.TB, l *eventlog.Log, id string) {
	t.Helper()
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, id, events.OrderConfirmed{}) }); err != nil {
		t.Fatal(err)
	}
}

const timers = "orders.timers"

// A deadline fires at its time, not before, in the order of time. A deadline that was cleared or moved does not fire.
func TestDeadlinesFireAtTheirTimeInOrder(t *testing.T) {
	t.Parallel()
	now := newClock()
	l := logtest.Open(t, now.set)
	var fired ids
	p := start(t, l, configOf(expiring(fires(&fired))))
	p.waitLeased(t, timers)
	begin := now.Now()
	placeUntil(t, l, "late", begin.Add(30*time.Minute))
	placeUntil(t, l, "early", begin.Add(10*time.Minute))
	placeUntil(t, l, "dropped", begin.Add(5*time.Minute))
	placeUntil(t, l, "moved", begin.Add(6*time.Minute))
	confirm(t, l, "dropped")
	placeUntil(t, l, "moved", begin.Add(20*time.Minute))
	at := func(minutes int, want ...string) {
		t.Helper()
		now.move(begin.Add(time.Duration(minutes)*time.Minute - time.Millisecond).Sub(now.Now()))
		placeUntil(t, l, fmt.Sprintf("other%d", minutes), begin.Add(time.Hour)) // the lane checks its deadlines when it takes this order
		p.caughtUp(t, timers)
		if got := fired.all(); !slices.Equal(got, want[:len(want)-1]) {
			t.Errorf("just before %d minutes: got %v fired, want %v", minutes, got, want[:len(want)-1])
		}
		now.move(time.Millisecond)
		waitUntil(t, want[len(want)-1]+" fires", func() bool { return slices.Equal(fired.all(), want) })
	}
	at(10, "early")
	at(20, "early", "moved")
	at(30, "early", "moved", "late")
	p.stop()
	if got, want := fired.all(), []string{"early", "moved", "late"}; !slices.Equal(got, want) {
		t.Errorf("fired: got %v, want %v", got, want)
	}
}

// The next holder finds every open deadline, because the checkpoint is before the oldest event that set one.
// Deadlines that passed meanwhile fire at once, in the order of time; those that were cleared meanwhile do not.
func TestDeadlinesSurviveARestart(t *testing.T) {
	t.Parallel()
	now := newClock()
	l := logtest.Open(t, now.set)
	var first, second ids
	begin := now.Now()
	placeUntil(t, l, "gone", begin.Add(time.Minute))           // 1
	placeUntil(t, l, "dropped later", begin.Add(10*time.Hour)) // 2
	placeUntil(t, l, "overdue", begin.Add(2*time.Hour))        // 3
	placeUntil(t, l, "open", begin.Add(20*time.Hour))          // 4
	placeUntil(t, l, "more overdue", begin.Add(time.Hour))     // 5
	p := start(t, l, configOf(expiring(fires(&first))))
	p.waitLeased(t, timers)
	now.move(time.Minute)
	waitUntil(t, "the first one fires", func() bool { return len(first.all()) == 1 })
	placeMany(t, l, "other", 1200) // without deadlines; more than the headroom of the reader
	p.caughtUp(t, timers)
	p.stop()
	c, err := l.LoadCheckpoint(t.Context(), timers)
	if err != nil || c.Position != 1 || c.Read != lastSequence(t, l) {
		t.Errorf("checkpoint: got %d, read up to %d (%v); want 1, before the oldest open deadline, and %d", c.Position, c.Read, err, lastSequence(t, l))
	}
	confirm(t, l, "dropped later")
	now.move(15 * time.Hour)
	p = start(t, l, configOf(expiring(fires(&second))))
	waitUntil(t, "the overdue deadlines fire", func() bool { return len(second.all()) == 2 })
	p.caughtUp(t, timers)
	if got, want := second.all(), []string{"more overdue", "overdue"}; !slices.Equal(got, want) {
		t.Errorf("fired: got %v, want %v", got, want)
	}
	p.stop()
	if c, err = l.LoadCheckpoint(t.Context(), timers); err != nil || c.Position != 3 {
		t.Errorf("checkpoint: got %d (%v), want 3", c.Position, err)
	}
	now.move(10 * time.Hour)
	start(t, l, configOf(expiring(fires(&second))))
	waitUntil(t, "the last one fires", func() bool { return second.count("open") == 1 })
}

// A deadline whose handler fails does not delay the others; while the log is unavailable it is repeated.
func TestFailedDeadlineDelaysNoOther(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	past := time.Now().Add(-time.Hour)
	for _, id := range []string{"fails", "panics", "unavailable", "fine"} {
		placeUntil(t, l, id, past)
		past = past.Add(time.Second)
	}
	var fired ids
	p := start(t, l, configOf(expiring(func(_ context.Context, id string) error {
		fired.add(id)
		switch {
		case id == "fails":
			return errors.New("impossible")
		case id == "panics":
			panic("impossible")
		case id == "unavailable" && fired.count(id) == 1:
			return eventlog.ErrUnavailable
		}
		return nil
	})))
	waitUntil(t, "the last one fires", func() bool { return fired.count("fine") == 1 })
	if got, want := fired.all(), []string{"fails", "panics", "unavailable", "unavailable", "fine"}; !slices.Equal(got, want) {
		t.Errorf("fired: got %v, want %v", got, want)
	}
	waitUntil(t, "the worker is ready", func() bool { return p.Ready() == nil })
}

// A paused timer lane fires nothing, and still clears deadlines.
func TestPausedTimerDoesNotFire(t *testing.T) {
	t.Parallel()
	now := newClock()
	l := logtest.Open(t, now.set)
	pause(t, l, time.Time{}, timers)
	var fired ids
	p := start(t, l, configOf(expiring(fires(&fired))))
	p.waitLeased(t, timers)
	placeUntil(t, l, "a", now.Now().Add(time.Minute))
	placeUntil(t, l, "b", now.Now().Add(time.Minute))
	now.move(time.Hour)
	confirm(t, l, "a")
	p.caughtUp(t, timers)
	if got := fired.all(); len(got) > 0 {
		t.Errorf("fired: got %v, want none", got)
	}
	resume(t, l, timers)
	waitUntil(t, "b fires", func() bool { return fired.count("b") == 1 })
	p.stop()
	if got := fired.all(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("fired: got %v, want b", got)
	}
}
