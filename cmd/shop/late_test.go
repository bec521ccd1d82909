package main

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Row 30 of the fault matrix, over HTTP: the payment is authorized in time, but the shop is told only after the order
// has expired. The outcome depends on whether the items are still in stock.
func TestPaidTooLate(t *testing.T) {
	t.Run("InStock", func(t *testing.T) { t.Parallel(); lateInStock(t) })
	t.Run("SoldOutVoidsTheAuthorization", func(t *testing.T) { t.Parallel(); lateVoided(t) })
	t.Run("SoldOutRefundsTheCapture", func(t *testing.T) { t.Parallel(); lateRefunded(t) })
	t.Run("InStockAndCaptured", func(t *testing.T) { t.Parallel(); lateCaptured(t) })
}

// latePayment is a shop with an order for its last lamp, which is paid at Stripe while the shop has no report of the payment.
type latePayment struct {
	*testShop
	order           order
	intent          string
	releaseWebhooks func() // lets Stripe's webhooks through
	releaseAnswers  func() // lets Stripe answer the shop
}

// payUnnoticed pays an order while Stripe's webhooks and answers are held back.
func payUnnoticed(t *testing.T) latePayment {
	t.Helper()
	ts, b := startShopWithBank(t, func(c *Config) { c.HoldFor, c.SweepEvery = 2*time.Second, time.Hour })
	ts.list(t, "LAMP", 6400, 1)
	l := latePayment{testShop: ts, order: ts.place(t, cart("tardy", line{"LAMP", 1}))}
	offer := ts.checkout(t, l.order)
	l.intent = offer.Intent
	l.releaseWebhooks, l.releaseAnswers = b.holdWebhooks(offer.Intent), b.holdAnswers(offer.Intent)
	var in intent
	ts.pay(t, offer, goodCard).into(t, http.StatusOK, &in)
	if in.Status != "requires_capture" {
		t.Fatalf("intent status after payment = %q, want requires_capture", in.Status)
	}
	return l
}

// expires waits until the order has expired and its stock is available again.
func (l latePayment) expires(t *testing.T) {
	t.Helper()
	l.becomes(t, l.order, "expired")
	l.stockBecomes(t, "LAMP", level{1, 1, 0})
}

// subjects waits for exactly these e-mails to an address and returns them by subject. Their order is not guaranteed: two that
// are queued at once are sent concurrently.
func (ts *testShop) subjects(t *testing.T, to string, want ...string) map[string]mail {
	t.Helper()
	got := map[string]mail{}
	for _, each := range ts.mailed(t, to, len(want)) {
		got[each.Subject] = each
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("subjects of e-mails to %s (-want +got):\n%s", to, diff)
	}
	return got
}

// lateInStock has the webhook arrive after the expiry, and expects the order to continue.
func lateInStock(t *testing.T) {
	l := payUnnoticed(t)
	l.expires(t)
	l.releaseWebhooks()
	l.becomes(t, l.order, "capturing")
	l.stockBecomes(t, "LAMP", level{1, 0, 1})
	l.releaseAnswers()
	l.becomes(t, l.order, "confirmed")
	l.charged(t, l.order)
	l.stockBecomes(t, "LAMP", level{})
	l.subjects(t, l.order.Email, "Order "+l.order.Number+" is confirmed")
}

// soldTo sells the lamp to another shopper while the first shopper's payment is unknown.
func (l latePayment) soldTo(t *testing.T, who string) order {
	t.Helper()
	l.expires(t)
	sold := l.buy(t, cart(who, line{"LAMP", 1}))
	l.stockBecomes(t, "LAMP", level{})
	return sold
}

// rejected waits until the order is rejected because its payment came too late.
func (l latePayment) rejected(t *testing.T) order {
	t.Helper()
	ended := l.becomes(t, l.order, "rejected")
	if ended.Reason == nil || ended.Reason.Code != "paid_too_late" || !strings.Contains(ended.Reason.Message, "We refund the full amount") {
		t.Errorf("reason = %+v, want paid_too_late", ended.Reason)
	}
	return ended
}

