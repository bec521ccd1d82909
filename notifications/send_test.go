package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/notifications"
	"tillstream/notifications/inbox"
)

func TestEveryOutcomeIsMailedOnce(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.start(t, p.service(t))
	outcome := notifications.SampleOutcome
	p.placeOrder(t, "expired", func(c *events.Customer) { c.Locale = "de-DE" })
	for subject, fact := range map[string]events.Payload{
		"is confirmed":                          notifications.SampleConfirmed("confirmed"),
		"cannot deliver":                        events.OrderRejected{OrderOutcome: outcome("rejected"), Reason: events.RejectedNoStock},
		"wurde nicht rechtzeitig bezahlt":       events.OrderExpired{OrderOutcome: outcome("expired")},
		"is cancelled":                          events.OrderCancelled{OrderOutcome: outcome("cancelled"), Reason: events.CancelRequested},
		"Refund of £4.95 for order 8F3K2-MQD7A": notifications.SampleRefunded("refunded", "r1"),
	} {
		id := strings.TrimPrefix(fact.EventType(), "orders.")
		p.appendOrder(t, id, fact)
		m := p.waitForStatus(t, id, 0, notifications.StatusSent)
		mails := p.mailsWithID(m.ID)
		if len(mails) != 1 || m.Attempt != 1 {
			t.Fatalf("%s: %d mails in %d attempts, want one", id, len(mails), m.Attempt)
		}
		got := mails[0]
		if !strings.Contains(got.Subject, subject) || got.To != "ada@example.com" {
			t.Errorf("%s: to %q, subject %q", id, got.To, got.Subject)
		}
		if link := "https://shop.example/orders/" + id + "#token=token-of-" + id; !strings.Contains(got.Text, link) || !strings.Contains(got.HTML, `href="`+link+`"`) {
			t.Errorf("%s: no link %s in\n%s", id, link, got.HTML)
		}
	}
}

func (p *fixture) mailsWithID(messageID string) []inbox.Message {
	return slices.DeleteFunc(p.box.Messages(""), func(m inbox.Message) bool { return m.MessageID != messageID })
}

// The whole chain can be followed: the mail names the event that caused it and the order that it is about.
func TestMessagesCarryCauseAndOrder(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.start(t, p.service(t))
	p.appendOrder(t, "o1", notifications.SampleConfirmed("o1"))
	m := p.waitForStatus(t, "o1", 0, notifications.StatusSent)
	got := p.history(t, "o1")
	if len(got) != 3 {
		t.Fatalf("%d events, want queued, sending, sent", len(got))
	}
	if got[0].CausationID != m.Fact || got[1].CausationID != got[0].ID || got[2].CausationID != got[0].ID {
		t.Errorf("causes: %+v", got)
	}
	for _, e := range got {
		if e.CorrelationID != "o1" {
			t.Errorf("%s is about %q", e.Type, e.CorrelationID)
		}
		if strings.Contains(fmt.Sprintf("%s", e.Payload), "token-of-") {
			t.Errorf("%s has the access token in the log", e.Type)
		}
	}
}

// Row 55 of the fault matrix: 10,000 old events are read again, by lanes that have lost their place and as new events, and
// nobody gets a mail.
func TestOldEventsDeliveredAgainSendNothing(t *testing.T) {
	t.Parallel()
	const orders, again = 200, 49
	p := open(t)
	stop := p.start(t, p.service(t, withDefaultDeadline))
	for i := range orders {
		p.appendOrder(t, fmt.Sprint("o", i), notifications.SampleConfirmed(fmt.Sprint("o", i)))
	}
	waitFor(t, "all mails have arrived", func() bool { return len(p.box.Messages("")) == orders })
	p.waitUntilIdle(t)
	stop()
	before := p.countEvents(t)
	for _, lane := range []string{"notifications", "notifications.mail"} {
		checkpoint, err := p.log.LoadCheckpoint(t.Context(), lane)
		if err != nil || checkpoint.Position == 0 {
			t.Fatalf("%s is at %d: %v", lane, checkpoint.Position, err)
		}
		checkpoint.Position, checkpoint.State = 0, nil
		if err := p.log.SaveCheckpoint(t.Context(), &checkpoint); err != nil {
			t.Fatal(err)
		}
	}
	for range again {
		p.appendAgain(t, orders)
	}
	p.start(t, p.service(t, withDefaultDeadline))
	p.waitUntilIdle(t)
	if got := len(p.box.Messages("")); got != orders {
		t.Errorf("%d mails, want still %d", got, orders)
	}
	if got := p.countEvents(t); got != before {
		t.Errorf("%d events, before %d", got, before)
	}
}

// repeats says once more of the first n orders that they are confirmed, as new events of one batch.
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

