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
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// marks is an entity that takes note of an order once.
var marks = log.Kind[int]{Stream: events.StreamInventory, Prefix: events.PrefixReservation,
	Evolve: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

var orders = log.Kind[int]{Stream: events.StreamOrders, Prefix: events.PrefixOrder,
	Evolve: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

func markOnce(tx *log.Tx, id string) error {
	n, err := marks.Load(tx, id)
	if err != nil || n > 0 {
		return err
	}
	return marks.Append(tx, id, events.ReservationReleased{OrderID: id})
}

func marker(name string) worker.Decider {
	return worker.Decider{Name: name, Source: events.StreamOrders, Routes: []worker.Route{
		worker.On(func(tx *log.Tx, _ events.Event, p events.OrderPlaced) error {
			switch {
			case strings.HasPrefix(p.OrderID, "panic"):
				var nothing map[string]int
				nothing["x"] = 1 //nolint:govet,staticcheck // the panic is the point
			case strings.HasPrefix(p.OrderID, "refuse"):
				return errors.New("impossible state")
			case strings.HasPrefix(p.OrderID, "big"):
				for i := range 600 {
					if err := marks.Append(tx, fmt.Sprintf("%s-%d", p.OrderID, i), events.ReservationReleased{}); err != nil {
						return err
					}
				}
				return nil
			}
			return markOnce(tx, p.OrderID)
		}),
	}}
}

func place(t testing.TB, l *log.Log, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return orders.Append(tx, id, events.OrderPlaced{OrderID: id}) }); err != nil {
			t.Fatal(err)
		}
	}
}

