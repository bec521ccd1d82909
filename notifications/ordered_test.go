package notifications_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/notifications"
)

// A mail says what was ordered. Where the order's first event does not say that, its mail is a dead letter, and the others
// go out.
func TestMailOfAnOrderThatDoesNotBeginWithItsPlacement(t *testing.T) {
	t.Parallel()
	p := open(t)
	err := p.log.Do(t.Context(), func(tx *log.Tx) error {
		return errors.Join(
			orders.Append(tx, "another", notifications.SamplePlaced("o1"), notifications.SampleConfirmed("another")),
			orders.Append(tx, "unplaced", notifications.SampleConfirmed("unplaced")),
			orders.Append(tx, "else", events.OrderExpired{OrderOutcome: notifications.SampleOutcome("absent")}), // of an order without events
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	p.runs(t, p.service(t))
	p.confirms(t, 1, 3)
	p.becomes(t, "o1", 0, notifications.StatusSent)
	p.becomes(t, "o2", 0, notifications.StatusSent)
	p.settled(t)
	stream, err := p.log.JetStream().Stream(t.Context(), events.StreamDeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 3 || len(p.box.Messages("")) != 2 {
		t.Errorf("%d dead letters and %d mails, want 3 and 2", n, len(p.box.Messages("")))
	}
}

// While the log is away nobody can say what was ordered. That is no fault of the mail's: it is sent later.
func TestMailWhoseOrderCannotBeReadForNow(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	p := &post{log: logtest.OpenOn(t, server), box: startInbox(t)}
	e, m := p.queued(t, confirmation("o1"))
	wire := logtest.NewProxy(t, strings.TrimPrefix(server.URL(), "nats://"))
	over := logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+wire.Addr()), func(c *log.Config) { c.Patience = 300 * time.Millisecond })
	if _, _, err := notifications.Notifications.Read(t.Context(), over, "o1"); err != nil { // so that only the order is asked for
		t.Fatal(err)
	}
	s := p.service(t)
	s.SwapLog(over)
	wire.Refuse()
	if err := s.Act(t.Context(), e, m); !errors.Is(err, log.ErrUnavailable) {
		t.Errorf("got %v, want log.ErrUnavailable", err)
	}
	if got := len(p.box.Messages("")); got != 0 {
		t.Errorf("%d mails", got)
	}
	wire.Release()
	waitFor(t, "the mail is sent", func() bool { return s.Act(t.Context(), e, m) == nil })
	if got := len(p.mails(m.MessageID)); got != 1 {
		t.Errorf("%d mails, want 1", got)
	}
}
