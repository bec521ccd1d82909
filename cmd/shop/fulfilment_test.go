package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tillstream/events"
	"tillstream/orders"
)

// atFulfilment makes a shop charge cards when goods are sent.
func atFulfilment(c *Config) { c.Capture = events.CaptureAtFulfilment }

// authorize places an order of two mugs and pays it, until it is confirmed with an authorization.
func (ts *testShop) authorize(t *testing.T, name string) order {
	t.Helper()
	placed := ts.place(t, cart(name, line{"MUG", 2}))
	ts.pay(t, ts.checkout(t, placed), goodCard)
	ts.becomes(t, placed, "confirmed")
	if now := ts.payment(t, placed); now.Status != "authorized" {
		t.Errorf("payment of the confirmed order: got %s, want authorized", now.Status)
	}
	return placed
}

// fulfil posts a fulfilment as staff.
func (ts *testShop) fulfil(t *testing.T, o order, key, body string) answer {
	t.Helper()
	r := ts.request(t, http.MethodPost, "/ops/api/orders/"+o.ID+"/fulfilments", ts.OpsKey, strings.NewReader(body))
	r.Header.Set("Idempotency-Key", key)
	return ts.send(t, r)
}

// fulfilments reads the fulfilments of an order as staff.
func (ts *testShop) fulfilments(t *testing.T, o order) (b orders.FulfilmentsBody) {
	t.Helper()
	ts.get(t, "/ops/api/orders/"+o.ID+"/fulfilments", ts.OpsKey).into(t, http.StatusOK, &b)
	return b
}

// The card is charged when goods are sent, for what is sent. The rest returns to stock.
func TestMoneyIsCapturedWhenGoodsAreSent(t *testing.T) {
	ts := startShop(t, atFulfilment)
	ts.list(t, "MUG", 1250, 10)
	placed, key := ts.authorize(t, "ada"), uuid.NewString()
	if text := ts.mailed(t, placed.Email, 1)[0].Text; !strings.Contains(text, "We charge your card when we send the goods") || strings.Contains(text, "received your payment") {
		t.Errorf("mail of the confirmed order does not say when the card is charged:\n%s", text)
	}
	ts.stockBecomes(t, "MUG", level{8, 8, 0})
	const body = `{"lines":[{"sku":"MUG","quantity":1}],"carrier":"Post","tracking":"P1","final":true}`
	var sent, again orders.Fulfilment
	ts.fulfil(t, placed, key, body).into(t, http.StatusCreated, &sent)
	ts.fulfil(t, placed, key, body).into(t, http.StatusCreated, &again)
	if sent.Amount != gbp(1250) || again.ID != sent.ID || len(sent.Cancelled) != 1 {
		t.Errorf("fulfilment: got %+v, then %+v; want one mug for 12.50, one cancelled, twice the same", sent, again)
	}
	if got := ts.fulfil(t, placed, key, `{"final":false}`).Status; got != http.StatusUnprocessableEntity {
		t.Errorf("another parcel with the same key: got HTTP %d, want 422", got)
	}
	if got := ts.fulfil(t, placed, uuid.NewString(), `{}`).Status; got != http.StatusConflict {
		t.Errorf("a parcel after the last: got HTTP %d, want 409", got)
	}
	ts.stockBecomes(t, "MUG", level{9, 9, 0})
	waitFor(t, "the money is captured", func() bool { return ts.fulfilments(t, placed).Captured == gbp(1250) })
	if got := ts.fulfilments(t, placed); got.PaymentStatus != orders.Paid || got.FulfilmentStatus != orders.Fulfilled || len(got.Unsent) != 0 {
		t.Errorf("order: got %+v, want paid and fulfilled", got)
	}
	ts.verify(t, placed.ID)
}

// Row 40 of the fault matrix: nobody sends the goods in seven days. The order says so, its stock is released, and one mail tells the
// shopper.
func TestExpiredAuthorizationCancelsTheOrder(t *testing.T) {
	ts := startShop(t, atFulfilment)
	ts.list(t, "MUG", 1250, 10)
	placed := ts.authorize(t, "ada")
	ts.mailed(t, placed.Email, 1)
	clock := ts.stripeRequest(t, http.MethodPost, "/sandbox/clock", ts.StripeSecretKey, nil)
	advance := ts.request(t, http.MethodPost, "/", ts.StripeSecretKey, strings.NewReader(`{"advance":"192h"}`))
	advance.URL, advance.Host = clock.URL, ""
	ts.send(t, advance).into(t, http.StatusOK, new(any))
	if last := ts.becomes(t, placed, "cancelled"); last.Reason == nil || last.Reason.Code != events.CancelAuthorizationExpired {
		t.Errorf("reason of the cancelled order: got %+v, want %s", last.Reason, events.CancelAuthorizationExpired)
	}
	ts.stockBecomes(t, "MUG", level{10, 10, 0})
	mails := ts.mailed(t, placed.Email, 2)
	if !slices.ContainsFunc(mails, func(m mail) bool { return strings.Contains(m.Text, "authorization expired before we sent the goods") }) {
		t.Errorf("mails: got %+v, want one that says what happened", mails)
	}
	ts.verify(t, placed.ID)
}

// Staff cancel an order before they send it. The authorization is released, and nothing is charged.
func TestStaffVoidAnAuthorization(t *testing.T) {
	ts := startShop(t, atFulfilment)
	ts.list(t, "MUG", 1250, 10)
	placed := ts.authorize(t, "ada")
	if got := ts.cancel(t, placed).Status; got != http.StatusConflict {
		t.Errorf("cancelled by the shopper: got HTTP %d, want 409", got)
	}
	ts.ask(t, "POST /ops/api/orders/ID/cancel", placed.ID, ts.OpsKey, `{"reason":"the shopper called"}`).into(t, http.StatusOK, new(any))
	waitFor(t, "the payment is cancelled", func() bool { return ts.payment(t, placed).Status == "cancelled" })
	ts.stockBecomes(t, "MUG", level{10, 10, 0})
	ts.verify(t, placed.ID)
}
