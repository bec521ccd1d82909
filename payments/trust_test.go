package payments

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// post signs and posts an event, which must be answered 200.
func (f *fixture) post(body []byte) {
	f.t.Helper()
	if got := f.postWebhook(body, sign(body, webhookSecret, time.Now())); got != http.StatusOK {
		f.t.Errorf("webhook: got HTTP %d, want 200", got)
	}
}

// expectCounted checks the counter of webhooks with a result.
func (f *fixture) expectCounted(result string, want float64) {
	f.t.Helper()
	if got := gathered(f.t, f.registry)[result]; got != want {
		f.t.Errorf("webhooks counted as %s: got %v, want %v", result, got, want)
	}
}

// withField changes a member of a body's event.
func withField(t *testing.T, body []byte, name string, value any) []byte {
	t.Helper()
	event := map[string]any{}
	if err := json.Unmarshal(body, &event); err != nil {
		t.Fatal(err)
	}
	event[name] = value
	changed, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// captured1250 makes the intent of a webhook one that is captured.
func captured1250(object map[string]any) {
	object["status"], object["amount_capturable"], object["amount_received"] = "succeeded", 0, 1250
}

// Row 75 of the fault matrix: a signed event of another account or of the other mode is answered 200 and not believed, although its
// intent is right in every detail.
func TestForeignWebhooksAreNotBelieved(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	for _, body := range [][]byte{
		webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil),
		webhookBody(p, orderID, "payment_intent.succeeded", captured1250),
		webhookBody(p, orderID, "payment_intent.canceled", func(object map[string]any) { object["status"] = "canceled" }),
		webhookBody(p, orderID, "charge.refunded", func(object map[string]any) { object["payment_intent"] = p.PaymentIntent }),
	} {
		f.post(withField(t, body, "account", "acct_foreign"))
		f.post(withField(t, body, "livemode", true))
	}
	f.expectCounted(webhookForeign, 8)
	if got := f.webhooksStored(); got != 0 {
		t.Errorf("stored webhooks: got %d, want 0", got)
	}
	if got := strings.Count(f.logOutput.String(), "webhooks not believed"); got != 1 {
		t.Errorf("log lines about eight foreign webhooks: got %d, want 1", got)
	}
	f.post(webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil))
	f.waitForStatus(orderID, StatusAuthorized)
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["captured"] != 0 || got["cancelled"] != 0 {
		t.Errorf("events of the payment: got %v, want neither captured nor cancelled", got)
	}
	f.expectNoDeadLetters()
}

// Row 75 of the fault matrix: a foreign event that an earlier release stored is not believed when it is decided again.
func TestStoredForeignWebhooksAreNotBelieved(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	body := webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)
	for _, foreign := range []events.WebhookReceived{
		{StripeEvent: "evt_account", Body: withField(t, body, "account", "acct_foreign")},
		{StripeEvent: "evt_mode", Body: body, Livemode: true},
	} {
		foreign.StripeType = "payment_intent.amount_capturable_updated"
		if err := f.service.Receive(t.Context(), foreign); err != nil {
			t.Fatal(err)
		}
	}
	// The lane decides in order, so a later payment shows that it has handled both.
	other, q := f.placeOrder(100)
	f.post(webhookBody(q, other, "payment_intent.amount_capturable_updated", nil))
	f.waitForStatus(other, StatusAuthorized)
	if got := f.payment(orderID).Status(); got != StatusIntentCreated {
		t.Errorf("payment: got %s, want %s", got, StatusIntentCreated)
	}
	f.expectNoDeadLetters()
}

