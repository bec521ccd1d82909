package worker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// An event that leads to more than one transaction holds is parked like any other that cannot be handled, and like any
// other it is not done with before it stands in PARKED.
func TestAnEventThatIsTooMuchIsNotDoneWithBeforeItIsParked(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	if _, err := l.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: "parked.other"}); err != nil {
		t.Fatal(err)
	}
	parkedHolds(t, l, 1) // full
	place(t, l, "huge")
	tried := make(chan struct{}, 100)
	start(t, l, worker.Config{Deciders: []worker.Decider{{Name: "marker", Source: events.StreamOrders, Routes: []worker.Route{
		worker.On(func(tx *log.Tx, _ events.Event, p events.OrderPlaced) error {
			tried <- struct{}{}
			facts := make([]events.Payload, log.MaxBatch+1)
			for i := range facts {
				facts[i] = events.ReservationReleased{OrderID: p.OrderID}
			}
			return marks.Append(tx, p.OrderID, facts...)
		})}}}})
	for range 2 { // the second time shows that the event is still there
		select {
		case <-tried:
		case <-time.After(30 * time.Second):
			t.Fatal("it is done with, and nowhere to be found")
		}
	}
	parkedHolds(t, l, -1)
	p := expect(t, l, events.StreamParked, "parked.marker", 1)[0].Payload.(events.EventParked)
	if p.Subject != "orders.huge" || !strings.Contains(p.Error, log.ErrTooLarge.Error()) {
		t.Errorf("parked %s because %q", p.Subject, p.Error)
	}
}

func parkedHolds(t *testing.T, l *log.Log, messages int64) {
	t.Helper()
	s, err := l.Stream(events.StreamParked)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	config.MaxMsgs = messages
	if _, err := l.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// Row 20 of the fault matrix, at the limits of the broker and of JSON: whatever a message looks like it can be parked, so
// that the good ones behind it are handled.
func TestWhateverAMessageLooksLikeItCanBeParked(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	const most, longest = 60_000, 65_340 // of the 64 KB that headers may have; the copy of the longest has some of its own
	hostile := map[string]*nats.Msg{
		"no UTF-8 in a header":  event(t, "orders.x1", func(m *nats.Msg) { m.Header.Set("note", "caf\xe9"); m.Data = nil }),
		"no UTF-8 in a subject": event(t, "orders.caf\xe9", func(m *nats.Msg) { m.Data = nil }),
		"an endless order id": event(t, "orders.x3", func(m *nats.Msg) {
			m.Header.Set(events.HeaderCorrelationID, strings.Repeat("x", longest))
			m.Data = nil
		}),
		"an endless event id": event(t, "orders.x4", func(m *nats.Msg) {
			m.Header.Set(events.HeaderID, strings.Repeat("x", longest))
			m.Data = nil
		}),
		"all of it at once": event(t, "orders.x5", func(m *nats.Msg) {
			m.Header.Set(events.HeaderVersion, strings.Repeat("\x01", most))
			m.Data = make([]byte, 1<<20-most-1000)
		}),
	}
	for what, m := range hostile {
		if _, err := l.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	place(t, l, "good")
	start(t, l, worker.Config{Deciders: []worker.Decider{marker("marker")}})
	expect(t, l, events.StreamInventory, "inventory.reservations.good", 1)
	for _, e := range expect(t, l, events.StreamParked, "parked.marker", len(hostile)) {
		p := e.Payload.(events.EventParked)
		if p.Error == "" || len(p.Error) > 5_000 || len(p.Headers) == 0 {
			t.Errorf("%s parked with %d headers and an error of %d bytes", p.Subject, len(p.Headers), len(p.Error))
		}
	}
}
