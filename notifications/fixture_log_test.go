package notifications_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/notifications"
	"tillstream/notifications/inbox"
)

// mailsWithID returns the mails with a Message-ID.
func (p *fixture) mailsWithID(messageID string) []inbox.Message {
	return slices.DeleteFunc(p.box.Messages(""), func(m inbox.Message) bool { return m.MessageID != messageID })
}

// expectMails checks how many mails with a Message-ID have arrived.
func (p *fixture) expectMails(t testing.TB, messageID string, want int) {
	t.Helper()
	if got := len(p.mailsWithID(messageID)); got != want {
		t.Errorf("mails %s: got %d, want %d", messageID, got, want)
	}
}

// appendAgain confirms the first n orders again, as new events of one batch.
func (p *fixture) appendAgain(t testing.TB, n int) {
	t.Helper()
	err := p.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		for i := range n {
			id := fmt.Sprint("o", i)
			if err := orders.Append(tx, id, notifications.SampleConfirmed(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// countEvents returns the number of events that the domain has in the log.
func (p *fixture) countEvents(t testing.TB) (n int) {
	t.Helper()
	p.readLog(t, func(m eventlog.Message) {
		if strings.HasPrefix(m.Subject, events.PrefixNotification) {
			n++
		}
	})
	return n
}

// readLog calls fn for every event that is in the log now.
func (p *fixture) readLog(t testing.TB, fn func(eventlog.Message)) {
	t.Helper()
	end, err := p.log.End(t.Context(), 0)
	if err != nil || end == 0 {
		t.Fatalf("end of the log: got %d, %v; want more than 0", end, err)
	}
	done := errors.New("done")
	err = p.log.Follow(t.Context(), 1, func(m eventlog.Message) error {
		fn(m)
		if m.Sequence >= end {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatalf("read the log: %v", err)
	}
}

// queueMessage appends a queued message, after the first event of its order, and returns its event. No lane sends it.
func (p *fixture) queueMessage(t testing.TB, o notifications.Outcome) (events.Event, events.MessageQueued) {
	t.Helper()
	id := o.Facts.OrderID
	p.appendOrder(t, id)
	err := p.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		n, err := notifications.Notifications.Load(tx, id)
		if err != nil {
			return err
		}
		facts, err := n.Queue(o, "fact-of-"+id, "shop.example")
		if err != nil {
			return err
		}
		return notifications.Notifications.Append(tx, id, facts...)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(p.history(t, id)) { // the mail may be on its way already
		if queued, ok := e.Payload.(events.MessageQueued); ok {
			return e, queued
		}
	}
	t.Fatalf("got no queued message of order %s", id)
	return events.Event{}, events.MessageQueued{}
}

// history returns the events of the messages about an order.
func (p *fixture) history(t testing.TB, orderID string) []events.Event {
	t.Helper()
	subject, err := notifications.Notifications.Subject(orderID)
	if err != nil {
		t.Fatal(err)
	}
	var got []events.Event
	p.readLog(t, func(m eventlog.Message) {
		if m.Subject != subject {
			return
		}
		e, err := m.Event()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	})
	return got
}

// startAttempt appends notifications.sending, like a process that is killed right afterwards.
func (p *fixture) startAttempt(t testing.TB, m events.MessageQueued) {
	t.Helper()
	err := p.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		n, err := notifications.Notifications.Load(tx, m.OrderID)
		if err != nil {
			return err
		}
		message, _ := n.Message(m.MessageID)
		return notifications.Notifications.Append(tx, m.OrderID, message.Start(m.OrderID, "ada@example.com"))
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	confirmation = func(id string) notifications.Outcome {
		return notifications.Confirmed(notifications.SampleConfirmed(id), start)
	}
	refund = func(id string) notifications.Outcome {
		return notifications.Refunded(notifications.SampleRefunded(id, "r1"), start)
	}
)
