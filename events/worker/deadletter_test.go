package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 20 of the fault matrix: an event that cannot be handled becomes a dead letter with its reason. The events around
// it are handled without delay. A message that is not an event becomes a dead letter of the domain that owns its
// subject.
func TestUnhandledEventsBecomeDeadLettersAndTheRestIsHandled(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "good1", "panic1", "refuse1")
	want := map[string]string{"orders.panic1": "panic: assignment to entry in nil map", "orders.refuse1": "impossible state"}
	for reason, m := range map[string]*nats.Msg{
		"not an event":                               {Subject: "orders.x1", Data: []byte("{garbage")},
		"unknown event type":                         encodedOrder(t, "orders.x2", func(m *nats.Msg) { m.Header.Set(events.HeaderType, "orders.sung") }),
		"unknown event version":                      encodedOrder(t, "orders.x3", func(m *nats.Msg) { m.Header.Set(events.HeaderVersion, "7") }),
		"bad event payload: orders.placed":           encodedOrder(t, "orders.x4", func(m *nats.Msg) { m.Data = []byte(`{"order_id":7}`) }),
		"bad event payload: orders.placed: jsontext": encodedOrder(t, "orders.x5", func(m *nats.Msg) { m.Data = make([]byte, 1<<20-1000) }),
	} {
		want[m.Subject] = reason
		if _, err := l.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	place(t, l, "good2")
	p := start(t, l, configOf(marker(l), unreadableOnly(l)))
	marked := waitEvents(t, l, events.PrefixReservation, 2)
	if marked[0].Subject != "inventory.reservations.good1" || marked[1].Subject != "inventory.reservations.good2" {
		t.Errorf("marks: got %s and %s, want good1 and good2", marked[0].Subject, marked[1].Subject)
	}
	if delay := marked[1].Time.Sub(marked[0].Time); delay > time.Second {
		t.Errorf("the order after the unreadable messages was decided %s after the one before them, want 1s at most", delay)
	}
	p.caughtUp(t, "inventory", "orders")
	dead := append(deadLetters(t, l, "orders", 1), deadLetters(t, l, "inventory", len(want)-2)...)
	for _, d := range dead {
		if reason := want[d.Subject]; reason == "" || !strings.Contains(d.Error, reason) {
			t.Errorf("dead letter of %s: got error %q, want %q", d.Subject, d.Error, reason)
		}
		for sequence := range namedBy(d) {
			m, err := l.Get(t.Context(), sequence)
			if err != nil {
				t.Fatal(err)
			}
			delete(want, m.Subject)
		}
		if d.Fingerprint == "" || d.Sequence == 0 || d.Attempt != 1 {
			t.Errorf("dead letter: got %+v, want a fingerprint, a sequence and attempt 1", d)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing dead letters: %v", want)
	}
	if n := countIn(t, l, events.StreamDeadLetters, events.PrefixDeadLetter); n != len(dead) {
		t.Errorf("got %d dead letters, want %d", n, len(dead))
	}
}

// unreadableOnly is a domain that handles only the unreadable messages under its own subjects.
func unreadableOnly(l *eventlog.Log) worker.Domain {
	return worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(*eventlog.Tx, events.Event, events.ReservationRefused) error { return nil }),
	}}
}

