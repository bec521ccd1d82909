package worker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

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

// Row 67 of the fault matrix: garbage by the thousand under a domain's prefix becomes dead letters, and an order among it is
// handled all the same.
func TestMuchGarbageDoesNotStopALane(t *testing.T) {
	t.Parallel()
	const garbage = 500
	l := logtest.Open(t)
	p := start(t, l, only(marker(l), listening(l)))
	for i := range garbage {
		if _, err := l.JetStream().PublishAsync(fmt.Sprintf("orders.g%d", i), []byte("{garbage")); err != nil {
			t.Fatal(err)
		}
	}
	place(t, l, "good")
	expect(t, l, events.PrefixReservation+"good", 1)
	deadLetters(t, l, "orders", garbage)
	p.caughtUp(t, "inventory", "orders")
}

// An event that leads to more than one transaction holds becomes a dead letter like any other that cannot be handled, and
// like any other it is not done with before the dead letter is stored.
func TestAnEventThatIsTooMuchIsNotDoneWithBeforeItIsADeadLetter(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	if _, err := l.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: "deadletters.other"}); err != nil {
		t.Fatal(err)
	}
	deadLettersHold(t, l, 1) // full
	place(t, l, "huge")
	tried := make(chan struct{}, 100)
	p := start(t, l, only(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		tried <- struct{}{}
		facts := make([]events.Payload, eventlog.MaxBatch+1)
		for i := range facts {
			facts[i] = events.ReservationReleased{OrderID: id}
		}
		return marks.Append(tx, id, facts...)
	})))
	for range 3 { // twice in the first round; the third time shows that the event is still there
		within(t, patience, tried, "the event is tried again")
	}
	if lane := p.lane(t, "inventory"); lane.Position != 0 {
		t.Errorf("the lane has moved on to %d", lane.Position)
	}
	deadLettersHold(t, l, -1)
	d := deadLetters(t, l, "inventory", 1)[0]
	if d.Subject != "orders.huge" || !strings.Contains(d.Error, eventlog.ErrTooLarge.Error()) {
		t.Errorf("%s is a dead letter because %q", d.Subject, d.Error)
	}
	p.caughtUp(t, "inventory")
}

func deadLettersHold(t *testing.T, l *eventlog.Log, messages int64) {
	t.Helper()
	s, err := l.JetStream().Stream(t.Context(), events.StreamDeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	config.MaxMsgs = messages
	if _, err := l.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// Row 20 of the fault matrix, at the limits of the broker and of JSON: whatever a message looks like it can become a dead
// letter, so that the good ones behind it are handled.
func TestWhateverAMessageLooksLikeItCanBecomeADeadLetter(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	const most, longest = 60_000, 65_240 // of the 64 KB that headers may have
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
	start(t, l, only(marker(l)))
	expect(t, l, events.PrefixReservation+"good", 1)
	for _, d := range deadLetters(t, l, "inventory", len(hostile)) {
		if d.Error == "" || len(d.Error) > 5_000 || d.Sequence == 0 {
			t.Errorf("%s is a dead letter of %d with an error of %d bytes", d.Subject, d.Sequence, len(d.Error))
		}
	}
}

// A dead letter is counted once, also when its event is read again.
func TestDeadLettersAreCounted(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "good1", "refuse1", "panic1", "good2")
	for _, want := range []float64{2, 0} {
		registry := prometheus.NewRegistry()
		config := only(marker(l))
		config.Registerer = registry
		p := start(t, l, config)
		p.caughtUp(t, "inventory")
		if n := metric(t, registry, "tillstream_lane_lag_events", "inventory"); n != 0 {
			t.Errorf("a lag of %v events, want 0", n)
		}
		p.stop()
		if n := metric(t, registry, "tillstream_lane_dead_letters_total", "inventory"); n != want {
			t.Errorf("%v dead letters counted, want %v", n, want)
		}
		forget(t, l, "inventory")
	}
}

// How many dead letters of a lane are open is known to every process that could run it: as they are opened, redriven, opened again
// and discarded, and after a restart.
func TestOpenDeadLettersAreCounted(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s stubborn
	shows := func(registry *prometheus.Registry, want float64) {
		t.Helper()
		until(t, fmt.Sprintf("%v dead letters are shown as open", want), func() bool {
			return metric(t, registry, "tillstream_lane_open_dead_letters", "inventory") == want
		})
	}
	watched := func() *prometheus.Registry {
		registry := prometheus.NewRegistry()
		config := only(s.domain(l))
		config.Registerer = registry
		start(t, l, config)
		return registry
	}
	first := watched()
	shows(first, 0)
	place(t, l, "a", "b", "c")
	shows(first, 3)
	redeliver(t, l, "inventory", 1)
	outcomes(t, l, "inventory", 1, 2)
	shows(first, 3) // it failed again
	s.works.Store(true)
	redeliver(t, l, "inventory", 1)
	shows(first, 2)
	say(t, l, events.Event{Source: "ops", Subject: worker.DeadLetterSubject("inventory", 2),
		Payload: events.DeadLetterDiscarded{Worker: "inventory", Sequence: 2, Reason: "refunded"}})
	shows(first, 1)
	second := watched()
	shows(second, 1)
	redeliver(t, l, "inventory", 3)
	shows(first, 0)
	shows(second, 0)
}
