package notifications_test

import (
	"context"
	"errors"
	"fmt"
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
			t.Fatalf("%s: got %d mails in %d attempts, want 1 in 1", id, len(mails), m.Attempt)
		}
		got := mails[0]
		if !strings.Contains(got.Subject, subject) || got.To != "ada@example.com" {
			t.Errorf("%s: got recipient %q, subject %q; want ada@example.com, %q", id, got.To, got.Subject, subject)
		}
		if link := "https://shop.example/orders/" + id + "#token=token-of-" + id; !strings.Contains(got.Text, link) || !strings.Contains(got.HTML, `href="`+link+`"`) {
			t.Errorf("%s: want link %s, got\n%s", id, link, got.HTML)
		}
	}
}

// Every event of a message names its cause and its order.
func TestMessagesHaveCauseAndOrder(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.start(t, p.service(t))
	p.appendOrder(t, "o1", notifications.SampleConfirmed("o1"))
	m := p.waitForStatus(t, "o1", 0, notifications.StatusSent)
	got := p.history(t, "o1")
	if len(got) != 3 {
		t.Fatalf("got %d events, want queued, sending, sent", len(got))
	}
	if got[0].CausationID != m.Fact || got[1].CausationID != got[0].ID || got[2].CausationID != got[0].ID {
		t.Errorf("causes: got %+v, want %s for queued, and queued for the others", got, m.Fact)
	}
	for _, e := range got {
		if e.CorrelationID != "o1" {
			t.Errorf("%s: got correlation %q, want o1", e.Type, e.CorrelationID)
		}
		if strings.Contains(fmt.Sprintf("%s", e.Payload), "token-of-") {
			t.Errorf("%s: got the access token in the log, want none", e.Type)
		}
	}
}

// Row 55 of the fault matrix: 10,000 old events are handled again, by lanes without checkpoints and as new events. No mail is
// sent.
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
			t.Fatalf("checkpoint %s: got position %d, %v; want more than 0", lane, checkpoint.Position, err)
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
		t.Errorf("got %d mails, want %d", got, orders)
	}
	if got := p.countEvents(t); got != before {
		t.Errorf("got %d events, want %d", got, before)
	}
}

// Rows 52 and 53 of the fault matrix: a sender was killed before or after the server accepted the mail, and the log does not
// show which.
func TestMailOfAKilledSenderIsSentOrUnknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome notifications.Outcome
		started bool // "sending" is in the log
		want    notifications.Status
		mails   int
	}{
		"ConfirmationQueued":  {confirmation("o1"), false, notifications.StatusSent, 1},
		"ConfirmationSending": {confirmation("o1"), true, notifications.StatusSent, 1},
		"RefundQueued":        {refund("o1"), false, notifications.StatusSent, 1},
		"RefundSending":       {refund("o1"), true, notifications.StatusUnknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t)
			_, m := p.queueMessage(t, c.outcome)
			if c.started {
				p.startAttempt(t, m)
			}
			p.start(t, p.service(t))
			p.waitForStatus(t, "o1", 0, c.want)
			p.waitUntilIdle(t)
			p.expectMails(t, m.MessageID, c.mails)
		})
	}
}

// Row 54 of the fault matrix, second part: the server accepts a mail and never replies. Other mails are sent in the meantime.
func TestMailWithoutAReplyBecomesUnknown(t *testing.T) {
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
	p.expectMails(t, money.ID, 1)
	p.expectMails(t, mail.ID, 3)
}

// Many replicas get the same message at the same moment, and one of them sends it.
func TestConcurrentSendersSendOnce(t *testing.T) {
	t.Parallel()
	p := open(t)
	e, m := p.queueMessage(t, confirmation("o1"))
	services := []*notifications.Service{p.service(t), p.service(t), p.service(t)}
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			// All but one return that they must try again later.
			if err := services[i%3].Act(t.Context(), e, m); err != nil && errors.Is(err, eventlog.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	p.expectMails(t, m.MessageID, 1)
	if got := p.state(t, "o1").Messages[0]; got.Status != notifications.StatusSent || got.Attempt != 1 {
		t.Errorf("got message %+v, want it sent in one attempt", got)
	}
}

// BenchmarkMails sends confirmations, from the order's event to the mailbox, over one log on disk.
func BenchmarkMails(b *testing.B) {
	p := open(b)
	for i := range b.N {
		p.appendOrder(b, fmt.Sprint("o", i), notifications.SampleConfirmed(fmt.Sprint("o", i)))
	}
	b.ResetTimer()
	p.start(b, p.service(b, withDefaultDeadline))
	p.waitUntilIdle(b)
	if got := p.countEvents(b); got != 3*b.N {
		b.Fatalf("got %d events, want %d", got, 3*b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
