package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tillstream/events"
)

func TestDeclinedPaymentCanBeRepeated(t *testing.T) {
	t.Parallel()
	m := startShop(t, func(c *Config) { c.ChargeLimits = events.ChargeLimits{"GBP": {Min: 1, Max: 99_999_999, Step: 1}} })
	m.list(t, "MUG", 1250, 100)
	t.Run("ThenAnotherCard", func(t *testing.T) { anotherCard(t, m) })
	t.Run("ThreeDSecureCompleted", func(t *testing.T) { threeDSecureCompleted(t, m) })
	t.Run("ThreeDSecureFailedThenAnotherCard", func(t *testing.T) { threeDSecureFailed(t, m) })
	t.Run("AmountBelowStripesMinimum", func(t *testing.T) { amountBelowMinimum(t, m) })
}

func anotherCard(t *testing.T, m *testShop) {
	o := m.place(t, cart("dora", line{"MUG", 1}))
	offer := m.checkout(t, o)
	if a := m.pay(t, offer, brokeCard); a.Status != http.StatusPaymentRequired {
		t.Fatalf("card without funds: status %d, want 402: %s", a.Status, a.Body)
	}
	now := m.refusedBecause(t, o, "insufficient_funds")
	if now.ClientSecret != offer.ClientSecret || now.Intent != offer.Intent {
		t.Errorf("payment after a decline = %+v, want the same intent and secret as %+v", now, offer)
	}
	if got := m.read(t, o); got.Status != "awaiting_payment" {
		t.Errorf("order status after a decline = %q, want awaiting_payment", got.Status)
	}
	if got := m.stock(t, "MUG"); got.Held != 1 {
		t.Errorf("stock held after a decline = %d, want 1", got.Held)
	}
	m.settle(t, o)
	m.charged(t, o)
	m.mailed(t, o.Email, 1)
	m.stockBecomes(t, "MUG", level{99, 99, 0})
}

// refusedBecause waits until the payment shows why the last attempt failed.
func (m *testShop) refusedBecause(t *testing.T, o order, code string) payment {
	t.Helper()
	var now payment
	waitFor(t, "the payment has the error "+code, func() bool {
		now = m.payment(t, o)
		return now.LastError != nil && now.LastError.Code == code && now.LastError.Message != ""
	})
	return now
}

// challenge pays with a card that needs 3-D Secure, and returns the address of the bank's page.
func (m *testShop) challenge(t *testing.T, o order) string {
	t.Helper()
	var in intent
	m.pay(t, m.checkout(t, o), secureCard).into(t, http.StatusOK, &in)
	if in.Status != "requires_action" || in.NextAction.Redirect.URL == "" {
		t.Fatalf("intent = %+v, want requires_action with a redirect", in)
	}
	waitFor(t, "the payment requires action", func() bool { return m.payment(t, o).Status == "requires_action" })
	return in.NextAction.Redirect.URL
}

// authenticate submits the bank's page and returns the address to which the bank redirects.
func (m *testShop) authenticate(t *testing.T, page, outcome string) *url.URL {
	t.Helper()
	at, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"outcome": {outcome}, "client_secret": {at.Query().Get("client_secret")}}
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, page, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	back, err := response.Location()
	if err != nil {
		t.Fatalf("bank: %s without a redirect: %v", response.Status, err)
	}
	return back
}

func threeDSecureCompleted(t *testing.T, m *testShop) {
	o := m.place(t, cart("sara", line{"MUG", 1}))
	back := m.authenticate(t, m.challenge(t, o), "complete")
	if back.Path != "/back" || back.Query().Get("redirect_status") != "succeeded" {
		t.Errorf("redirect = %s, want the shop with the outcome", back)
	}
	m.becomes(t, o, "confirmed")
	m.charged(t, o)
	m.mailed(t, o.Email, 1)
}

func threeDSecureFailed(t *testing.T, m *testShop) {
	o := m.place(t, cart("fay", line{"MUG", 1}))
	if back := m.authenticate(t, m.challenge(t, o), "fail"); back.Query().Get("redirect_status") != "failed" {
		t.Errorf("redirect = %s, want the shop with the outcome", back)
	}
	m.refusedBecause(t, o, "payment_intent_authentication_failure")
	m.settle(t, o)
	m.charged(t, o)
	m.mailed(t, o.Email, 1)
}

// amountBelowMinimum expects, with a limit below Stripe's minimum, that the order does not wait for a payment that Stripe
// refuses.
func amountBelowMinimum(t *testing.T, m *testShop) {
	m.list(t, "PENNY", 1, 100)
	o := m.place(t, cart("scrooge", line{"PENNY", 29}))
	ended := m.becomes(t, o, "rejected")
	if ended.Reason == nil || ended.Reason.Code != "payment_not_taken" {
		t.Errorf("reason = %+v, want payment_not_taken", ended.Reason)
	}
	m.stockBecomes(t, "PENNY", level{100, 100, 0})
	if got := m.mailed(t, o.Email, 1)[0]; !strings.Contains(got.Text, "You have not been charged") {
		t.Errorf("e-mail text =\n%s", got.Text)
	}
	if found := m.intents(t, o); len(found) > 0 {
		t.Errorf("intents = %+v, want none", found)
	}
}