// Row 75 of the fault matrix: a signed event that reports a capture confirms nothing. Stripe is asked, and its answer counts.
func TestReportedCaptureIsCheckedAtStripe(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.post(webhookBody(p, orderID, "payment_intent.succeeded", captured1250))
	f.waitUntil("Stripe has denied the capture", func() bool {
		return strings.Contains(f.logOutput.String(), "webhook reports a capture that Stripe does not know")
	})
	if got := f.payment(orderID).Status(); got != StatusIntentCreated {
		t.Errorf("payment: got %s, want %s", got, StatusIntentCreated)
	}
	f.pay(p, "pm_card_visa")
	f.callStripe("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
	f.post(webhookBody(p, orderID, "payment_intent.succeeded", captured1250))
	f.waitForStatus(orderID, StatusCaptured)
	f.expectNoDeadLetters()
}

// Rows 41 and 75 of the fault matrix: an event that is delivered fifty times is stored once, wherever it belongs.
func TestFiftyReplaysStoreOneFact(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	bodies := [][]byte{
		webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil),
		webhookBody(p, orderID, "payment_intent.succeeded", func(object map[string]any) { object["amount"] = 1 }), // a dead letter
		webhookBody(p, orderID, "customer.created", nil),                                                          // of no payment
	}
	for _, body := range bodies {
		var group sync.WaitGroup
		for range 25 {
			group.Go(func() { f.post(body) })
		}
		group.Wait()
		for range 25 {
			f.post(body)
		}
	}
	f.waitForStatus(orderID, StatusAuthorized)
	if got := f.webhooksStored(); got != len(bodies) {
		t.Errorf("stored webhooks: got %d, want %d", got, len(bodies))
	}
	f.waitUntil("the refused event is a dead letter", func() bool { return len(f.deadLetters()) > 0 })
	if got := len(f.deadLetters()); got != 1 {
		t.Errorf("dead letters: got %d, want 1", got)
	}
	f.expectCounted(webhookStored, float64(len(bodies)))
}

// After a restart the memory of stored events is empty. An event that is stored on a payment is still known.
func TestReplaysAfterARestartStoreOneFact(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	body := webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)
	f.post(body)
	f.service.cursor.stored.Purge()
	f.post(body)
	if got := f.webhooksStored(); got != 1 {
		t.Errorf("stored webhooks: got %d, want 1", got)
	}
}

// Row 75 of the fault matrix: anyone can post to the webhook. Two hundred posts write one line.
func TestUnsignedWebhooksWriteOneLogLine(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	for i := range 200 {
		if got := f.postWebhook(fmt.Appendf(nil, `{"id":"evt_%d"}`, i), "t=1,v1=00"); got != http.StatusBadRequest {
			t.Fatalf("unsigned webhook: got HTTP %d, want 400", got)
		}
	}
	f.expectCounted(webhookRefused, 200)
	if got := strings.Count(f.logOutput.String(), "\n"); got != 1 {
		t.Errorf("log lines: got %d, want 1:\n%s", got, f.logOutput)
	}
}

// Row 72 of the fault matrix: somebody tests stolen cards. The tenth decline cancels the intent at Stripe, and the payment says
// why.
func TestTenthDeclineCancelsThePayment(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	for n := range 9 {
		f.pay(p, "pm_card_chargeDeclined")
		f.waitUntil("the decline is recorded", func() bool { return len(f.payment(orderID).Declines) == n+1 })
	}
	if got := f.payment(orderID); got.CancelRequested || !got.Payable() {
		t.Errorf("after nine declines: got %+v, want a payment that can be paid", got)
	}
	f.pay(p, "pm_card_chargeDeclined")
	f.waitForStatus(orderID, StatusCancelled)
	f.expectCanceledAtStripe(p.PaymentIntent)
	f.pay(p, "pm_card_visa") // Stripe refuses it
	f.waitUntil("Stripe's webhooks are stored", func() bool { return f.webhooksStored() == 11 })
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["cancel_requested"] != 1 || got["cancelled"] != 1 || got["authorized"] != 0 {
		t.Errorf("events of the payment: got %v, want it cancelled once and not authorized", got)
	}
	for _, e := range f.history() {
		if cancelled, ok := e.Payload.(events.PaymentCancelled); ok && cancelled.Reason != events.CancelDeclinedTooOften {
			t.Errorf("reason of the cancellation: got %q, want %q", cancelled.Reason, events.CancelDeclinedTooOften)
		}
	}
	f.expectNoDeadLetters()
}

// Row 72 of the fault matrix: the rules of Radar can tell guests from customers. The metadata has no personal data.
func TestIntentNamesTheKindOfShopper(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	want := map[string]any{"order_id": orderID, "order_number": "8F3K2-MQD7A", "payment_id": events.FirstPaymentID(orderID), "shopper": "guest"}
	if diff := cmp.Diff(want, f.callStripe("payment_intents/"+p.PaymentIntent, nil)["metadata"]); diff != "" {
		t.Errorf("metadata of the intent (-want +got):\n%s", diff)
	}
}
