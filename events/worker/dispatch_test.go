package worker_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// item returns the message at a sequence for a dispatcher.
func item(t testing.TB, l *eventlog.Log, sequence uint64) *worker.Item {
	t.Helper()
	m, err := l.Get(t.Context(), sequence)
	if err != nil {
		t.Fatal(err)
	}
	return &worker.Item{Message: m}
}

// A dry run returns what every domain would append and which actors would act, through the whole cascade, and has no
// effect. Facts that are stored already would not be appended again.
func TestDryRunDecidesTheWholeCascadeAndHasNoEffect(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	s := newShop()
	bank := worker.Domain{Name: "bank", Actors: []worker.Actor{{Name: "bank.calls", Routes: []worker.ActRoute{
		worker.Do(func(context.Context, events.Event, events.PaymentRequested) error {
			t.Error("a dry run acted")
			return nil
		}),
		worker.Do(func(context.Context, events.Event, events.OrderPlaced) error { t.Error("a dry run acted"); return nil })}}}}
	d := worker.NewDispatcher(s.inventory(l), s.orders(l), s.payments(l), bank)
	place(t, l, "a")
	effects, err := d.Dispatch(t.Context(), worker.Delivery{Item: item(t, l, 1)}, true)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, f := range effects.Facts {
		types = append(types, f.Type)
	}
	if diff := cmp.Diff(chain, types); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if want := (worker.Effect{Handler: "orders", Type: "orders.awaiting_payment", Subject: "orders.a"}); effects.Facts[2] != want {
		t.Errorf("the third fact: got %+v, want %+v", effects.Facts[2], want)
	}
	acts := []worker.Effect{{Handler: "bank.calls", Type: "payments.requested", Subject: "payments.a"}, {Handler: "bank.calls", Type: "orders.placed", Subject: "orders.a"}}
	if diff := cmp.Diff(acts, effects.Acts); diff != "" {
		t.Errorf("acts (-want +got):\n%s", diff)
	}
	if n := lastSequence(t, l); n != 1 {
		t.Errorf("got %d events in the log, want 1", n)
	}
	p := start(t, l, s.all(l))
	p.caughtUp(t, lanes...)
	waitEvents(t, l, events.PrefixReservation+"a", 2)
	if effects, err = d.Dispatch(t.Context(), worker.Delivery{Item: item(t, l, 1), Lane: "inventory"}, true); err != nil || len(effects.Facts) > 0 {
		t.Errorf("got effects %+v (%v), want no fact", effects, err)
	}
}

// A dry run names the lanes that would fail, for the event itself and for its cascade. An unavailable log is an error.
func TestDryRunNamesTheLanesThatFail(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	s := newShop()
	fails := ""
	s.fail = func(lane string, e events.Event) error {
		if e.Type == fails {
			panic("no rule for " + lane)
		}
		return nil
	}
	d := worker.NewDispatcher(s.inventory(l), s.orders(l), s.payments(l))
	place(t, l, "a")
	for fails = range map[string]int{"orders.placed": 0, "orders.awaiting_payment": 3} {
		effects, err := d.Dispatch(t.Context(), worker.Delivery{Item: item(t, l, 1)}, true)
		if err != nil || len(effects.Failures) != 1 || effects.Failures[0].Type != fails || effects.Failures[0].Error == "" {
			t.Errorf("%s: got failures %+v (%v), want one", fails, effects.Failures, err)
		}
	}
	if _, err := d.Dispatch(t.Context(), worker.Delivery{Item: item(t, l, 1), Lane: "nowhere"}, true); err == nil {
		t.Error("a lane that does not exist: got nil, want an error")
	}
	fails = "" // otherwise no request is sent to the broker
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Dispatch(gone, worker.Delivery{Item: item(t, l, 1)}, true); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: got %v, want context.Canceled", err)
	}
}

// Without running lanes a dispatcher commits the decisions about an event, and acts on it.
func TestDispatcherWithoutLanesHandlesAnEvent(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	s := newShop()
	var made acts
	d := worker.NewDispatcher(s.inventory(l), s.orders(l), acting(1, func(ctx context.Context, id string) error { made.add(ctx, id); return nil }))
	place(t, l, "a")
	for attempt := range 2 {
		if _, err := d.Dispatch(t.Context(), worker.Delivery{Item: item(t, l, 1), Attempt: attempt + 1}, false); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"inventory inventory.reservation_held"}, histories(t, l)["inventory.reservations.a"]); diff != "" {
		t.Errorf("handled twice (-want +got):\n%s", diff)
	}
	if got := made.String(); got != "map[a:[1 2]]" {
		t.Errorf("attempts: got %s, want 1 and 2", got)
	}
}

// An event that was declared void is not handled again, even when its handler would succeed: its dead letter is to be
// discarded.
func TestVoidEventIsNotRedelivered(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s brokenHandler
	s.deadLetter(t, l, "a")
	m, err := l.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventlog.Void(t.Context(), l, m, events.Author{Actor: "key:ops", Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	s.works.Store(true)
	start(t, l, configOf(s.domain(l)))
	redeliver(t, l, "inventory", 1)
	if got := outcomes(t, l, "inventory", 1, 2); !strings.Contains(got[1], "event 1 was declared void") {
		t.Errorf("dead letter: got %v, want that the event was declared void", got)
	}
	if handled := s.handled.all(); len(handled) != 0 {
		t.Errorf("handled again: got %v, want none", handled)
	}
}
