package notifications_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/notifications"
	"tillstream/notifications/inbox"
)

// openWithClock returns a fixture whose clock is moved by the returned offset.
func openWithClock(t testing.TB) (p *fixture, offset *atomic.Int64) {
	t.Helper()
	offset = &atomic.Int64{}
	l := logtest.Open(t, func(c *eventlog.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	})
	return &fixture{log: l, box: startInbox(t)}, offset
}

// limited sets the limit of mails to one recipient in an hour.
func limited(limit int) func(*notifications.Config) {
	return func(c *notifications.Config) { c.PerRecipient = limit }
}

// confirm confirms an order of a customer with an address.
func (p *fixture) confirm(t testing.TB, orderID, email string) {
	t.Helper()
	p.placeOrder(t, orderID, func(c *events.Customer) { c.Email = email })
	p.appendOrder(t, orderID, notifications.SampleConfirmed(orderID))
}

// attempts returns when the mails to the recipients with a text in their address were sent, in order.
func (p *fixture) attempts(t testing.TB, to string) (times []time.Time) {
	t.Helper()
	p.readLog(t, func(m eventlog.Message) {
		e, err := m.Event()
		if err != nil {
			t.Fatal(err)
		}
		if sending, ok := e.Payload.(events.MessageSending); ok && strings.Contains(strings.ToLower(sending.To), to) {
			times = append(times, e.Time)
		}
	})
	return times
}

// mailsTo returns the mails to the recipients with a text in their address.
func (p *fixture) mailsTo(text string) []inbox.Message {
	return slices.DeleteFunc(p.box.Messages(""), func(m inbox.Message) bool { return !strings.Contains(strings.ToLower(m.To), text) })
}

// expectLimit checks that no hour has more attempts than the limit.
func expectLimit(t testing.TB, times []time.Time, limit int) {
	t.Helper()
	slices.SortFunc(times, time.Time.Compare)
	for i := limit; i < len(times); i++ {
		if apart := times[i].Sub(times[i-limit]); apart < time.Hour {
			t.Errorf("mail %d was sent %s after mail %d, want an hour or more", i+1, apart, i-limit+1)
		}
	}
}

// Row 72 of the fault matrix: somebody places 1,000 orders with the address of someone else and pays none. No mail is sent.
func TestUnpaidGuestOrdersAreNotMailed(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.start(t, p.service(t))
	const batch = 100
	for first := 0; first < 1000; first += batch {
		err := p.log.Do(t.Context(), func(tx *eventlog.Tx) error {
			for i := range batch {
				id := fmt.Sprintf("o%d", first+i)
				outcome := notifications.SampleOutcome(id)
				outcome.UnpaidGuest = true
				end := []events.Payload{events.OrderExpired{OrderOutcome: outcome}, events.OrderCancelled{OrderOutcome: outcome, Reason: events.CancelRequested},
					events.OrderRejected{OrderOutcome: outcome, Reason: events.RejectedNoStock}}[i%3]
				if err := orders.Append(tx, id, notifications.SamplePlaced(id), end); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	p.confirm(t, "paid", "ada@example.com")
	p.waitForStatus(t, "paid", 0, notifications.StatusSent) // the lane decides in order
	p.waitUntilIdle(t)
	if got := p.countEvents(t); got != 3 {
		t.Errorf("events of mails: got %d, want the 3 of the paid order", got)
	}
}

// Row 72 of the fault matrix: mails over the limit wait, however the address is written, also over a restart. Mails to others go on.
func TestMailsToOneRecipientAreLimited(t *testing.T) {
	t.Parallel()
	p, offset := openWithClock(t)
	stop := p.start(t, p.service(t, limited(2)))
	for i, email := range []string{"ada@example.com", "Ada@Example.com", "ada+news@example.com", "ada@example.com", "ada@example.com"} {
		p.confirm(t, fmt.Sprint("o", i), email)
	}
	sent := func(n int) func() bool { return func() bool { return len(p.mailsTo("ada")) >= n } }
	waitFor(t, "two mails are sent", sent(2))
	p.confirm(t, "other", "bob@example.com")
	p.waitForStatus(t, "other", 0, notifications.StatusSent)
	stop()
	p.start(t, p.service(t, limited(2)))
	p.confirm(t, "o5", "ada@example.com")
	p.confirm(t, "another", "bob@example.com")
	p.waitForStatus(t, "another", 0, notifications.StatusSent)
	for _, n := range []int{4, 6} {
		offset.Add(int64(80 * time.Minute)) // the hour, and the jitter of the lane
		waitFor(t, fmt.Sprint(n, " mails are sent"), sent(n))
	}
	p.waitUntilIdle(t)
	expectLimit(t, p.attempts(t, "ada"), 2)
	for i := range 6 {
		p.waitForStatus(t, fmt.Sprint("o", i), 0, notifications.StatusSent)
	}
}

// A mail that is not about money does not wait for hours: it ends as failed, with the limit as the reason.
func TestUnimportantMailOverTheLimitFails(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.start(t, p.service(t, limited(1)))
	p.confirm(t, "paid", "ada@example.com")
	p.waitForStatus(t, "paid", 0, notifications.StatusSent)
	p.appendOrder(t, "unpaid", events.OrderExpired{OrderOutcome: notifications.SampleOutcome("unpaid")})
	m := p.waitForStatus(t, "unpaid", 0, notifications.StatusFailed)
	if !strings.Contains(m.Error, "limit") || m.Attempt != 0 {
		t.Errorf("got error %q after %d attempts, want the limit before the first", m.Error, m.Attempt)
	}
}

// Only so many mails to one recipient wait: each is an open act of the lane.
func TestWaitingMailsAreBounded(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.start(t, p.service(t, limited(1)))
	const n = 1 + notifications.MaxWaiting + 3
	for i := range n {
		p.confirm(t, fmt.Sprint("o", i), "ada@example.com")
	}
	waitFor(t, "three mails have failed", func() bool {
		failed := 0
		for i := range n {
			if state, _, err := notifications.Notifications.Read(t.Context(), p.log, fmt.Sprint("o", i)); err == nil && state.Messages[0].Status == notifications.StatusFailed {
				failed++
			}
		}
		return failed == 3
	})
	waitFor(t, "the other mails wait", func() bool { return p.worker.Lanes()[1].Open == notifications.MaxWaiting })
	if got := len(p.box.Messages("")); got != 1 {
		t.Errorf("mails: got %d, want 1", got)
	}
}
