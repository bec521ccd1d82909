package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestCancelled(t *testing.T) {
	t.Parallel()
	m := startShop(t, nil)
	t.Run("ByTheShopper", func(t *testing.T) { byTheShopper(t, m) })
	t.Run("InStripesDashboard", func(t *testing.T) { inTheDashboard(t, m) })
	t.Run("TooLate", func(t *testing.T) { cancelTooLate(t, m) })
	t.Run("WhilePaying", func(t *testing.T) { cancelWhilePaying(t, m) })
}

func byTheShopper(t *testing.T, m *testShop) {
	m.list(t, "MUG", 1250, 10)
	o := m.place(t, cart("carl", line{"MUG", 3}))
	offer := m.checkout(t, o)
	for range 2 { // twice is as good as once
		var now order
		m.cancel(t, o).into(t, http.StatusOK, &now)
		if now.Status != "cancelled" || now.Reason == nil || now.Reason.Code != "cancelled" {
			t.Errorf("cancelling answers %+v", now)
		}
	}
	m.stockBecomes(t, "MUG", level{10, 10, 0})
	m.intentBecomes(t, o, "canceled")
	if a := m.pay(t, offer, goodCard); a.Status != http.StatusBadRequest {
		t.Errorf("paying a cancelled order answers %d: %s", a.Status, a.Body)
	}
	got := m.mailed(t, o.Email, 1)[0]
	if want := "Order " + o.Number + " is cancelled"; got.Subject != want || !strings.Contains(got.Text, "As you asked") {
		t.Errorf("the mail says %q and\n%s", got.Subject, got.Text)
	}
}

func inTheDashboard(t *testing.T, m *testShop) {
	m.list(t, "JUG", 1800, 5)
	o := m.place(t, cart("dana", line{"JUG", 1}))
	offer := m.checkout(t, o)
	var in intent
	m.stripe(t, http.MethodPost, "/v1/payment_intents/"+offer.Intent+"/cancel", m.StripeSecretKey, url.Values{}).into(t, http.StatusOK, &in)
	m.becomes(t, o, "cancelled")
	m.stockBecomes(t, "JUG", level{5, 5, 0})
	if got := m.mailed(t, o.Email, 1)[0]; !strings.Contains(got.Text, "was called off") {
		t.Errorf("the mail says\n%s", got.Text)
	}
}

func cancelTooLate(t *testing.T, m *testShop) {
	m.list(t, "BOWL", 1450, 5)
	bought := m.buy(t, cart("bill", line{"BOWL", 1}))
	a := m.cancel(t, bought)
	if a.Status != http.StatusConflict {
		t.Errorf("cancelling a confirmed order answers %d: %s", a.Status, a.Body)
	}
	isProblem(t, a)
	m.stockBecomes(t, "BOWL", level{4, 4, 0})
	m.charged(t, bought)
	m.mailed(t, bought.Email, 1)
}

// cancelWhilePaying: whichever comes first counts, and nobody pays for nothing. Some shoppers cancel while Stripe is
// still being asked, some while its webhook is on the way, and some when it has arrived.
func cancelWhilePaying(t *testing.T, m *testShop) {
	const races = 12
	m.list(t, "LAMP", 6400, races)
	bought := int64(0)
	for i := range races {
		o := m.place(t, cart(fmt.Sprintf("racer-%d", i), line{"LAMP", 1}))
		p := m.checkout(t, o)
		cancel := m.request(t, http.MethodPost, "/api/orders/"+o.ID+"/cancel", o.AccessToken, nil)
		attempt := []*http.Request{cancel, m.payRequest(t, p, goodCard)}
		if i%3 > 0 {
			m.send(t, attempt[1])
			attempt = attempt[:1]
		}
		if i%3 > 1 {
			waitFor(t, "the shop hears of the payment", func() bool { return m.payment(t, o).Status != "intent_created" })
		}
		switch a := m.together(t, attempt)[0]; a.Status {
		case http.StatusOK:
			m.intentBecomes(t, o, "canceled")
			m.becomes(t, o, "cancelled")
		case http.StatusConflict:
			m.becomes(t, o, "confirmed")
			m.charged(t, o)
			bought++
		default:
			t.Errorf("cancelling answers %d: %s", a.Status, a.Body)
		}
		m.mailed(t, o.Email, 1)
	}
	t.Logf("%d of %d paid before they cancelled", bought, races)
	m.stockBecomes(t, "LAMP", level{races - bought, races - bought, 0})
}