func encodedOrder(t testing.TB, subject string, change func(*nats.Msg)) *nats.Msg {
	t.Helper()
	m, err := events.Encode(events.Event{ID: subject, Source: "test", Time: time.Now(), Subject: subject, Revision: 1, Payload: events.OrderPlaced{OrderID: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	return m
}

// Row 67 of the fault matrix: messages that are not events of the shop become few dead letters, which name each of them, and
// write few log lines. An order behind them is handled. Events with an envelope and a body that cannot be read get dead
// letters of their own as long as there are few of them.
func TestManyUnreadableMessagesBecomeFewDeadLetters(t *testing.T) {
	t.Parallel()
	const each = 1000
	var lines lineCounter
	l := logtest.Open(t, func(c *eventlog.Config) { c.Logger = slog.New(&lines) })
	for i := range each {
		for kind, m := range misleading(t, i) {
			if _, err := l.JetStream().PublishMsgAsync(m); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
		}
		if i%100 == 0 {
			receive(t, patience, l.JetStream().PublishAsyncComplete(), "the messages are stored")
		}
	}
	receive(t, patience, l.JetStream().PublishAsyncComplete(), "the messages are stored")
	published := each * len(misleading(t, 0))
	place(t, l, "good")
	p := start(t, l, configOf(marker(l), unreadableOnly(l)))
	waitEvents(t, l, events.PrefixReservation+"good", 1)
	p.caughtUp(t, "inventory", "orders")
	p.stop()
	letters, named := deadLettered(t, l)
	if len(named) != published {
		t.Errorf("got %d messages with a dead letter, want %d", len(named), published)
	}
	if letters > published/10 {
		t.Errorf("got %d dead letters of %d messages, want at most one of ten", letters, published)
	}
	if n := lines.n.Load(); n > int64(published/10) {
		t.Errorf("got %d log lines about %d messages, want at most one about ten", n, published)
	}

	// A process that stopped before its checkpoint is followed by one that reads the messages again.
	deleteCheckpoint(t, l, "orders")
	p = start(t, l, configOf(unreadableOnly(l)))
	p.caughtUp(t, "orders")
	p.stop()
	if n := countIn(t, l, events.StreamDeadLetters, events.PrefixDeadLetter); n > 2*letters {
		t.Errorf("got %d dead letters after the messages were read again, want about %d", n, letters)
	}
}

// deadLettered returns the number of dead letters that were opened, and the sequences of the messages that they name.
func deadLettered(t testing.TB, l *eventlog.Log) (letters int, named map[uint64]bool) {
	t.Helper()
	letters, named = countIn(t, l, events.StreamDeadLetters, events.PrefixDeadLetter), map[uint64]bool{}
	for _, e := range readDeadLetters(t, l, events.PrefixDeadLetter+">", letters) {
		maps.Copy(named, namedBy(e.Payload.(events.DeadLettered)))
	}
	return letters, named
}

// namedBy returns the sequences of the messages that a dead letter is about.
func namedBy(d events.DeadLettered) map[uint64]bool {
	named := map[uint64]bool{d.Sequence: true}
	for _, r := range d.Runs {
		for sequence := r.From; sequence <= r.To; sequence++ {
			named[sequence] = true
		}
	}
	return named
}

// misleading returns messages that look more and more like an event, by what is wrong with them.
func misleading(t testing.TB, i int) map[string]*nats.Msg {
	return map[string]*nats.Msg{
		"no envelope":     {Subject: fmt.Sprintf("orders.bytes%d", i), Data: []byte("{garbage")},
		"an unknown type": encodedOrder(t, fmt.Sprintf("orders.type%d", i), func(m *nats.Msg) { m.Header.Set(events.HeaderType, "orders.sung") }),
		"another's type":  encodedOrder(t, fmt.Sprintf("orders.other%d", i), func(m *nats.Msg) { m.Header.Set(events.HeaderType, "inventory.stock_held") }),
		"no revision":     encodedOrder(t, fmt.Sprintf("orders.number%d", i), func(m *nats.Msg) { m.Header.Del(events.HeaderRevision) }),
		"unreadable body": encodedOrder(t, fmt.Sprintf("orders.body%d", i), func(m *nats.Msg) { m.Data = []byte(`{"order_id":7}`) }),
	}
}

// lineCounter is a log handler that counts lines from warnings on.
type lineCounter struct{ n atomic.Int64 }

func (c *lineCounter) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}
func (c *lineCounter) Handle(context.Context, slog.Record) error { c.n.Add(1); return nil }
func (c *lineCounter) WithAttrs([]slog.Attr) slog.Handler        { return c }
func (c *lineCounter) WithGroup(string) slog.Handler             { return c }

// An event whose decision is too large for one transaction becomes a dead letter. Like any other event, it counts as
// handled only when the dead letter is stored.
func TestTooLargeDecisionWaitsForItsDeadLetter(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	if _, err := l.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: "deadletters.other"}); err != nil {
		t.Fatal(err)
	}
	limitDeadLetters(t, l, 1) // the stream is full
	place(t, l, "huge")
	tried := make(chan struct{}, 100)
	p := start(t, l, configOf(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		tried <- struct{}{}
		facts := make([]events.Payload, eventlog.MaxBatch+1)
		for i := range facts {
			facts[i] = events.ReservationReleased{OrderID: id}
		}
		return marks.Append(tx, id, facts...)
	})))
	for range 3 { // twice in the first round; the third attempt shows that the event was not passed
		receive(t, patience, tried, "the event is decided about again")
	}
	if lane := p.lane(t, "inventory"); lane.Position != 0 {
		t.Errorf("position: got %d, want 0", lane.Position)
	}
	limitDeadLetters(t, l, -1)
	d := deadLetters(t, l, "inventory", 1)[0]
	if d.Subject != "orders.huge" || !strings.Contains(d.Error, eventlog.ErrTooLarge.Error()) {
		t.Errorf("dead letter: got %s with error %q, want orders.huge with %q", d.Subject, d.Error, eventlog.ErrTooLarge)
	}
	p.caughtUp(t, "inventory")
}

