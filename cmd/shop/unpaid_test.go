package main

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"tillstream/events"
)

func TestCancelledOrderReleasesStockAndPayment(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	t.Run("ByTheShopper", func(t *testing.T) { cancelByShopper(t, ts) })
	t.Run("InStripesDashboard", func(t *testing.T) { cancelInDashboard(t, ts) })
	t.Run("AfterConfirmation", func(t *testing.T) { cancelConfirmed(t, ts) })
	t.Run("WhilePaying", func(t *testing.T) { cancelWhilePaying(t, ts) })
}

func cancelByShopper(t *testing.T, ts *testShop) {
	ts.list(t, "MUG", 1250, 10)
	o := ts.place(t, cart("carl", line{"MUG", 3}))
	offer := ts.checkout(t, o)
	for range 2 { // repeating it changes nothing
		var now order
		ts.cancel(t, o).into(t, http.StatusOK, &now)
		if now.Status != "cancelled" || now.Reason == nil || now.Reason.Code != "cancelled" {
			t.Errorf("cancel = %+v, want a cancelled order", now)
		}
	}
	ts.stockBecomes(t, "MUG", level{10, 10, 0})
	ts.intentBecomes(t, o, "canceled")
	if a := ts.pay(t, offer, goodCard); a.Status != http.StatusBadRequest {
		t.Errorf("paying a cancelled order: status %d, want 400: %s", a.Status, a.Body)
	}
	ts.notMailed(t, o)
}

func cancelInDashboard(t *testing.T, ts *testShop) {
	ts.list(t, "JUG", 1800, 5)
	o := ts.place(t, cart("dana", line{"JUG", 1}))
	offer := ts.checkout(t, o)
	var in intent
	ts.stripe(t, http.MethodPost, "/v1/payment_intents/"+offer.Intent+"/cancel", ts.StripeSecretKey, url.Values{}).into(t, http.StatusOK, &in)
	ts.becomes(t, o, "cancelled")
	ts.stockBecomes(t, "JUG", level{5, 5, 0})
	ts.notMailed(t, o)
}

func cancelConfirmed(t *testing.T, ts *testShop) {
	ts.list(t, "BOWL", 1450, 5)
	bought := ts.buy(t, cart("bill", line{"BOWL", 1}))
	a := ts.cancel(t, bought)
	if a.Status != http.StatusConflict {
		t.Errorf("cancelling a confirmed order: status %d, want 409: %s", a.Status, a.Body)
	}
	isProblem(t, a)
	ts.stockBecomes(t, "BOWL", level{4, 4, 0})
	ts.charged(t, bought)
	ts.mailed(t, bought.Email, 1)
}

// cancelWhilePaying expects that either the cancellation or the payment wins, and that no shopper pays for a cancelled order. A
// third of the shoppers cancel while Stripe handles the payment, a third before its webhook arrives, and a third afterwards.
func cancelWhilePaying(t *testing.T, ts *testShop) {
	const races = 12
	ts.list(t, "LAMP", 6400, races)
	bought := int64(0)
	for i := range races {
		o := ts.place(t, cart(fmt.Sprintf("racer-%d", i), line{"LAMP", 1}))
		p := ts.checkout(t, o)
		cancel := ts.request(t, http.MethodPost, "/api/orders/"+o.ID+"/cancel", o.AccessToken, nil)
		attempt := []*http.Request{cancel, ts.payRequest(t, p, goodCard)}
		if i%3 > 0 {
			ts.send(t, attempt[1])
			attempt = attempt[:1]
		}
		if i%3 > 1 {
			waitFor(t, "the shop has recorded the payment", func() bool { return ts.payment(t, o).Status != "intent_created" })
		}
		switch a := ts.together(t, attempt)[0]; a.Status {
		case http.StatusOK:
			ts.intentBecomes(t, o, "canceled")
			ts.becomes(t, o, "cancelled")
			ts.notMailed(t, o)
		case http.StatusConflict:
			ts.becomes(t, o, "confirmed")
			ts.charged(t, o)
			ts.mailed(t, o.Email, 1)
			bought++
		default:
			t.Errorf("cancel: status %d, want 200 or 409: %s", a.Status, a.Body)
		}
	}
	t.Logf("%d of %d payments won", bought, races)
	ts.stockBecomes(t, "LAMP", level{races - bought, races - bought, 0})
}

// Row 31 of the fault matrix: a timer ends an unpaid order, and if the timer does not fire, the periodic job does. Each is
// tested where the other cannot end the order: with the job an hour away, and with the timers paused.
func TestUnpaidOrderExpires(t *testing.T) {
	t.Run("ByTimer", func(t *testing.T) {
		t.Parallel()
		ts := startShop(t, func(c *Config) { c.HoldFor, c.SweepEvery = 2*time.Second, time.Hour })
		orderExpires(t, ts)
	})
	t.Run("ByPeriodicJob", func(t *testing.T) {
		t.Parallel()
		ts := startShop(t, func(c *Config) { c.HoldFor, c.SweepEvery = 4*time.Second, 100*time.Millisecond })
		ts.pause(t, "orders.timers")
		orderExpires(t, ts)
	})
}

// orderExpires places an order without paying and checks everything that must follow.
func orderExpires(t *testing.T, ts *testShop) {
	t.Helper()
	ts.list(t, "MUG", 1250, 10)
	p := cart("nora", line{"MUG", 4})
	o := ts.place(t, p)
	offer := ts.checkout(t, o)
	ended := ts.becomes(t, o, "expired")
	if deadline := *o.ExpiresAt; time.Now().Before(deadline) {
		t.Errorf("the order expired before its deadline %s", deadline)
	}
	if ended.Reason == nil || ended.Reason.Code != "expired" || ended.ExpiresAt != nil {
		t.Errorf("expired order = %+v, want the reason expired and no deadline", ended)
	}
	ts.stockBecomes(t, "MUG", level{10, 10, 0})
	ts.intentBecomes(t, o, "canceled")
	waitFor(t, "the payment is cancelled", func() bool { return ts.payment(t, o).Status == "cancelled" })
	if a := ts.pay(t, offer, goodCard); a.Status != http.StatusBadRequest {
		t.Errorf("paying an expired order: status %d, want 400: %s", a.Status, a.Body)
	}
	if a := ts.cancel(t, o); a.Status != http.StatusConflict {
		t.Errorf("cancelling an expired order: status %d, want 409", a.Status)
	}
	ts.notMailed(t, o)
	ts.buy(t, cart("next", line{"MUG", 10}))
	for _, e := range ts.history(t, events.PrefixOrder+o.ID) {
		if e.Type == (events.OrderExpired{}).EventType() {
			return
		}
	}
	t.Error("the log has no orders.expired event of the order")
}
