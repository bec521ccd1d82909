package notifications_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/notifications"
	"tillstream/notifications/inbox"
)

// What a process knows and could not write down is written down later, not asked of the mail server again.
func TestUnrecordedResultIsRecordedLater(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	p := &fixture{log: logtest.OpenOn(t, server), box: startInbox(t)}
	e, m := p.queueMessage(t, refund("o1"))
	p.startAttempt(t, m)
	s := p.service(t)
	away := logtest.OpenOn(t, server)
	away.Close() // it still reads, and takes no writes
	back := s.SwapLog(away)
	if err := s.Record(t.Context(), e, "o1", events.MessageSent{OrderID: "o1", MessageID: m.MessageID}); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Fatalf("recorded in a log that is closed: %v", err)
	}
	s.SwapLog(back)
	if err := s.Act(t.Context(), e, m); err != nil {
		t.Fatal(err)
	}
	if got := p.state(t, "o1").Messages[0].Status; got != notifications.StatusSent {
		t.Errorf("it is %s, want sent", got)
	}
	if got := len(p.mailsWithID(m.MessageID)); got != 0 {
		t.Errorf("%d more mails", got)
	}
}

// Row 53 of the fault matrix: a mail that the server took is not sent again by another replica because the log was
// away for a while just then.
func TestSentMailIsNotRepeatedAfterALogOutage(t *testing.T) {
	t.Parallel()
	const patience = 300 * time.Millisecond
	server := logtest.Server(t)
	p := &fixture{log: logtest.OpenOn(t, server), box: startInbox(t)}
	e, m := p.queueMessage(t, confirmation("o1"))
	wire := logtest.NewProxy(t, strings.TrimPrefix(server.URL(), "nats://"))
	sender, other := p.service(t), p.service(t)
	sender.SwapLog(logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+wire.Addr()), func(c *eventlog.Config) { c.Patience = patience }))
	away := sync.OnceFunc(func() {
		wire.Refuse()
		time.AfterFunc(3*patience, wire.Release)
	})
	p.box.Intercept(func(_ context.Context, at inbox.Stage, _, _ string) error {
		if at == inbox.StageStored {
			away()
		}
		return nil
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := sender.Act(t.Context(), e, m); err != nil {
			t.Errorf("the sender is to come back: %v", err)
		}
	}()
	waitFor(t, "the mail has arrived", func() bool { return len(p.mailsWithID(m.MessageID)) > 0 })
	waitFor(t, "the other replica has nothing left to do", func() bool { return other.Act(t.Context(), e, m) == nil })
	<-done
	if got := len(p.mailsWithID(m.MessageID)); got != 1 {
		t.Errorf("%d mails, want 1", got)
	}
}
