package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
	"tillstream/notifications"
	"tillstream/notifications/inbox"
)

// withLongBackoff defers mails for an hour. So a mail that is sent soon after an outage was sent because of the recovery, and not
// because its delay had passed.
func withLongBackoff(c *notifications.Config) {
	c.Backoff = func(int) time.Duration { return time.Hour }
}

// waitForOpenCircuit waits until the circuit of the lane is open.
func (p *fixture) waitForOpenCircuit(t testing.TB) {
	t.Helper()
	waitFor(t, "the circuit is open", func() bool { return errors.Is(p.worker.Degraded(), worker.ErrCircuitOpen) })
	if err := p.worker.Ready(); err != nil {
		t.Errorf("Ready with an open circuit: got %v, want nil", err)
	}
}

// confirmOrders confirms the orders from number first to before last.
func (p *fixture) confirmOrders(t testing.TB, first, last int) {
	t.Helper()
	for i := first; i < last; i++ {
		p.appendOrder(t, fmt.Sprint("o", i), notifications.SampleConfirmed(fmt.Sprint("o", i)))
	}
}

// expectAllSent waits until the mails of the first n orders are sent, and checks that each of them arrived once.
func (p *fixture) expectAllSent(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		p.waitForStatus(t, fmt.Sprint("o", i), 0, notifications.StatusSent)
	}
	p.waitUntilIdle(t)
	arrived := map[string]int{}
	for _, m := range p.box.Messages("") {
		arrived[m.MessageID]++
	}
	for i := range n {
		if id := fmt.Sprintf("o%d.order_confirmed@shop.example", i); arrived[id] != 1 {
			t.Errorf("%s: got %d mails, want 1", id, arrived[id])
		}
	}
	if len(arrived) != n {
		t.Errorf("got %d different mails, want %d", len(arrived), n)
	}
}

// expectNoneEnded checks that no message has failed or is unknown.
func (p *fixture) expectNoneEnded(t testing.TB) {
	t.Helper()
	p.readLog(t, func(m eventlog.Message) {
		if m.Type() == "notifications.failed" || m.Type() == "notifications.unknown" {
			t.Errorf("got %s at %d, want none: %s", m.Type(), m.Sequence, m.Data)
		}
	})
}

// shopRefusals are replies with which servers refuse the shop.
var shopRefusals = []struct {
	at   inbox.Stage
	code int
	text string
}{
	{inbox.StageMail, 550, "5.7.1 Sender rejected"},
	{inbox.StageRcpt, 504, "5.5.2 <shop>: Helo command rejected: need fully-qualified hostname"},
	{inbox.StageRcpt, 554, "5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied"},
	{inbox.StageRcpt, 554, "5.7.1 <ada@example.com>: Relay access denied"},
	{inbox.StageRcpt, 553, "5.7.1 <orders@shop.example>: Sender address rejected: not owned by user till"},
	{inbox.StageRcpt, 550, "5.1.8 Access denied, bad outbound sender"},
	{inbox.StageRcpt, 550, "5.4.5 Daily user sending limit exceeded"},
	{inbox.StageData, 554, "Message rejected: Email address is not verified."},
	{inbox.StageData, 550, "5.7.60 SMTP; Client does not have permissions to send as this sender"},
}

// A server refuses the shop with one of several replies. No mail fails. The circuit opens, and every mail is sent when the server
// accepts the shop again.
func TestServerThatRefusesTheShopOpensTheCircuit(t *testing.T) {
	t.Parallel()
	const mails = 5
	for _, refusal := range shopRefusals {
		t.Run(string(refusal.at)+" "+refusal.text, func(t *testing.T) {
			t.Parallel()
			p := open(t)
			p.box.Intercept(func(_ context.Context, at inbox.Stage, _, _ string) error {
				if at == refusal.at {
					return inbox.Refuse(refusal.code, refusal.text)
				}
				return nil
			})
			p.confirmOrders(t, 0, mails)
			p.start(t, p.service(t, withLongBackoff))
			p.waitForOpenCircuit(t)
			p.expectNoneEnded(t)
			if got := len(p.box.Messages("")); got != 0 {
				t.Errorf("got %d mails, want 0", got)
			}
			p.box.Intercept(nil)
			p.expectAllSent(t, mails)
			if err := p.worker.Degraded(); err != nil {
				t.Errorf("Degraded after all mails are sent: got %v, want nil", err)
			}
		})
	}
}