// start runs a worker until the test ends or stop is called; stop waits for it.
func start(t testing.TB, l *log.Log, config worker.Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := worker.New(l, config).Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// expect waits until n events stand on the subjects of a stream, and returns them.
func expect(t testing.TB, l *log.Log, stream, subject string, n int) []events.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []events.Event
	enough := errors.New("enough")
	err := l.Tail(ctx, stream, []string{subject}, log.FromBeginning, nil, func(e events.Event) error {
		if got = append(got, e); len(got) == n {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("%d of %d events on %s: %v", len(got), n, subject, err)
	}
	return got
}

func count(t testing.TB, l *log.Log, stream string) uint64 {
	t.Helper()
	s, err := l.Stream(stream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

// caughtUp waits until a consumer has acknowledged all of its stream.
func caughtUp(t testing.TB, l *log.Log, stream, consumer string) {
	t.Helper()
	for ticker := time.NewTicker(10 * time.Millisecond); ; {
		if c, err := l.JetStream().Consumer(t.Context(), stream, consumer); err == nil {
			if done, err := logtest.CaughtUp(t.Context(), l.JetStream(), c.CachedInfo()); err == nil && done && c.CachedInfo().Delivered.Consumer > 0 {
				ticker.Stop()
				return
			}
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("not caught up")
		}
	}
}

// Row 21 of the fault matrix: the whole stream delivered again changes nothing.
func TestTheWholeStreamAgainAppendsNothing(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	ids := make([]string, 200)
	for i := range ids {
		ids[i] = fmt.Sprintf("o%d", i)
	}
	place(t, l, ids...)
	stop := start(t, l, worker.Config{Deciders: []worker.Decider{marker("marker")}})
	for _, e := range expect(t, l, events.StreamInventory, "inventory.reservations.*", len(ids)) {
		if e.CausationID == "" {
			t.Fatalf("%s on %s has no cause", e.Type, e.Subject)
		}
	}
	stop()
	if err := l.JetStream().DeleteConsumer(t.Context(), events.StreamOrders, "marker"); err != nil {
		t.Fatal(err)
	}
	start(t, l, worker.Config{Deciders: []worker.Decider{marker("marker")}})
	caughtUp(t, l, events.StreamOrders, "marker")
	if n := count(t, l, events.StreamInventory); n != uint64(len(ids)) {
		t.Errorf("%d facts after the second delivery, want %d", n, len(ids))
	}
}

// Row 20 of the fault matrix: what cannot be handled is parked with its reason; the good ones around it are handled, and
// not delayed by it.
func TestGarbageIsParkedAndTheRestGoesOn(t *testing.T) {
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
	start(t, l, worker.Config{Deciders: []worker.Decider{marker("marker")}})
	marked := expect(t, l, events.StreamInventory, "inventory.reservations.*", 2)
	if marked[0].Subject != "inventory.reservations.good1" || marked[1].Subject != "inventory.reservations.good2" {
		t.Errorf("marked %s and %s", marked[0].Subject, marked[1].Subject)
	}
	if delay := marked[1].Time.Sub(marked[0].Time); delay > time.Second {
		t.Errorf("what came after the garbage was decided %s after what came before it", delay)
	}
	for _, e := range expect(t, l, events.StreamParked, "parked.marker", len(want)) {
		p := e.Payload.(events.EventParked)
		if reason := want[p.Subject]; reason == "" || !strings.Contains(p.Error, reason) {
			t.Errorf("%s parked because %q, want %q", p.Subject, p.Error, reason)
		}
		delete(want, p.Subject)
		if p.Fingerprint == "" || p.Sequence == 0 || p.Worker != "marker" {
			t.Errorf("parked without its circumstances: %+v", p)
		}
	}
	if len(want) > 0 {
		t.Errorf("not parked: %v", want)
	}
}

func event(t testing.TB, subject string, change func(*nats.Msg)) *nats.Msg {
	t.Helper()
	m, err := events.Encode(events.Event{ID: subject, Time: time.Now(), Subject: subject, Payload: events.OrderPlaced{OrderID: "x"}})
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
	start(t, l, worker.Config{Deciders: []worker.Decider{marker("marker")}})
	expect(t, l, events.StreamInventory, "inventory.reservations.*", 1801)
}

func TestAnActIsRepeatedAsItsOutcomeSays(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var tries [3]atomic.Int64
	actor := worker.Actor{Name: "actor", Source: events.StreamOrders, Concurrency: 4, Routes: []worker.ActRoute{
		worker.Do(func(ctx context.Context, _ events.Event, p events.OrderPlaced) error {
			switch p.OrderID {
			case "busy":
				if tries[0].Add(1); worker.Attempt(ctx) < 3 {
					return worker.RetryAfter(10*time.Millisecond, errors.New("busy"))
				}
			case "hopeless":
				tries[1].Add(1)
				return worker.Park(errors.New("hopeless"))
			case "fine":
				tries[2].Add(1)
			}
			return nil
		}),
	}}
	place(t, l, "busy", "hopeless", "fine")
	start(t, l, worker.Config{Actors: []worker.Actor{actor}})
	parked := expect(t, l, events.StreamParked, "parked.actor", 1)[0].Payload.(events.EventParked)
	caughtUp(t, l, events.StreamOrders, "actor")
	if got := [3]int64{tries[0].Load(), tries[1].Load(), tries[2].Load()}; got != [3]int64{3, 1, 1} {
		t.Errorf("tried %v, want 3 1 1", got)
	}
	if parked.Subject != "orders.hopeless" || parked.Error != "hopeless" {
		t.Errorf("parked %+v", parked)
	}
}

func TestConsumersAreOnesThatTheBrokerTakes(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	start(t, l, worker.Config{Deciders: []worker.Decider{marker("marker")}})
	place(t, l, "a")
	caughtUp(t, l, events.StreamOrders, "marker")
	s, err := l.JetStream().Stream(t.Context(), events.StreamOrders)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Consumer(t.Context(), "marker")
	if err != nil {
		t.Fatal(err)
	}
	if config := c.CachedInfo().Config; config.AckPolicy != jetstream.AckExplicitPolicy || config.PriorityPolicy != jetstream.PriorityPolicyPinned {
		t.Errorf("consumer is %+v", config)
	}
}
