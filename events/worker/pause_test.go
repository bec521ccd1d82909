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

// Paused lanes with a backlog larger than the ring do not delay the other lanes; after the pause they read the backlog
// from the log, in order.
func TestPausedLaneDelaysNoOther(t *testing.T) {
	t.Parallel()
	const backlog, live = 20_000, 40
	server := logtest.Server(t)
	l, shopper := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	pause(t, shopper, time.Time{}, "inventory", "actor")
	request := worker.Domain{Name: "payments", Log: l.ForDomain("payments"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error {
			return onceNew(tx, payments, p.OrderID, events.PaymentRequested{OrderID: p.OrderID})
		})}}
	var decided, acted ids
	reserve := onPlaced(l, func(tx *eventlog.Tx, id string) error {
		decided.add(id)
		return onceNew(tx, marks, id, events.ReservationReleased{OrderID: id})
	})
	p := start(t, l, configOf(request, reserve, acting(16, func(_ context.Context, id string) error { acted.add(id); return nil })))
	p.waitLeased(t, "payments", "inventory", "actor")
	placed := placeMany(t, shopper, "o", backlog)
	waitEvents(t, shopper, events.PrefixPayment, backlog)
	if lane := p.lane(t, "inventory"); !lane.Paused || lane.Position >= backlog || len(decided.all())+len(acted.all()) > 0 {
		t.Errorf("paused lane: got position %d and %d decisions, want less than the backlog and none", lane.Position, len(decided.all()))
	}
	var waits []time.Duration
	for i := range live {
		id := fmt.Sprintf("live%d", i)
		began := time.Now()
		place(t, shopper, id)
		waitUntil(t, "the payment is requested", func() bool { return count(t, shopper, events.PrefixPayment+id) == 1 })
		waits = append(waits, time.Since(began))
		placed = append(placed, id)
	}
	slices.Sort(waits)
	t.Logf("beside lanes with a backlog of %d events: p50 %s, maximum %s", backlog, waits[live/2], waits[live-1])
	if waits[live/2] > 250*time.Millisecond {
		t.Errorf("p50: got %s, want 250ms at most", waits[live/2])
	}
	resume(t, shopper, "inventory", "actor")
	p.caughtUp(t, "inventory", "actor")
	if !slices.Equal(decided.all(), placed) {
		t.Errorf("got decisions about %d orders, want %d, in the order of the log", len(decided.all()), len(placed))
	}
	got := acted.all()
	slices.Sort(got)
	slices.Sort(placed)
	if !slices.Equal(got, placed) {
		t.Errorf("got %d acts, want one for each of %d orders", len(got), len(placed))
	}
}

// A pause with an end outlasts restarts, and ends without a command.
func TestPauseEndsAtItsTime(t *testing.T) {
	t.Parallel()
	now := newClock()
	l := logtest.Open(t, now.set)
	pause(t, l, now.Now().Add(time.Hour), "inventory", "actor")
	var decided, acted ids
	config := func() worker.Config {
		return configOf(recording(l, &decided), acting(1, func(_ context.Context, id string) error { acted.add(id); return nil }))
	}
	place(t, l, "a")
	p := start(t, l, config())
	p.waitLeased(t, "inventory", "actor")
	p.stop()
	p = start(t, l, config())
	p.waitLeased(t, "inventory", "actor")
	place(t, l, "b")
	if p.Degraded() == nil || len(decided.all()) > 0 || len(acted.all()) > 0 {
		t.Errorf("got degraded %v, decisions %v, acts %v; want ErrPaused and none", p.Degraded(), decided.all(), acted.all())
	}
	now.move(time.Hour)
	p.caughtUp(t, "inventory", "actor")
	if want := []string{"a", "b"}; !slices.Equal(decided.all(), want) || !slices.Equal(acted.all(), want) {
		t.Errorf("got decisions %v and acts %v, want %v of each", decided.all(), acted.all(), want)
	}
	if p.Degraded() != nil {
		t.Errorf("degraded: got %v, want nil", p.Degraded())
	}
}

// The reader begins with events from before the start of the process. An old resumption among them does not end a later
// pause.
func TestOldResumptionDoesNotEndAPause(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	pause(t, l, time.Time{}, "inventory")
	placeMany(t, l, "o", 400)
	resume(t, l, "inventory")
	placeMany(t, l, "p", 400)
	pause(t, l, time.Time{}, "inventory")
	var decided ids
	p := start(t, l, configOf(recording(l, &decided), acting(1, idle)))
	p.waitLeased(t, "inventory")
	p.caughtUp(t, "actor") // so the reader has read every event
	if got := decided.all(); len(got) > 0 {
		t.Errorf("got %d decisions of a paused lane, want none", len(got))
	}
	resume(t, l, "inventory")
	p.caughtUp(t, "inventory")
}

// A paused projection writes nothing, and continues from the same position.
func TestPausedProjectionWritesNothing(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	pause(t, l, time.Time{}, "copy")
	var w written
	p := start(t, l, configOfBatches(copyBatch(w.write)))
	p.waitLeased(t, "copy")
	placeMany(t, l, "o", 30)
	if lane := p.lane(t, "copy"); !lane.Paused || lane.Position != 0 || len(w.all()) > 0 {
		t.Errorf("got %d messages written, lane %+v; want none, and a paused lane at 0", len(w.all()), lane)
	}
	resume(t, l, "copy")
	p.caughtUp(t, "copy")
	p.stop()
	if got, want := w.all(), sequenceRange(1, 32); !slices.Equal(got, want) {
		t.Errorf("written: got %v, want %v", got, want)
	}
}
