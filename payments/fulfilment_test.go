package payments

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// parcel appends a fulfilment of an order. due is the price of everything that was sent so far.
func (f *fixture) parcel(orderID, id string, amount, due, released int64) {
	f.t.Helper()
	gbp := func(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }
	f.appendOrder(orderID, events.OrderFulfilmentCreated{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)},
		FulfilmentID: id, Amount: gbp(amount), Due: gbp(due), Final: released > 0, Released: gbp(released)})
}

// recover makes up for webhooks that were not delivered.
func (f *fixture) recover() {
	f.t.Helper()
	f.clockOffset.Add(int64(time.Minute))
	f.reconcileFromStart()
}

// authorize places an order and pays it, until the authorization is checked at Stripe.
func (f *fixture) authorize(amount int64) (orderID string, p PaymentBody) {
	f.t.Helper()
	orderID, p = f.placeOrder(amount)
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	return orderID, p
}

// Stripe captures a payment as soon as the shopper has paid. The webhook makes the lane ask Stripe; if it is lost, the reconciler does.
func TestAutomaticCaptureIsRecorded(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"Webhook": false, "WebhookLost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, fixtureOptions{noWebhooks: lost, capture: events.CaptureAutomatic})
			orderID, p := f.placeOrder(1250)
			f.pay(p, "pm_card_visa")
			if lost {
				f.recover()
			}
			f.waitForStatus(orderID, StatusCaptured)
			if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["captured"] != 1 || got["authorized"] != 0 {
				t.Errorf("events of the payment: got %v, want one capture and no authorization", got)
			}
			f.expectReceivedAtStripe(p.PaymentIntent, 1250)
			f.expectNoDeadLetters()
		})
	}
}

// A webhook alone authorizes nothing when money is captured at fulfilment. Stripe's own answer has the end of the authorization.
func TestAuthorizationIsCheckedAtStripe(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true, capture: events.CaptureAtFulfilment, parts: true})
	orderID, p := f.placeOrder(1250)
	f.post(webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)) // not true: nobody has paid
	other, _ := f.placeOrder(100)
	f.waitUntil("the lane has handled the webhook", func() bool { return f.payment(other).PaymentIntent != "" })
	if got := f.payment(orderID); got.Status() != StatusIntentCreated {
		t.Errorf("after a webhook that is not true: got %s, want %s", got.Status(), StatusIntentCreated)
	}
	f.pay(p, "pm_card_visa")
	f.recover()
	f.waitForStatus(orderID, StatusAuthorized)
	got := f.payment(orderID)
	if left := time.Until(got.AuthorizedUntil); !got.Multicapture || left < 6*24*time.Hour || left > 8*24*time.Hour {
		t.Errorf("authorization: got multicapture %t until %s, want true for about seven days", got.Multicapture, got.AuthorizedUntil)
	}
	for _, e := range f.history() {
		if a, ok := e.Payload.(events.PaymentAuthorized); ok && (a.Capture != events.CaptureAtFulfilment || !a.ExpiresAt.Equal(got.AuthorizedUntil)) {
			t.Errorf("event: got %+v, want the capture and the end of the authorization", a)
		}
	}
	f.expectNoDeadLetters()
}

// Rows 33 and 34 of the fault matrix: each parcel captures its price once, although every answer of Stripe is lost once.
func TestParcelsCaptureTheirPriceOnce(t *testing.T) {
	t.Parallel()
	gateway := &lossyGateway{lose: map[string]int{}}
	f := newFixture(t, fixtureOptions{capture: events.CaptureAtFulfilment, parts: true, gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	orderID, p := f.authorize(1250)
	for _, c := range []struct {
		id                    string
		amount, due, released int64
		more                  bool
	}{{"f1", 400, 400, 0, true}, {"f2", 250, 650, 0, true}, {"f3", 300, 950, 300, false}} {
		gateway.mu.Lock()
		gateway.lose["capture"] = 1
		gateway.mu.Unlock()
		f.parcel(orderID, c.id, c.amount, c.due, c.released)
		f.waitUntil(c.id+" is captured", func() bool { return f.payment(orderID).Captured.Amount == c.due })
		f.expectReceivedAtStripe(p.PaymentIntent, float64(c.due))
		if got := f.payment(orderID); got.CaptureMore != c.more {
			t.Errorf("after %s: got more to capture %t, want %t", c.id, got.CaptureMore, c.more)
		}
	}
	f.parcel(orderID, "f2", 250, 650, 0) // delivered again
	f.waitForStatus(orderID, StatusCaptured)
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["captured"] != 3 || got["refunded"] != 0 {
		t.Errorf("events of the payment: got %v, want three captures and no refund", got)
	}
	f.expectNoDeadLetters()
}

// Parcels whose captures begin at the same time are captured one after the other, and together what is due.
func TestParcelsAtOnceCaptureWhatIsDue(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{capture: events.CaptureAtFulfilment, parts: true})
	orderID, p := f.authorize(1250)
	f.parcel(orderID, "f1", 400, 400, 0)
	f.parcel(orderID, "f2", 250, 650, 0)
	f.parcel(orderID, "f3", 600, 1250, 0)
	f.waitForStatus(orderID, StatusCaptured)
	f.expectReceivedAtStripe(p.PaymentIntent, 1250)
	f.expectNoDeadLetters()
}

// A card that allows one capture is charged with the first parcel, less what is not sent any more.
func TestFirstParcelCapturesAllThatIsDue(t *testing.T) {
	t.Parallel()
	for name, released := range map[string]int64{"MoreFollows": 0, "Final": 850} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gateway := &lossyGateway{lose: map[string]int{"capture": 1}}
			f := newFixture(t, fixtureOptions{capture: events.CaptureAtFulfilment, gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
			orderID, p := f.authorize(1250)
			f.parcel(orderID, "f1", 400, 400, released)
			f.waitForStatus(orderID, StatusCaptured)
			f.expectReceivedAtStripe(p.PaymentIntent, float64(1250-released))
			if released == 0 {
				f.parcel(orderID, "f2", 850, 1250, 0)
			}
			f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}, "amount": {"100"}})
			f.waitForStatus(orderID, StatusPartlyRefunded)
			if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["captured"] != 1 || got["refunded"] != 1 {
				t.Errorf("events of the payment: got %v, want one capture, and the refund of the dashboard", got)
			}
			f.expectNoDeadLetters()
		})
	}
}

