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

// Row 30 of the fault matrix, over HTTP. TestPaidTooLate: the money is reserved in time, but the shop hears of it only after the order has expired. What then
// happens to goods and money depends on who was faster.
func TestPaidTooLate(t *testing.T) {
	t.Run("TheGoodsAreStillThere", func(t *testing.T) { t.Parallel(); goodsStillThere(t) })
	t.Run("TheGoodsAreSoldAndTheReservationIsLetGo", func(t *testing.T) { t.Parallel(); soldAndVoided(t) })
	t.Run("TheGoodsAreSoldAndTheMoneyGoesBack", func(t *testing.T) { t.Parallel(); soldAndRefunded(t) })
	t.Run("TheGoodsAreStillThereAndTheMoneyIsTaken", func(t *testing.T) { t.Parallel(); takenAndStillThere(t) })
}

// late is a shopper who paid for the last lamp, and whose payment nobody but Stripe knows of.
type late struct {
	*testShop
	order  order
	intent string
	speak  func() // lets Stripe's webhooks through
	answer func() // lets Stripe answer the shop
}

// payUnheard brings an order to the point where it has expired though it is paid.
func payUnheard(t *testing.T) late {
	t.Helper()
	m, b := startShopWithBank(t, func(c *Config) { c.HoldFor, c.SweepEvery = 2*time.Second, time.Hour })
	m.list(t, "LAMP", 6400, 1)
	l := late{testShop: m, order: m.place(t, cart("tardy", line{"LAMP", 1}))}
	offer := m.checkout(t, l.order)
	l.intent = offer.Intent
	l.speak, l.answer = b.holdWebhooks(offer.Intent), b.holdAnswers(offer.Intent)
	var in intent
	m.pay(t, offer, goodCard).into(t, http.StatusOK, &in)
	if in.Status != "requires_capture" {
		t.Fatalf("the intent is %s after paying", in.Status)
	}
	return l
}

// expires waits until the order has expired and its goods can be bought by others.
func (l late) expires(t *testing.T) {
	t.Helper()
	l.becomes(t, l.order, "expired")
	l.stockBecomes(t, "LAMP", level{1, 1, 0})
}

// subjects expects somebody to have been told exactly these things, and returns the mails by subject. In which order they
// come is not promised: two that are queued at once are sent at once.
func (m *testShop) subjects(t *testing.T, to string, want ...string) map[string]mail {
	t.Helper()
	got := map[string]mail{}
	for _, each := range m.mailed(t, to, len(want)) {
		got[each.Subject] = each
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("%s was told (-want +got):\n%s", to, diff)
	}
	return got
}

// goodsStillThere: the webhook arrives after the end, and the order is taken up again.
func goodsStillThere(t *testing.T) {
	l := payUnheard(t)
	l.expires(t)
	l.speak()
	l.becomes(t, l.order, "capturing")
	l.stockBecomes(t, "LAMP", level{1, 0, 1})
	l.answer()
	l.becomes(t, l.order, "confirmed")
	l.charged(t, l.order)
	l.stockBecomes(t, "LAMP", level{})
	l.subjects(t, l.order.Email, "Order "+l.order.Number+" was not paid in time", "Order "+l.order.Number+" is confirmed")
}

// soldTo sells the lamp to somebody else while the shop still waits to hear of the first shopper's payment.
func (l late) soldTo(t *testing.T, who string) order {
	t.Helper()
	l.expires(t)
	sold := l.buy(t, cart(who, line{"LAMP", 1}))
	l.stockBecomes(t, "LAMP", level{})
	return sold
}

// rejected expects the shop to have said that it cannot deliver any more.
func (l late) rejected(t *testing.T) order {
	t.Helper()
	ended := l.becomes(t, l.order, "rejected")
	if ended.Reason == nil || ended.Reason.Code != "paid_too_late" || !strings.Contains(ended.Reason.Message, "The money goes back") {
		t.Errorf("rejected for %+v", ended.Reason)
	}
	return ended
}

