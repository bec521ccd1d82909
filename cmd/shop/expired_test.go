package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tillstream/events"
)

// Row 31 of the fault matrix: the timer comes, or never. TestNobodyPays: the deadline is kept by a timer, and should that
// not fire, by the sweep. Each is tested where the other one cannot have ended the order: the next sweep is an hour away,
// or operators have the timers paused.
func TestNobodyPays(t *testing.T) {
	t.Run("TheTimerEndsIt", func(t *testing.T) {
		t.Parallel()
		m := startShop(t, func(c *Config) { c.HoldFor, c.SweepEvery = 2*time.Second, time.Hour })
		expires(t, m)
	})
	t.Run("TheSweepEndsIt", func(t *testing.T) {
		t.Parallel()
		m := startShop(t, func(c *Config) { c.HoldFor, c.SweepEvery = 4*time.Second, 100*time.Millisecond })
		m.pause(t, "orders.timers")
		expires(t, m)
	})
}

// expires leaves an order unpaid and looks at everything that has to follow.
func expires(t *testing.T, m *testShop) {
	t.Helper()
	m.list(t, "MUG", 1250, 10)
	p := cart("nora", line{"MUG", 4})
	o := m.place(t, p)
	offer := m.checkout(t, o)
	ended := m.becomes(t, o, "expired")
	if deadline := *o.ExpiresAt; time.Now().Before(deadline) {
		t.Errorf("the order expired before %s", deadline)
	}
	if ended.Reason == nil || ended.Reason.Code != "expired" || ended.ExpiresAt != nil {
		t.Errorf("expired as %+v", ended)
	}
	m.stockBecomes(t, "MUG", level{10, 10, 0})
	m.intentBecomes(t, o, "canceled")
	waitFor(t, "the payment is cancelled", func() bool { return m.payment(t, o).Status == "cancelled" })
	if a := m.pay(t, offer, goodCard); a.Status != http.StatusBadRequest {
		t.Errorf("paying an expired order answers %d: %s", a.Status, a.Body)
	}
	if a := m.cancel(t, o); a.Status != http.StatusConflict {
		t.Errorf("cancelling an expired order answers %d", a.Status)
	}
	got := m.mailed(t, p.Email, 1)[0]
	if want := "Order " + o.Number + " was not paid in time"; got.Subject != want || !strings.Contains(got.Text, "No money was taken") {
		t.Errorf("the mail says %q and\n%s", got.Subject, got.Text)
	}
	m.buy(t, cart("next", line{"MUG", 10}))
	for _, e := range m.history(t, events.PrefixOrder+o.ID) {
		if e.Type == (events.OrderExpired{}).EventType() {
			return
		}
	}
	t.Error("the log does not say that the order expired")
}