// lateVoided expects that the authorization is voided, so that no money moves. The cancellation reads the intent first, and so
// the shop finds the payment.
func lateVoided(t *testing.T) {
	l := payUnnoticed(t)
	winner := l.soldTo(t, "swift")
	l.releaseAnswers()
	l.rejected(t)
	if in := l.intentBecomes(t, l.order, "canceled"); in.AmountReceived != 0 {
		t.Errorf("captured %d for an item that was sold to another shopper, want 0", in.AmountReceived)
	}
	l.releaseWebhooks()
	sorry := "We cannot deliver order " + l.order.Number
	told := l.subjects(t, l.order.Email, sorry)
	if !strings.Contains(told[sorry].Text, "reached us after your reservation had expired") {
		t.Errorf("e-mail %q has the text\n%s", sorry, told[sorry].Text)
	}
	l.charged(t, winner)
	l.mailed(t, winner.Email, 1)
}

// captureByHand captures the payment, as staff can in Stripe's dashboard.
func (l latePayment) captureByHand(t *testing.T) {
	t.Helper()
	var in intent
	l.stripe(t, http.MethodPost, "/v1/payment_intents/"+l.intent+"/capture", l.StripeSecretKey, url.Values{}).into(t, http.StatusOK, &in)
	if in.Status != "succeeded" {
		t.Fatalf("intent status after capture = %q, want succeeded", in.Status)
	}
}

// refunds returns the amounts that Stripe has refunded of an intent.
func (ts *testShop) refunds(t *testing.T, intent string) []int64 {
	t.Helper()
	var all struct {
		Data []struct {
			Amount int64
			Status string
		}
	}
	ts.stripe(t, http.MethodGet, "/v1/refunds?payment_intent="+intent, ts.StripeSecretKey, nil).into(t, http.StatusOK, &all)
	var amounts []int64
	for _, r := range all.Data {
		if r.Status == "succeeded" {
			amounts = append(amounts, r.Amount)
		}
	}
	return amounts
}

// lateRefunded expects that a captured payment is refunded in full, once, and that the shopper gets an e-mail.
func lateRefunded(t *testing.T) {
	l := payUnnoticed(t)
	l.captureByHand(t)
	winner := l.soldTo(t, "swift")
	l.releaseAnswers()
	l.rejected(t)
	waitFor(t, "the order shows the refund", func() bool { return l.read(t, l.order).Refunded != nil })
	if now := l.read(t, l.order); now.Status != "rejected" || *now.Refunded != l.order.Total {
		t.Errorf("after the refund: status %q, refunded %s; want rejected, %s", now.Status, now.Refunded, l.order.Total)
	}
	l.releaseWebhooks() // which change nothing any more
	l.subjects(t, l.order.Email, "We cannot deliver order "+l.order.Number,
		"Refund of £64.00 for order "+l.order.Number)
	waitFor(t, "the payment is refunded", func() bool { return l.payment(t, l.order).Status == "refunded" })
	if got := l.refunds(t, l.intent); !slices.Equal(got, []int64{6400}) {
		t.Errorf("refunds = %v, want 6400 once", got)
	}
	l.charged(t, winner)
	l.mailed(t, winner.Email, 1)
}

// lateCaptured expects that a captured payment is accepted and the stock reserved again, once Stripe itself has said so.
func lateCaptured(t *testing.T) {
	l := payUnnoticed(t)
	l.captureByHand(t)
	l.expires(t)
	l.releaseWebhooks()
	l.becomes(t, l.order, "capturing")
	l.releaseAnswers()
	l.becomes(t, l.order, "confirmed")
	l.charged(t, l.order)
	l.stockBecomes(t, "LAMP", level{})
	l.subjects(t, l.order.Email, "Order "+l.order.Number+" is confirmed")
	if got := l.refunds(t, l.intent); len(got) > 0 {
		t.Errorf("refunds = %v of a confirmed order, want none", got)
	}
}
