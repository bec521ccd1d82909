package worker_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

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
