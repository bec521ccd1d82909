package worker_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Lanes that are paused, with more behind them than the ring holds, do not delay the others; when they go on they read what
// they have missed from the log, in order.
func TestAPausedLaneDelaysNoOther(t *testing.T) {
	t.Parallel()
	const backlog, live = 20_000, 40
	server := logtest.Server(t)
	l, shopper := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	pause(t, shopper, time.Time{}, "inventory", "actor")
	asked := worker.Domain{Name: "payments", Log: l.ForDomain("payments"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error {
			return first(tx, payments, p.OrderID, events.PaymentRequested{OrderID: p.OrderID})
		})}}
	var decided, acted ids
	marks := onPlaced(l, func(tx *eventlog.Tx, id string) error {
		decided.add(id)
		return first(tx, marks, id, events.ReservationReleased{OrderID: id})
	})
	p := start(t, l, only(asked, marks, acting(16, func(_ context.Context, id string) error { acted.add(id); return nil })))
	p.holds(t, "payments", "inventory", "actor")
	placed := placeMany(t, shopper, "o", backlog)
	expect(t, shopper, events.PrefixPayment, backlog)
	if lane := p.lane(t, "inventory"); !lane.Paused || lane.Position >= backlog || len(decided.all())+len(acted.all()) > 0 {
		t.Errorf("the paused lane stands at %d and has decided %d times", lane.Position, len(decided.all()))
	}
	var waits []time.Duration
	for i := range live {
		id := fmt.Sprintf("live%d", i)
		began := time.Now()
		place(t, shopper, id)
		until(t, "the payment is asked for", func() bool { return count(t, shopper, events.PrefixPayment+id) == 1 })
		waits = append(waits, time.Since(began))
		placed = append(placed, id)
	}
	slices.Sort(waits)
	t.Logf("beside lanes that are %d events behind: p50 %s, at most %s", backlog, waits[live/2], waits[live-1])
	if waits[live/2] > 250*time.Millisecond {
		t.Errorf("half of the orders waited for more than %s", waits[live/2])
	}
	resume(t, shopper, "inventory", "actor")
	p.caughtUp(t, "inventory", "actor")
	if !slices.Equal(decided.all(), placed) {
		t.Errorf("decided about %d orders, want %d, in the order of the log", len(decided.all()), len(placed))
	}
	got := acted.all()
	slices.Sort(got)
	slices.Sort(placed)
	if !slices.Equal(got, placed) {
		t.Errorf("%d acts, want one about each of %d orders", len(got), len(placed))
	}
}

// A pause may have an end. It outlasts restarts, and then it is over without anybody doing anything.
func TestAPauseEndsByItself(t *testing.T) {
	t.Parallel()
	now := newClock()
	l := logtest.Open(t, now.by)
	pause(t, l, now.Now().Add(time.Hour), "inventory", "actor")
	var decided, acted ids
	config := func() worker.Config {
		return only(hearing(l, &decided), acting(1, func(_ context.Context, id string) error { acted.add(id); return nil }))
	}
	place(t, l, "a")
	p := start(t, l, config())
	p.holds(t, "inventory", "actor")
	p.stop()
	p = start(t, l, config())
	p.holds(t, "inventory", "actor")
	place(t, l, "b")
	if p.Degraded() == nil || len(decided.all()) > 0 || len(acted.all()) > 0 {
		t.Errorf("degraded: %v; decided about %v and acted on %v", p.Degraded(), decided.all(), acted.all())
	}
	now.move(time.Hour)
	p.caughtUp(t, "inventory", "actor")
	if want := []string{"a", "b"}; !slices.Equal(decided.all(), want) || !slices.Equal(acted.all(), want) {
		t.Errorf("decided about %v and acted on %v, want %v", decided.all(), acted.all(), want)
	}
	if p.Degraded() != nil {
		t.Errorf("degraded: %v", p.Degraded())
	}
}

// The reader begins with what was appended before the process started. An old resumption among it does not end the pause
// that came afterwards.
func TestAnOldResumptionDoesNotEndAPause(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	pause(t, l, time.Time{}, "inventory")
	placeMany(t, l, "o", 400)
	resume(t, l, "inventory")
	placeMany(t, l, "p", 400)
	pause(t, l, time.Time{}, "inventory")
	var decided ids
	p := start(t, l, only(hearing(l, &decided), acting(1, idle)))
	p.holds(t, "inventory")
	p.caughtUp(t, "actor") // the reader has read all of it
	if got := decided.all(); len(got) > 0 {
		t.Errorf("decided about %d orders", len(got))
	}
	resume(t, l, "inventory")
	p.caughtUp(t, "inventory")
}

// A projection that operators have paused writes nothing, and goes on where it was.
func TestAPausedProjectionWritesNothing(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	pause(t, l, time.Time{}, "copy")
	var w written
	p := start(t, l, batches(copying(w.write)))
	p.holds(t, "copy")
	placeMany(t, l, "o", 30)
	if lane := p.lane(t, "copy"); !lane.Paused || lane.Position != 0 || len(w.all()) > 0 {
		t.Errorf("%d were written, the lane is %+v", len(w.all()), lane)
	}
	resume(t, l, "copy")
	p.caughtUp(t, "copy")
	p.stop()
	if got, want := w.all(), upTo(1, 32); !slices.Equal(got, want) {
		t.Errorf("written were %v, want %v", got, want)
	}
}