// The same at EHLO and AUTH, where the inbox has no interceptor.
func TestServerThatRefusesEHLOOrAuthOpensTheCircuit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ step, answer string }{
		"EHLO": {"EHLO", "550 5.7.1 Invalid HELO name"},
		"AUTH": {"AUTH", "535 5.7.8 Username and Password not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var accepting atomic.Bool
			var accepted atomic.Int32
			answers := acceptAll(map[string]string{"EHLO": "250-test\r\n250 AUTH CRAM-MD5", "AUTH": "334 PDFAdGVzdD4=", "dGlsbC": "235 welcome"}) // "till " in base64
			addr, _ := startScripted(t, func(line string) string {
				if strings.HasPrefix(line, c.step) && !accepting.Load() || strings.HasPrefix(line, "HELO") {
					return c.answer
				}
				if line == "." {
					accepted.Add(1)
				}
				return answers(line)
			})
			p := open(t)
			p.confirmOrders(t, 0, 3)
			p.start(t, p.service(t, withLongBackoff, func(c *notifications.Config) { c.SMTPURL = "smtp://till:secret@" + addr + "?tls=none" }))
			p.waitForOpenCircuit(t)
			p.expectNoneEnded(t)
			accepting.Store(true)
			for i := range 3 {
				p.waitForStatus(t, fmt.Sprint("o", i), 0, notifications.StatusSent)
			}
			if got := accepted.Load(); got != 3 {
				t.Errorf("got %d accepted mails, want 3", got)
			}
		})
	}
}

// The mail server refuses the shop for a while, with every reply in turn, while orders arrive. No mail fails, none is sent twice,
// and every queued and new mail is sent as soon as the server accepts the shop again.
func TestNoMailIsLostOrRepeatedByATemporaryRefusal(t *testing.T) {
	t.Parallel()
	const before, during, after = 100, 150, 50
	p := open(t)
	var refusing atomic.Bool
	var n atomic.Int64
	p.box.Intercept(func(_ context.Context, at inbox.Stage, _, _ string) error {
		if !refusing.Load() {
			return nil
		}
		refusal := shopRefusals[n.Add(1)%int64(len(shopRefusals))]
		if at == inbox.StageData || at == refusal.at { // by the end of the mail at the latest
			return inbox.Refuse(refusal.code, refusal.text)
		}
		return nil
	})
	p.start(t, p.service(t, withLongBackoff, withDefaultDeadline))
	p.confirmOrders(t, 0, before/2)
	p.waitForStatus(t, fmt.Sprint("o", before/2-1), 0, notifications.StatusSent)
	refusing.Store(true)
	p.confirmOrders(t, before/2, before+during)
	p.waitForOpenCircuit(t)
	waitFor(t, "the lane has tried again", func() bool { return n.Load() > 10 })
	p.expectNoneEnded(t)
	refusing.Store(false)
	recovered := time.Now()
	p.confirmOrders(t, before+during, before+during+after)
	p.expectAllSent(t, before+during+after)
	if took := time.Since(recovered); took > time.Minute {
		t.Errorf("mails after the refusal: got %s until all were sent, want at most 1m", took)
	}
}

// A mail server is down for a while: 20 failures open the circuit. When the server is back, no mail waits for the hour that it
// was deferred for.
func TestMailServerOutageDelaysOnly(t *testing.T) {
	t.Parallel()
	const mails = 60
	p := open(t)
	wire := logtest.NewProxy(t, p.box.Addr())
	wire.Refuse()
	p.start(t, p.service(t, withLongBackoff, withDefaultDeadline, func(c *notifications.Config) { c.SMTPURL = "smtp://" + wire.Addr() + "?tls=none" }))
	p.confirmOrders(t, 0, mails)
	p.waitForOpenCircuit(t)
	p.expectNoneEnded(t)
	wire.Release()
	p.confirmOrders(t, mails, mails+10)
	p.expectAllSent(t, mails+10)
}

