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
	ts := startShop(t, func(c *Config) { c.ChargeLimits = events.ChargeLimits{"GBP": {Min: 1, Max: 99_999_999, Step: 1}} })
	ts.list(t, "MUG", 1250, 100)
	t.Run("ThenAnotherCard", func(t *testing.T) { anotherCard(t, ts) })
	t.Run("ThreeDSecureCompleted", func(t *testing.T) { threeDSecureCompleted(t, ts) })
	t.Run("ThreeDSecureFailedThenAnotherCard", func(t *testing.T) { threeDSecureFailed(t, ts) })
	t.Run("AmountBelowStripesMinimum", func(t *testing.T) { amountBelowMinimum(t, ts) })
}

func anotherCard(t *testing.T, ts *testShop) {
	o := ts.place(t, cart("dora", line{"MUG", 1}))
	offer := ts.checkout(t, o)
	if a := ts.pay(t, offer, brokeCard); a.Status != http.StatusPaymentRequired {
		t.Fatalf("card without funds: status %d, want 402: %s", a.Status, a.Body)
	}
	now := ts.refusedBecause(t, o, "insufficient_funds")
	if now.ClientSecret != offer.ClientSecret || now.Intent != offer.Intent {
		t.Errorf("payment after a decline = %+v, want the same intent and secret as %+v", now, offer)
	}
	if got := ts.read(t, o); got.Status != "awaiting_payment" {
		t.Errorf("order status after a decline = %q, want awaiting_payment", got.Status)
	}
	if got := ts.stock(t, "MUG"); got.Held != 1 {
		t.Errorf("stock held after a decline = %d, want 1", got.Held)
	}
	ts.settle(t, o)
	ts.charged(t, o)
	ts.mailed(t, o.Email, 1)
	ts.stockBecomes(t, "MUG", level{99, 99, 0})
}

// Row 72 of the fault matrix: after ten declined cards the order is cancelled and says why, its stock is available again, and its
// intent takes no other card. Nobody gets a mail.
func TestTenDeclinesCancelTheOrder(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 100)
	o := ts.place(t, cart("mallory", line{"MUG", 40}))
	offer := ts.checkout(t, o)
	for range 10 {
		if a := ts.pay(t, offer, brokeCard); a.Status != http.StatusPaymentRequired {
			t.Fatalf("card without funds: status %d, want 402: %s", a.Status, a.Body)
		}
	}
	ended := ts.becomes(t, o, "cancelled")
	if ended.Reason == nil || ended.Reason.Code != "declined_too_often" || ended.Reason.Message == "" {
		t.Errorf("reason = %+v, want declined_too_often with a message", ended.Reason)
	}
	ts.intentBecomes(t, o, "canceled")
	ts.stockBecomes(t, "MUG", level{100, 100, 0})
	if a := ts.pay(t, offer, goodCard); a.Status != http.StatusBadRequest {
		t.Errorf("paying a cancelled order: status %d, want 400: %s", a.Status, a.Body)
	}
	ts.notMailed(t, o)
	ts.verify(t, o.ID)
}

// refusedBecause waits until the payment shows why the last attempt failed.
func (ts *testShop) refusedBecause(t *testing.T, o order, code string) payment {
	t.Helper()
	var now payment
	waitFor(t, "the payment has the error "+code, func() bool {
		now = ts.payment(t, o)
		return now.LastError != nil && now.LastError.Code == code && now.LastError.Message != ""
	})
	return now
}

// challenge pays with a card that needs 3-D Secure, and returns the address of the bank's page.
func (ts *testShop) challenge(t *testing.T, o order) string {
	t.Helper()
	var in intent
	ts.pay(t, ts.checkout(t, o), secureCard).into(t, http.StatusOK, &in)
	if in.Status != "requires_action" || in.NextAction.Redirect.URL == "" {
		t.Fatalf("intent = %+v, want requires_action with a redirect", in)
	}
	waitFor(t, "the payment requires action", func() bool { return ts.payment(t, o).Status == "requires_action" })
	return in.NextAction.Redirect.URL
}

// authenticate submits the bank's page and returns the address to which the bank redirects.
func (ts *testShop) authenticate(t *testing.T, page, outcome string) *url.URL {
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

func threeDSecureCompleted(t *testing.T, ts *testShop) {
	o := ts.place(t, cart("sara", line{"MUG", 1}))
	back := ts.authenticate(t, ts.challenge(t, o), "complete")
	if back.Path != "/back" || back.Query().Get("redirect_status") != "succeeded" {
		t.Errorf("redirect = %s, want the shop with the outcome", back)
	}
	ts.becomes(t, o, "confirmed")
	ts.charged(t, o)
	ts.mailed(t, o.Email, 1)
}

func threeDSecureFailed(t *testing.T, ts *testShop) {
	o := ts.place(t, cart("fay", line{"MUG", 1}))
	if back := ts.authenticate(t, ts.challenge(t, o), "fail"); back.Query().Get("redirect_status") != "failed" {
		t.Errorf("redirect = %s, want the shop with the outcome", back)
	}
	ts.refusedBecause(t, o, "payment_intent_authentication_failure")
	ts.settle(t, o)
	ts.charged(t, o)
	ts.mailed(t, o.Email, 1)
}

// amountBelowMinimum expects, with a limit below Stripe's minimum, that the order does not wait for a payment that Stripe
// refuses.
func amountBelowMinimum(t *testing.T, ts *testShop) {
	ts.list(t, "PENNY", 1, 100)
	o := ts.place(t, cart("scrooge", line{"PENNY", 29}))
	ended := ts.becomes(t, o, "rejected")
	if ended.Reason == nil || ended.Reason.Code != "payment_not_taken" {
		t.Errorf("reason = %+v, want payment_not_taken", ended.Reason)
	}
	ts.stockBecomes(t, "PENNY", level{100, 100, 0})
	ts.notMailed(t, o)
	if found := ts.intents(t, o); len(found) > 0 {
		t.Errorf("intents = %+v, want none", found)
	}
}
