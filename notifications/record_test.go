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

// A result that could not be recorded is recorded later, and the mail is not sent again.
func TestUnrecordedResultIsRecordedLater(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	p := &fixture{log: logtest.OpenOn(t, server), box: startInbox(t)}
	e, m := p.queueMessage(t, refund("o1"))
	p.startAttempt(t, m)
	s := p.service(t)
	closed := logtest.OpenOn(t, server)
	closed.Close() // it reads, and refuses to append
	working := s.SwapLog(closed)
	if err := s.Record(t.Context(), e, "o1", events.MessageSent{OrderID: "o1", MessageID: m.MessageID}); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Fatalf("record in a closed log: got %v, want log.ErrUnavailable", err)
	}
	s.SwapLog(working)
	if err := s.Act(t.Context(), e, m); err != nil {
		t.Fatal(err)
	}
	if got := p.state(t, "o1").Messages[0].Status; got != notifications.StatusSent {
		t.Errorf("got status %s, want sent", got)
	}
	p.expectMails(t, m.MessageID, 0)
}

// Row 53 of the fault matrix: the log is unavailable when the server accepts a mail. Another replica does not send the mail again.
func TestSentMailIsNotRepeatedAfterALogOutage(t *testing.T) {
	t.Parallel()
	const patience = 300 * time.Millisecond
	server := logtest.Server(t)
	p := &fixture{log: logtest.OpenOn(t, server), box: startInbox(t)}
	e, m := p.queueMessage(t, confirmation("o1"))
	wire := logtest.NewProxy(t, strings.TrimPrefix(server.URL(), "nats://"))
	sender, other := p.service(t), p.service(t)
	sender.SwapLog(logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+wire.Addr()), func(c *eventlog.Config) { c.Patience = patience }))
	breakLog := sync.OnceFunc(func() {
		wire.Refuse()
		time.AfterFunc(3*patience, wire.Release)
	})
	p.box.Intercept(func(_ context.Context, at inbox.Stage, _, _ string) error {
		if at == inbox.StageStored {
			breakLog()
		}
		return nil
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := sender.Act(t.Context(), e, m); err != nil {
			t.Errorf("sender after the outage: got %v, want no error", err)
		}
	}()
	waitFor(t, "the mail has arrived", func() bool { return len(p.mailsWithID(m.MessageID)) > 0 })
	waitFor(t, "the other replica has nothing to do", func() bool { return other.Act(t.Context(), e, m) == nil })
	<-done
	p.expectMails(t, m.MessageID, 1)
}