// soldAndVoided: what was only reserved is let go; no money moves at all. The cancellation looks at Stripe before it
// voids anything, which is how the shop hears of the payment here.
func soldAndVoided(t *testing.T) {
	l := payUnheard(t)
	winner := l.soldTo(t, "swift")
	l.answer()
	l.rejected(t)
	if in := l.intentBecomes(t, l.order, "canceled"); in.AmountReceived != 0 {
		t.Errorf("%d was taken for goods that were sold to somebody else", in.AmountReceived)
	}
	l.speak()
	sorry := "We cannot deliver order " + l.order.Number
	told := l.subjects(t, l.order.Email, "Order "+l.order.Number+" was not paid in time", sorry)
	if !strings.Contains(told[sorry].Text, "arrived after the time for which we could hold your goods") {
		t.Errorf("the mail says\n%s", told[sorry].Text)
	}
	l.charged(t, winner)
	l.mailed(t, winner.Email, 1)
}

// captureByHand takes the money as staff can in Stripe's dashboard.
func (l late) captureByHand(t *testing.T) {
	t.Helper()
	var in intent
	l.stripe(t, http.MethodPost, "/v1/payment_intents/"+l.intent+"/capture", l.StripeSecretKey, url.Values{}).into(t, http.StatusOK, &in)
	if in.Status != "succeeded" {
		t.Fatalf("the intent is %s after it was captured by hand", in.Status)
	}
}

// refunds is what Stripe sent back of an order's payment.
func (l late) refunds(t *testing.T) []int64 {
	t.Helper()
	var all struct {
		Data []struct {
			Amount int64
			Status string
		}
	}
	l.stripe(t, http.MethodGet, "/v1/refunds?payment_intent="+l.intent, l.StripeSecretKey, nil).into(t, http.StatusOK, &all)
	var amounts []int64
	for _, r := range all.Data {
		if r.Status == "succeeded" {
			amounts = append(amounts, r.Amount)
		}
	}
	return amounts
}

// soldAndRefunded: what was taken goes back in full, once, and the shopper is told.
func soldAndRefunded(t *testing.T) {
	l := payUnheard(t)
	l.captureByHand(t)
	winner := l.soldTo(t, "swift")
	l.answer()
	l.rejected(t)
	waitFor(t, "the order tells of the refund", func() bool { return l.read(t, l.order).Refunded != nil })
	if now := l.read(t, l.order); now.Status != "rejected" || *now.Refunded != l.order.Total {
		t.Errorf("after the refund the order is %s and %s went back", now.Status, now.Refunded)
	}
	l.speak() // everything that was said meanwhile is news to nobody
	l.subjects(t, l.order.Email, "Order "+l.order.Number+" was not paid in time", "We cannot deliver order "+l.order.Number,
		"Refund of £64.00 for order "+l.order.Number)
	waitFor(t, "the payment is known to be returned", func() bool { return l.payment(t, l.order).Status == "refunded" })
	if got := l.refunds(t); !slices.Equal(got, []int64{6400}) {
		t.Errorf("sent back were %v, want 6400 once", got)
	}
	l.charged(t, winner)
	l.mailed(t, winner.Email, 1)
}

// takenAndStillThere: the order has its money, and its goods once more.
func takenAndStillThere(t *testing.T) {
	l := payUnheard(t)
	l.captureByHand(t)
	l.expires(t)
	l.speak()
	l.becomes(t, l.order, "confirmed")
	l.answer()
	l.charged(t, l.order)
	l.stockBecomes(t, "LAMP", level{})
	l.subjects(t, l.order.Email, "Order "+l.order.Number+" was not paid in time", "Order "+l.order.Number+" is confirmed")
	if got := l.refunds(t); len(got) > 0 {
		t.Errorf("%v was sent back of an order that was delivered", got)
	}
}