// Row 40 of the fault matrix: nobody captures the money in seven days, and Stripe releases it. The payment says so, with the webhook or
// without it. Goods that are sent afterwards are an open item.
func TestExpiredAuthorizationCancelsThePayment(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"Webhook": false, "WebhookLost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, fixtureOptions{noWebhooks: lost, capture: events.CaptureAtFulfilment, database: lost})
			orderID, p := f.placeOrder(1250)
			f.pay(p, "pm_card_visa")
			if lost {
				f.recover()
			}
			f.waitForStatus(orderID, StatusAuthorized)
			f.expireAtStripe()
			if lost {
				f.clockOffset.Add(int64(8 * 24 * time.Hour))
				f.recover()
			}
			f.waitForStatus(orderID, StatusCancelled)
			f.parcel(orderID, "f1", 1250, 1250, 0)
			f.waitUntil("the capture is an open item", func() bool { return len(f.deadLetters()) == 1 })
			if got := f.deadLetters()[0].Error; !strings.Contains(got, ErrAuthorizationGone.Error()) {
				t.Errorf("open item: got %q, want one that says %q", got, ErrAuthorizationGone)
			}
			for _, e := range f.history() {
				if c, ok := e.Payload.(events.PaymentCancelled); ok && c.Reason != events.CancelAuthorizationExpired {
					t.Errorf("reason: got %q, want %q", c.Reason, events.CancelAuthorizationExpired)
				}
			}
		})
	}
}

// expireAtStripe moves the sandbox's clock past the end of the authorizations.
func (f *fixture) expireAtStripe() {
	f.t.Helper()
	if _, err := f.stripe.Advance(8 * 24 * time.Hour); err != nil {
		f.t.Fatal(err)
	}
}

// Row 40 of the fault matrix: a part was captured before the authorization expired. The rest is released.
func TestExpiryAfterAPartEndsTheCaptures(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{capture: events.CaptureAtFulfilment, parts: true})
	orderID, p := f.authorize(1250)
	f.parcel(orderID, "f1", 400, 400, 0)
	f.waitUntil("the parcel is captured", func() bool { return f.payment(orderID).Captured.Amount == 400 })
	f.expireAtStripe()
	f.waitForStatus(orderID, StatusCaptured)
	got := f.payment(orderID)
	if diff := cmp.Diff(events.Money{Amount: 400, Currency: "GBP"}, got.Captured); diff != "" || got.CaptureMore {
		t.Errorf("captured, want-, got+:\n%smore: got %t, want false", diff, got.CaptureMore)
	}
	f.expectReceivedAtStripe(p.PaymentIntent, 400)
	f.parcel(orderID, "f2", 850, 1250, 0)
	f.waitUntil("the capture is an open item", func() bool { return len(f.deadLetters()) == 1 })
}

// Rows 41 and 42 of the fault matrix, when money is captured at fulfilment: webhooks that arrive at once change nothing twice.
func TestWebhooksOfPartsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true, capture: events.CaptureAtFulfilment, parts: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() { f.post(webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)) })
	}
	group.Wait()
	f.waitForStatus(orderID, StatusAuthorized)
	f.parcel(orderID, "f1", 400, 400, 0)
	f.waitUntil("the parcel is captured", func() bool { return f.payment(orderID).Captured.Amount == 400 })
	f.recover()
	f.recover()
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["captured"] != 1 || got["authorized"] != 1 {
		t.Errorf("events of the payment: got %v, want one authorization and one capture", got)
	}
	f.expectNoDeadLetters()
}
