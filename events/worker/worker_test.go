package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 21 of the fault matrix: the whole log read again changes nothing.
func TestTheWholeStreamAgainAppendsNothing(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	ids := make([]string, 200)
	for i := range ids {
		ids[i] = fmt.Sprintf("o%d", i)
	}
	place(t, l, ids...)
	p := start(t, l, only(marker(l)))
	for _, e := range expect(t, l, events.PrefixReservation, len(ids)) {
		if e.CausationID == "" {
			t.Fatalf("%s on %s has no cause", e.Type, e.Subject)
		}
	}
	p.stop()
	forget(t, l, "inventory")
	start(t, l, only(marker(l))).caughtUp(t, "inventory")
	if n := count(t, l, events.PrefixReservation); n != len(ids) {
		t.Errorf("%d facts after the second reading, want %d", n, len(ids))
	}
}

// Row 20 of the fault matrix: what cannot be handled becomes a dead letter with its reason; the good ones around it are
// handled, and not delayed by it. What is no event of the shop is set aside by the domain under whose prefix it stands.
func TestGarbageBecomesADeadLetterAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "good1", "panic1", "refuse1")
	want := map[string]string{"orders.panic1": "panic: assignment to entry in nil map", "orders.refuse1": "impossible state"}
	for reason, m := range map[string]*nats.Msg{
		"not an event":                               {Subject: "orders.x1", Data: []byte("{garbage")},
		"unknown event type":                         event(t, "orders.x2", func(m *nats.Msg) { m.Header.Set(events.HeaderType, "orders.sung") }),
		"unknown event version":                      event(t, "orders.x3", func(m *nats.Msg) { m.Header.Set(events.HeaderVersion, "7") }),
		"bad event payload: orders.placed":           event(t, "orders.x4", func(m *nats.Msg) { m.Data = []byte(`{"order_id":7}`) }),
		"bad event payload: orders.placed: jsontext": event(t, "orders.x5", func(m *nats.Msg) { m.Data = make([]byte, 1<<20-1000) }),
	} {
		want[m.Subject] = reason
		if _, err := l.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	place(t, l, "good2")
	p := start(t, l, only(marker(l), listening(l)))
	marked := expect(t, l, events.PrefixReservation, 2)
	if marked[0].Subject != "inventory.reservations.good1" || marked[1].Subject != "inventory.reservations.good2" {
		t.Errorf("marked %s and %s", marked[0].Subject, marked[1].Subject)
	}
	if delay := marked[1].Time.Sub(marked[0].Time); delay > time.Second {
		t.Errorf("what came after the garbage was decided %s after what came before it", delay)
	}
	p.caughtUp(t, "inventory", "orders")
	dead := append(deadLetters(t, l, "orders", 2), deadLetters(t, l, "inventory", len(want)-2)...)
	for _, d := range dead {
		if reason := want[d.Subject]; reason == "" || !strings.Contains(d.Error, reason) {
			t.Errorf("%s is a dead letter because %q, want %q", d.Subject, d.Error, reason)
		}
		delete(want, d.Subject)
		if d.Fingerprint == "" || d.Sequence == 0 || d.Attempt != 1 {
			t.Errorf("dead letter without its circumstances: %+v", d)
		}
	}
	if len(want) > 0 {
		t.Errorf("no dead letters: %v", want)
	}
	if n := countIn(t, l, events.StreamDeadLetters, events.PrefixDeadLetter); n != len(dead) {
		t.Errorf("%d dead letters, want %d", n, len(dead))
	}
}

// listening is a domain that cares for nothing but what is wrong with its own events.
func listening(l *eventlog.Log) worker.Domain {
	return worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(*eventlog.Tx, events.Event, events.ReservationRefused) error { return nil }),
	}}
}

func event(t testing.TB, subject string, change func(*nats.Msg)) *nats.Msg {
	t.Helper()
	m, err := events.Encode(events.Event{ID: subject, Source: "test", Time: time.Now(), Subject: subject, Payload: events.OrderPlaced{OrderID: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	return m
}

func TestMoreFactsThanABatchHoldsAreSplitBetweenEvents(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "big1", "big2", "big3", "small")
	start(t, l, only(marker(l)))
	expect(t, l, events.PrefixReservation, 1801)
}

func TestAnActIsRepeatedAsItsOutcomeSays(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var tries [3]atomic.Int64
	p := start(t, l, only(acting(4, func(ctx context.Context, id string) error {
		switch id {
		case "busy":
			if tries[0].Add(1); worker.Attempt(ctx) < 3 {
				return worker.RetryAfter(10*time.Millisecond, errors.New("busy"))
			}
		case "hopeless":
			tries[1].Add(1)
			return worker.DeadLetter(errors.New("hopeless"))
		case "fine":
			tries[2].Add(1)
		}
		return nil
	})))
	p.holds(t, "actor")
	place(t, l, "busy", "hopeless", "fine")
	dead := deadLetters(t, l, "actor", 1)[0]
	p.caughtUp(t, "actor")
	if got := [3]int64{tries[0].Load(), tries[1].Load(), tries[2].Load()}; got != [3]int64{3, 1, 1} {
		t.Errorf("tried %v, want 3 1 1", got)
	}
	if dead.Subject != "orders.hopeless" || dead.Error != "hopeless" {
		t.Errorf("dead letter %+v", dead)
	}
}

// A worker is ready while it runs, and neither before nor after.
func TestAWorkerThatHasNotBegunIsNotReady(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	w, err := worker.New(t.Context(), l, only(marker(l)))
	if err != nil {
		t.Fatal(err)
	}
	if w.Ready() == nil {
		t.Error("ready before it runs")
	}
	p := start(t, l, only(marker(l)))
	until(t, "the worker is ready", func() bool { return p.Ready() == nil })
	p.stop()
	if p.Ready() == nil {
		t.Error("ready after it was stopped")
	}
}

// A sweep is run again and again, whatever becomes of it.
func TestASweepIsRunAgainAndAgain(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var runs atomic.Int64
	domain := marker(l)
	domain.Periodics = []worker.Periodic{{Name: "sweep", Every: time.Millisecond, Run: func(context.Context) error {
		switch runs.Add(1) {
		case 1:
			return errors.New("not this time")
		case 2:
			panic("not this time")
		}
		return nil
	}}}
	p := start(t, l, only(domain))
	until(t, "it has run five times", func() bool { return runs.Load() >= 5 })
	p.stop()
}