// length is how many events the domain has in the log.
func (p *fixture) countEvents(t testing.TB) (n int) {
	t.Helper()
	p.readLog(t, func(m eventlog.Message) {
		if strings.HasPrefix(m.Subject, events.PrefixNotification) {
			n++
		}
	})
	return n
}

// read reads the log as it stands.
func (p *fixture) readLog(t testing.TB, fn func(eventlog.Message)) {
	t.Helper()
	end, err := p.log.End(t.Context(), 0)
	if err != nil || end == 0 {
		t.Fatalf("the log ends at %d: %v", end, err)
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

// queued puts a message into the log without anybody to send it, and returns its event. The order is placed before.
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
	history := p.history(t, id)
	if len(history) == 0 {
		t.Fatalf("nothing is said about %s", id)
	}
	e := history[len(history)-1]
	return e, e.Payload.(events.MessageQueued)
}

// history is what the log says about an order's messages.
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

// dies leaves the log as a sender does that was killed after it said "sending".
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

// Rows 52 and 53 of the fault matrix: a sender was killed, before or after the server had the mail; nobody can tell which.
func TestMailOfAKilledSender(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome notifications.Outcome
		said    bool // sending
		want    notifications.Status
		mails   int
	}{
		"BeforeItSaidSo":     {confirmation("o1"), false, notifications.StatusSent, 1},
		"AfterItSaidSo":      {confirmation("o1"), true, notifications.StatusSent, 1},
		"MoneyBefore":        {refund("o1"), false, notifications.StatusSent, 1},
		"MoneyAfterItSaidSo": {refund("o1"), true, notifications.StatusUnknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t)
			_, m := p.queueMessage(t, c.outcome)
			if c.said {
				p.startAttempt(t, m)
			}
			p.start(t, p.service(t))
			p.waitForStatus(t, "o1", 0, c.want)
			p.waitUntilIdle(t)
			if got := len(p.mailsWithID(m.MessageID)); got != c.mails {
				t.Errorf("%d mails, want %d", got, c.mails)
			}
		})
	}
}

// Row 54 of the fault matrix, second part: a server that takes a mail and never says so. Others go on meanwhile.
func TestServerThatNeverRepliesToTheMail(t *testing.T) {
	t.Parallel()
	p := open(t)
	var hung atomic.Int32
	p.box.Intercept(func(ctx context.Context, at inbox.Stage, _, to string) error {
		if at == inbox.StageStored && strings.HasPrefix(to, "slow") {
			hung.Add(1)
			<-ctx.Done()
		}
		return nil
	})
	p.start(t, p.service(t))
	p.placeOrder(t, "mail", func(c *events.Customer) { c.Email = "slow@example.com" })
	p.placeOrder(t, "money", func(c *events.Customer) { c.Email = "slow.too@example.com" })
	p.appendOrder(t, "mail", notifications.SampleConfirmed("mail"))
	p.appendOrder(t, "money", notifications.SampleRefunded("money", "r1"))
	waitFor(t, "both hang", func() bool { return hung.Load() >= 2 })
	for i := range 20 {
		p.appendOrder(t, fmt.Sprint("o", i), notifications.SampleConfirmed(fmt.Sprint("o", i)))
	}
	for i := range 20 {
		p.waitForStatus(t, fmt.Sprint("o", i), 0, notifications.StatusSent)
	}
	money := p.waitForStatus(t, "money", 0, notifications.StatusUnknown)
	mail := p.waitForStatus(t, "mail", 0, notifications.StatusUnknown)
	p.waitUntilIdle(t)
	if got := len(p.mailsWithID(money.ID)); got != 1 {
		t.Errorf("the mail about money went out %d times, want once", got)
	}
	if got := len(p.mailsWithID(mail.ID)); got != 3 {
		t.Errorf("the confirmation went out %d times under its Message-ID, want 3 and then staff", got)
	}
}

// Fault I4: many replicas get the same message at the same moment; one sends it.
func TestConcurrentSendersSendOnce(t *testing.T) {
	t.Parallel()
	p := open(t)
	e, m := p.queueMessage(t, confirmation("o1"))
	services := []*notifications.Service{p.service(t), p.service(t), p.service(t)}
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			// All but one are told to look again later; the error says so and is not what this test is about.
			if err := services[i%3].Act(t.Context(), e, m); err != nil && errors.Is(err, eventlog.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := len(p.mailsWithID(m.MessageID)); got != 1 {
		t.Errorf("%d mails, want 1", got)
	}
	if got := p.state(t, "o1").Messages[0]; got.Status != notifications.StatusSent || got.Attempt != 1 {
		t.Errorf("state %+v", got)
	}
}
