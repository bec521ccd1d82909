package payments

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

func TestPurchaseCapturesOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	if p.Status != StatusIntentCreated || p.Amount != 1250 || p.Currency != "GBP" || p.PublishableKey != publishableKey {
		t.Errorf("new payment: got %+v, want intent_created, 1250 GBP and the publishable key", p)
	}
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	if in := f.callStripe("payment_intents/"+p.PaymentIntent, nil); in["status"] != "succeeded" || in["amount_received"] != 1250.0 {
		t.Errorf("intent at Stripe: got %v with %v received, want succeeded with 1250", in["status"], in["amount_received"])
	}
	// The webhook about the capture is stored and adds no fact.
	f.waitUntil("both webhooks are stored", func() bool { return f.webhooksStored() == 2 })
	want := map[string]int{"requested": 1, "intent_created": 1, "authorized": 1, "captured": 1, "webhook_received": 2}
	if diff := cmp.Diff(want, f.countByType("payments."+events.FirstPaymentID(orderID))); diff != "" {
		t.Errorf("events of the payment, want-, got+:\n%s", diff)
	}
	for _, e := range f.history() {
		_, fromOutside := e.Payload.(events.WebhookReceived)
		if e.Subject == events.PrefixPayment+events.FirstPaymentID(orderID) && (e.CorrelationID != orderID || (e.CausationID == "") != fromOutside) {
			t.Errorf("%s: got correlation %q and cause %q, want %q and a cause unless Stripe posted it", e.Type, e.CorrelationID, e.CausationID, orderID)
		}
	}
	var after PaymentBody
	if f.getPayment(orderID, 0, &after); after.Status != StatusCaptured || after.ClientSecret != "" {
		t.Errorf("captured payment: got %+v, want no client secret", after)
	}
	f.expectNoSecrets(p.ClientSecret)
}

// Row 37 of the fault matrix: a card is declined, and the shopper pays with another one.
func TestDeclinedCardIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_chargeDeclinedInsufficientFunds")
	f.waitUntil("the decline is recorded", func() bool { return f.payment(orderID).LastError != nil })
	var declined PaymentBody
	f.getPayment(orderID, 0, &declined)
	want := &PaymentError{Code: "insufficient_funds", Message: "Your card has insufficient funds."}
	if diff := cmp.Diff(want, declined.LastError); diff != "" || declined.Status != StatusIntentCreated || declined.ClientSecret == "" {
		t.Errorf("declined payment: got status %s, want %s with a client secret; error want-, got+:\n%s", declined.Status, StatusIntentCreated, diff)
	}
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	if got := f.payment(orderID); got.LastError != nil || len(got.Declines) != 1 {
		t.Errorf("after the second card: got %+v, want one decline and no last error", got)
	}
}

func TestThreeDSecureRequiresAction(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_threeDSecure2Required")
	f.waitForStatus(orderID, StatusRequiresAction)
	f.expectNoSecrets(p.ClientSecret)
}

func TestExpiredOrderCancelsItsIntent(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.expireOrder(orderID)
	f.waitForStatus(orderID, StatusCancelled)
	f.expectCanceledAtStripe(p.PaymentIntent)
}

// The shopper has paid, but the webhook has not arrived when the order expires. The authorization is recorded and kept.
func TestExpiryKeepsAnAuthorizationThatJustArrived(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.expireOrder(orderID)
	f.waitForStatus(orderID, StatusAuthorized)
	f.acceptPayment(orderID, 1250) // the stock was still available
	f.waitForStatus(orderID, StatusCaptured)
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["refund_requested"] != 0 || got["cancelled"] != 0 {
		t.Errorf("events of the payment: got %v, want no refund and no cancellation", got)
	}
}

func TestCancelledOrderReleasesTheAuthorization(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	f.cancelOrder(orderID)
	f.waitForStatus(orderID, StatusCancelled)
	// Stripe reports the release as a refund, although nothing was captured.
	f.waitUntil("the webhook about the release is stored", func() bool { return f.webhooksStored() >= 3 })
	if got := f.payment(orderID); len(got.Refunds) != 0 || !got.Captured.IsZero() {
		t.Errorf("got %+v, want no refund and no capture", got)
	}
}

// Row 43 of the fault matrix: the order was cancelled while staff captured the payment in Stripe's dashboard.
func TestCaptureAfterCancellationIsRefundedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.callStripe("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
	f.cancelOrder(orderID)
	f.waitForStatus(orderID, StatusRefunded)
	if err := f.stripe.SetWebhookURL(f.shopURL + "/webhooks/stripe"); err != nil { // now all webhooks arrive, late
		t.Fatal(err)
	}
	f.waitUntil("the late webhooks are stored", func() bool { return f.webhooksStored() >= 3 })
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["refund_requested"] != 1 || got["refunded"] != 1 || got["captured"] != 1 {
		t.Errorf("events of the payment: got %v, want one capture and one refund", got)
	}
	list := f.callStripe("refunds?payment_intent="+p.PaymentIntent, nil)
	if refunds, _ := list["data"].([]any); len(refunds) != 1 {
		t.Errorf("refunds at Stripe: got %v, want one", list)
	}
}

// Row 50 of the fault matrix: refunds made in Stripe's dashboard are recorded, each once.
func TestDashboardRefundIsRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.buy(1250)
	f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}, "amount": {"250"}})
	f.waitForStatus(orderID, StatusPartlyRefunded)
	f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}})
	f.waitForStatus(orderID, StatusRefunded)
	if got := f.countByType("payments." + events.FirstPaymentID(orderID))["refunded"]; got != 2 {
		t.Errorf("recorded refunds: got %d, want 2", got)
	}
}

// Row 40 of the fault matrix: the authorization was cancelled before the capture.
func TestCaptureOfACancelledIntentCancelsThePayment(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.callStripe("payment_intents/"+p.PaymentIntent+"/cancel", url.Values{})
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCancelled)
	f.expectNoDeadLetters()
}

func TestRefusedIntentFailsThePayment(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID := f.requestPayment(10) // below Stripe's minimum
	f.waitForStatus(orderID, StatusFailed)
	var p PaymentBody
	if status := f.getPayment(orderID, 20, &p); status != http.StatusOK || p.Status != StatusFailed || p.LastError == nil || p.LastError.Code != "amount_too_small" {
		t.Errorf("got HTTP %d %+v, want 200 with status failed and code amount_too_small", status, p)
	}
}

// BenchmarkPurchase measures the payments part of a purchase: request, intent, confirmation, webhook, capture. It runs 64 at a
// time, with the Stripe sandbox in the same process.
func BenchmarkPurchase(b *testing.B) {
	f := newFixture(b, fixtureOptions{})
	slots := make(chan struct{}, 64)
	var group sync.WaitGroup
	for b.Loop() {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			f.buy(1250)
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "purchases/s")
}
