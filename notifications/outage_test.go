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

// withLongBackoff has mails that were put off wait for an hour, so that what is sent soon after an outage was not sent because
// its own time had come.
func withLongBackoff(c *notifications.Config) {
	c.Backoff = func(int) time.Duration { return time.Hour }
}

// held waits until the lane is on hold and says so to whoever asks how the process is doing.
func (p *fixture) waitForOpenCircuit(t testing.TB) {
	t.Helper()
	waitFor(t, "the lane is on hold", func() bool { return errors.Is(p.worker.Degraded(), worker.ErrCircuitOpen) })
	if err := p.worker.Ready(); err != nil {
		t.Errorf("a lane on hold makes the process not ready: %v", err)
	}
}

// confirmOrders says that orders are confirmed, from the first to before the last.
func (p *fixture) confirmOrders(t testing.TB, first, last int) {
	t.Helper()
	for i := first; i < last; i++ {
		p.appendOrder(t, fmt.Sprint("o", i), notifications.SampleConfirmed(fmt.Sprint("o", i)))
	}
}

// expectAllSent waits until the mails of the first n orders are sent, and expects each of them in the mailbox once.
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
			t.Errorf("%s arrived %d times, want once", id, arrived[id])
		}
	}
	if len(arrived) != n {
		t.Errorf("%d different mails, want %d", len(arrived), n)
	}
}

// expectNoneEnded expects no message to have ended otherwise than by being sent.
func (p *fixture) expectNoneEnded(t testing.TB) {
	t.Helper()
	p.readLog(t, func(m eventlog.Message) {
		if m.Type() == "notifications.failed" || m.Type() == "notifications.unknown" {
			t.Errorf("%s at %d: %s", m.Type(), m.Sequence, m.Data)
		}
	})
}

// shopRefusals are what servers say who have something against the shop.
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

// A server that refuses the shop costs no customer their mail, whatever it says: the lane waits, and sends everything when
// the server takes the shop's mail again.
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
				t.Errorf("%d mails arrived", got)
			}
			p.box.Intercept(nil)
			p.expectAllSent(t, mails)
			if err := p.worker.Degraded(); err != nil {
				t.Errorf("all is sent, and the lane reports %v", err)
			}
		})
	}
}

// The same before the first MAIL, where the inbox has no say.
func TestServerThatRefusesEHLOOrAuthOpensTheCircuit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ step, answer string }{
		"EHLO": {"EHLO", "550 5.7.1 Invalid HELO name"},
		"AUTH": {"AUTH", "535 5.7.8 Username and Password not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var whole atomic.Bool
			var taken atomic.Int32
			takes := acceptAll(map[string]string{"EHLO": "250-test\r\n250 AUTH CRAM-MD5", "AUTH": "334 PDFAdGVzdD4=", "dGlsbC": "235 welcome"}) // "till " in base64
			addr, _ := startScripted(t, func(line string) string {
				if strings.HasPrefix(line, c.step) && !whole.Load() || strings.HasPrefix(line, "HELO") {
					return c.answer
				}
				if line == "." {
					taken.Add(1)
				}
				return takes(line)
			})
			p := open(t)
			p.confirmOrders(t, 0, 3)
			p.start(t, p.service(t, withLongBackoff, func(c *notifications.Config) { c.SMTPURL = "smtp://till:secret@" + addr + "?tls=none" }))
			p.waitForOpenCircuit(t)
			p.expectNoneEnded(t)
			whole.Store(true)
			for i := range 3 {
				p.waitForStatus(t, fmt.Sprint("o", i), 0, notifications.StatusSent)
			}
			if got := taken.Load(); got != 3 {
				t.Errorf("the server took %d mails, want 3", got)
			}
		})
	}
}

// The mail server refuses the shop for a while, in one way after another, on a day with many orders. No mail ends, none is
// sent twice, and what was queued meanwhile goes out as soon as the server takes mail again, as does what is new then.
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
	whole := time.Now()
	p.confirmOrders(t, before+during, before+during+after)
	p.expectAllSent(t, before+during+after)
	if took := time.Since(whole); took > time.Minute {
		t.Errorf("all was sent %s after the server was whole again", took)
	}
}

// A mail server that is away for a while: 20 failures put the lane on hold, and when the server is back, nobody waits for
// the hour that their own mail was put off for.
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

// A refusal that others do not meet: the shop's account may write to some addresses only. The others do not wait for
// those, and those are not given up.
func TestRefusalForSomeAddressesDelaysOnlyThose(t *testing.T) {
	t.Parallel()
	const others = 30
	p := open(t)
	var mended atomic.Bool
	p.box.Intercept(func(_ context.Context, at inbox.Stage, _, to string) error {
		if at == inbox.StageRcpt && strings.HasSuffix(to, "@outside.example") && !mended.Load() {
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
		t.Errorf("the mail that was refused is %s, want queued", m.Status)
	}
	mended.Store(true)
	p.waitForStatus(t, "outside", 0, notifications.StatusSent)

}

// The process is started again while the server refuses the shop after the whole mail: it is a successor's turn to send it.
func TestRestartWhileTheShopIsRefused(t *testing.T) {
	t.Parallel()
	p := open(t)
	var asked atomic.Int32
	p.box.Intercept(func(_ context.Context, at inbox.Stage, _, _ string) error {
		if at == inbox.StageData {
			asked.Add(1)
			return inbox.Refuse(554, "Message rejected: Email address is not verified.")
		}
		return nil
	})
	p.confirmOrders(t, 0, 3)
	stop := p.start(t, p.service(t, withLongBackoff))
	p.waitForOpenCircuit(t)
	waitFor(t, "all were refused", func() bool { return asked.Load() >= 3 })
	stop()
	p.box.Intercept(nil)
	p.confirmOrders(t, 3, 5)
	p.start(t, p.service(t))
	p.expectAllSent(t, 5)
}

// A domain that takes no mail for now has the mails to it wait, and no others: the lane is not on hold, and none is tried
// before its time.
func TestDeferringDomainDelaysOnlyItsOwnMails(t *testing.T) {
	t.Parallel()
	const waiting, good = 25, 60 // 20 failures in a row would put the lane on hold
	p := open(t)
	var asked atomic.Int32
	p.box.Intercept(func(_ context.Context, at inbox.Stage, _, to string) error {
		if at == inbox.StageRcpt && strings.HasSuffix(to, "@away.example") {
			asked.Add(1)
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
	waitFor(t, "all were put off", func() bool { return asked.Load() >= waiting })
	p.confirmOrders(t, 0, good)
	for i := range good {
		p.waitForStatus(t, fmt.Sprint("o", i), 0, notifications.StatusSent)
		if err := p.worker.Degraded(); err != nil {
			t.Fatalf("after %d good mails: %v", i+1, err)
		}
	}
	if got := asked.Load(); got != waiting {
		t.Errorf("the domain was asked %d times, want once for each of %d mails", got, waiting)
	}
	for i := range waiting {
		if m := p.state(t, fmt.Sprint("away", i)).Messages[0]; m.Status != notifications.StatusQueued || m.Attempt != 0 {
			t.Errorf("the mail of away%d is %+v, want it queued", i, m)
		}
	}
}