func limitDeadLetters(t *testing.T, l *eventlog.Log, messages int64) {
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

// Row 20 of the fault matrix, at the limits of the broker and of JSON: any message can become a dead letter, so that
// the valid ones after it are handled.
func TestHostileMessagesBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	const most, longest = 60_000, 65_240 // of the 64 KB that headers may take
	hostile := map[string]*nats.Msg{
		"no UTF-8 in a header":  encodedOrder(t, "orders.x1", func(m *nats.Msg) { m.Header.Set("note", "caf\xe9"); m.Data = nil }),
		"no UTF-8 in a subject": encodedOrder(t, "orders.caf\xe9", func(m *nats.Msg) { m.Data = nil }),
		"an endless order id": encodedOrder(t, "orders.x3", func(m *nats.Msg) {
			m.Header.Set(events.HeaderCorrelationID, strings.Repeat("x", longest))
			m.Data = nil
		}),
		"an endless event id": encodedOrder(t, "orders.x4", func(m *nats.Msg) {
			m.Header.Set(events.HeaderID, strings.Repeat("x", longest))
			m.Data = nil
		}),
		"all of it at once": encodedOrder(t, "orders.x5", func(m *nats.Msg) {
			m.Header.Set(events.HeaderVersion, strings.Repeat("\x01", most))
			m.Data = make([]byte, 1<<20-most-1000)
		}),
	}
	for description, m := range hostile {
		if _, err := l.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", description, err)
		}
	}
	place(t, l, "good")
	start(t, l, configOf(marker(l)))
	waitEvents(t, l, events.PrefixReservation+"good", 1)
	waitUntil(t, "every hostile message has a dead letter", func() bool {
		_, named := deadLettered(t, l)
		return len(named) == len(hostile)
	})
	letters, _ := deadLettered(t, l)
	for _, e := range readDeadLetters(t, l, events.PrefixDeadLetter+">", letters) {
		d := e.Payload.(events.DeadLettered)
		if d.Error == "" || len(d.Error) > 5_000 || d.Sequence == 0 {
			t.Errorf("dead letter of %s: got sequence %d and an error of %d bytes, want both, and 5000 bytes at most", d.Subject, d.Sequence, len(d.Error))
		}
	}
}

// A dead letter is counted once, even when its event is read again.
func TestDeadLettersAreCountedOnce(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "good1", "refuse1", "panic1", "good2")
	for _, want := range []float64{2, 0} {
		registry := prometheus.NewRegistry()
		config := configOf(marker(l))
		config.Registerer = registry
		p := start(t, l, config)
		p.caughtUp(t, "inventory")
		if n := metric(t, registry, "tillstream_lane_lag_events", "inventory"); n != 0 {
			t.Errorf("lag: got %v events, want 0", n)
		}
		p.stop()
		if n := metric(t, registry, "tillstream_lane_dead_letters_total", "inventory"); n != want {
			t.Errorf("dead letters: got %v, want %v", n, want)
		}
		deleteCheckpoint(t, l, "inventory")
	}
}

// Every process that could run a lane counts its open dead letters: when they are opened, redriven, opened again and
// discarded, and after a restart.
func TestOpenDeadLettersAreCountedInEveryProcess(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s brokenHandler
	shows := func(registry *prometheus.Registry, want float64) {
		t.Helper()
		waitUntil(t, fmt.Sprintf("the metric shows %v open dead letters", want), func() bool {
			return metric(t, registry, "tillstream_lane_open_dead_letters", "inventory") == want
		})
	}
	watched := func() *prometheus.Registry {
		registry := prometheus.NewRegistry()
		config := configOf(s.domain(l))
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
	shows(first, 3) // the redelivery failed
	s.works.Store(true)
	redeliver(t, l, "inventory", 1)
	shows(first, 2)
	publish(t, l, events.Event{Source: "ops", Subject: worker.DeadLetterSubject("inventory", 2),
		Payload: events.DeadLetterDiscarded{Worker: "inventory", Sequence: 2, Reason: "refunded"}})
	shows(first, 1)
	second := watched()
	shows(second, 1)
	redeliver(t, l, "inventory", 3)
	shows(first, 0)
	shows(second, 0)
}