// The shop's account may send to some addresses only. The mails to other addresses wait, and delay no others.
func TestRefusalForSomeAddressesDelaysOnlyThose(t *testing.T) {
	t.Parallel()
	const others = 30
	p := open(t)
	var allowed atomic.Bool
	p.box.Intercept(func(_ context.Context, at inbox.Stage, _, to string) error {
		if at == inbox.StageRcpt && strings.HasSuffix(to, "@outside.example") && !allowed.Load() {
			return inbox.Refuse(554, "5.7.1 Relay access denied")
		}
		return nil
	})
	p.placeOrder(t, "outside", func(c *events.Customer) { c.Email = "bea@outside.example" })
	p.appendOrder(t, "outside", notifications.SampleConfirmed("outside"))
	p.start(t, p.service(t))
	p.waitForOpenCircuit(t)
	p.confirmOrders(t, 0, others)
	for i := range others {
		p.waitForStatus(t, fmt.Sprint("o", i), 0, notifications.StatusSent)
	}
	if m := p.state(t, "outside").Messages[0]; m.Status != notifications.StatusQueued {
		t.Errorf("refused mail: got %s, want queued", m.Status)
	}
	allowed.Store(true)
	p.waitForStatus(t, "outside", 0, notifications.StatusSent)
}

// The process restarts while the server refuses the shop at the end of every mail. The successor sends the mails.
func TestRefusedMailsAreSentAfterARestart(t *testing.T) {
	t.Parallel()
	p := open(t)
	var refused atomic.Int32
	p.box.Intercept(func(_ context.Context, at inbox.Stage, _, _ string) error {
		if at == inbox.StageData {
			refused.Add(1)
			return inbox.Refuse(554, "Message rejected: Email address is not verified.")
		}
		return nil
	})
	p.confirmOrders(t, 0, 3)
	stop := p.start(t, p.service(t, withLongBackoff))
	p.waitForOpenCircuit(t)
	waitFor(t, "all are refused", func() bool { return refused.Load() >= 3 })
	stop()
	p.box.Intercept(nil)
	p.confirmOrders(t, 3, 5)
	p.start(t, p.service(t))
	p.expectAllSent(t, 5)
}

// A domain defers its mails. They wait, and delay no others: the circuit stays closed, and no mail is tried before its time.
func TestDeferringDomainDelaysOnlyItsOwnMails(t *testing.T) {
	t.Parallel()
	const waiting, good = 25, 60 // 20 failures of the server in a row would open the circuit
	p := open(t)
	var deferred atomic.Int32
	p.box.Intercept(func(_ context.Context, at inbox.Stage, _, to string) error {
		if at == inbox.StageRcpt && strings.HasSuffix(to, "@away.example") {
			deferred.Add(1)
			return inbox.Refuse(450, "4.1.2 <"+to+">: Recipient address rejected: Domain not found")
		}
		return nil
	})
	for i := range waiting {
		id := fmt.Sprint("away", i)
		p.placeOrder(t, id, func(c *events.Customer) { c.Email = fmt.Sprintf("bea%d@away.example", i) })
		p.appendOrder(t, id, notifications.SampleConfirmed(id))
	}
	p.start(t, p.service(t, withLongBackoff, withDefaultDeadline))
	waitFor(t, "all are deferred", func() bool { return deferred.Load() >= waiting })
	p.confirmOrders(t, 0, good)
	for i := range good {
		p.waitForStatus(t, fmt.Sprint("o", i), 0, notifications.StatusSent)
		if err := p.worker.Degraded(); err != nil {
			t.Fatalf("Degraded after %d sent mails: got %v, want nil", i+1, err)
		}
	}
	if got := deferred.Load(); got != waiting {
		t.Errorf("attempts to the deferring domain: got %d, want %d", got, waiting)
	}
	for i := range waiting {
		if m := p.state(t, fmt.Sprint("away", i)).Messages[0]; m.Status != notifications.StatusQueued || m.Attempt != 0 {
			t.Errorf("mail of away%d: got %+v, want it queued", i, m)
		}
	}
}
