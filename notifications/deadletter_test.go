package notifications_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
	"tillstream/notifications"
)

// lane is the lane that sends mails.
const lane = "notifications.mail"

// Row 20 of the fault matrix: a mail that cannot be rendered is a dead letter. After a fix it is redriven and sent once, even if
// the process ends after the mail was sent and before the dead letter is updated, and if two redeliveries were requested.
func TestRedrivenMailIsSentOnce(t *testing.T) {
	t.Parallel()
	p := open(t)
	stop := p.startFailing(t)
	p.appendOrder(t, "o1", notifications.SampleConfirmed("o1"))
	waitFor(t, "the mail is a dead letter", func() bool { return p.countDeadLetters(t) == 1 })
	stop()
	queued := p.history(t, "o1")[0].Sequence

	p.limitDeadLetters(t, 1) // full, so the result of the redelivery cannot be stored
	stop = p.start(t, p.service(t, withDefaultDeadline))
	for _, id := range []string{"first", "second"} {
		if _, err := worker.Redeliver(t.Context(), p.log.ForDomain("ops"), id, events.Author{Actor: "key:ops", Reason: "template fixed"}, map[string][]uint64{lane: {queued}}); err != nil {
			t.Fatal(err)
		}
	}
	m := p.waitForStatus(t, "o1", 0, notifications.StatusSent)
	stop()
	if n := p.countDeadLetters(t); n != 1 {
		t.Fatalf("dead letter stream: got %d messages, want 1", n)
	}
	p.limitDeadLetters(t, -1)
	p.start(t, p.service(t, withDefaultDeadline))
	waitFor(t, "the result of the redelivery is stored", func() bool { return p.countDeadLetters(t) == 2 })
	p.waitUntilIdle(t)
	if mails := p.mailsWithID(m.ID); len(mails) != 1 || m.Attempt != 1 {
		t.Errorf("got %d mails in %d attempts, want 1 in 1", len(mails), m.Attempt)
	}
	if n := p.countDeadLetters(t); n != 2 {
		t.Errorf("dead letter stream: got %d messages, want 2", n)
	}
}

// startFailing runs the domain with an act that cannot render any mail.
func (p *fixture) startFailing(t *testing.T) (stop func()) {
	t.Helper()
	d := p.service(t).Worker()
	d.Actors[0].Routes = []worker.ActRoute{worker.Do(func(context.Context, events.Event, events.MessageQueued) error {
		return worker.DeadLetter(errors.New("no template"))
	})}
	w, err := worker.New(t.Context(), p.log, worker.Config{Domains: []worker.Domain{d}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func (p *fixture) deadLetterStream(t *testing.T) jetstream.Stream {
	t.Helper()
	stream, err := p.log.JetStream().Stream(t.Context(), events.StreamDeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// countDeadLetters returns the number of messages in the stream of dead letters.
func (p *fixture) countDeadLetters(t *testing.T) uint64 {
	t.Helper()
	return p.deadLetterStream(t).CachedInfo().State.Msgs
}

// limitDeadLetters limits the number of messages in the stream of dead letters, -1 for no limit.
func (p *fixture) limitDeadLetters(t *testing.T, messages int64) {
	t.Helper()
	config := p.deadLetterStream(t).CachedInfo().Config
	config.MaxMsgs = messages
	if _, err := p.log.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// A mail needs the first event of its order. Without a matching orders.placed the mail is a dead letter, and the others are sent.
func TestMailWithoutItsOrderIsADeadLetter(t *testing.T) {
	t.Parallel()
	p := open(t)
	err := p.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		return errors.Join(
			orders.Append(tx, "another", notifications.SamplePlaced("o1"), notifications.SampleConfirmed("another")),
			orders.Append(tx, "unplaced", notifications.SampleConfirmed("unplaced")),
			orders.Append(tx, "else", events.OrderExpired{OrderOutcome: notifications.SampleOutcome("absent")}), // of an order without events
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	p.start(t, p.service(t))
	p.confirmOrders(t, 1, 3)
	p.waitForStatus(t, "o1", 0, notifications.StatusSent)
	p.waitForStatus(t, "o2", 0, notifications.StatusSent)
	p.waitUntilIdle(t)
	if n := p.countDeadLetters(t); n != 3 || len(p.box.Messages("")) != 2 {
		t.Errorf("got %d dead letters and %d mails, want 3 and 2", n, len(p.box.Messages("")))
	}
}

// While the log is unavailable the order cannot be read. The mail is sent later and does not fail.
func TestMailWaitsWhileItsOrderCannotBeRead(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	p := &fixture{log: logtest.OpenOn(t, server), box: startInbox(t)}
	e, m := p.queueMessage(t, confirmation("o1"))
	wire := logtest.NewProxy(t, strings.TrimPrefix(server.URL(), "nats://"))
	over := logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+wire.Addr()), func(c *eventlog.Config) { c.Patience = 300 * time.Millisecond })
	if _, _, err := notifications.Notifications.Read(t.Context(), over, "o1"); err != nil { // now only the order is not cached
		t.Fatal(err)
	}
	s := p.service(t)
	s.SwapLog(over)
	wire.Refuse()
	if err := s.Act(t.Context(), e, m); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("got %v, want log.ErrUnavailable", err)
	}
	if got := len(p.box.Messages("")); got != 0 {
		t.Errorf("got %d mails, want 0", got)
	}
	wire.Release()
	waitFor(t, "the mail is sent", func() bool { return s.Act(t.Context(), e, m) == nil })
	p.expectMails(t, m.MessageID, 1)
}
