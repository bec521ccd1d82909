package payments

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/payments/sandbox"
)

// requestCount is an interceptor that counts the requests to Stripe.
type requestCount struct{ atomic.Int64 }

func (c *requestCount) intercept(_ context.Context, _ sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
	c.Add(1)
	return work()
}

// foreignBodies are events about payments of other programs that share the Stripe account, as Stripe sends them.
func foreignBodies() [][]byte {
	const person = `"billing_details":{"name":"Grace Foreign","email":"grace@foreign.example"}`
	objects := []struct{ kind, object string }{
		{"payment_intent.succeeded", `{"id":"pi_a","object":"payment_intent","amount":5,"amount_received":5,"currency":"usd","status":"succeeded","receipt_email":"grace@foreign.example"}`},
		{"payment_intent.succeeded", `{"id":"pi_b","object":"payment_intent","amount":5,"currency":"usd","status":"succeeded","metadata":null}`},
		{"payment_intent.payment_failed", `{"id":"pi_c","object":"payment_intent","amount":5,"currency":"usd","status":"requires_payment_method","metadata":{}}`},
		{"payment_intent.amount_capturable_updated", `{"id":"pi_d","object":"payment_intent","amount":5,"currency":"usd","status":"requires_capture","metadata":{"order_id":"6735"}}`},
		{"payment_intent.canceled", `{"id":"pi_e","object":"payment_intent","status":"canceled","metadata":{"order_id":"6735","payment_id":"2f"}}`},
		{"payment_intent.requires_action", `{"id":"pi_f","object":"payment_intent","status":"of another API","metadata":{"payment_id":"payments.>"}}`},
		{"payment_intent.processing", `{"id":"pi_g","object":"payment_intent","amount":"much","metadata":{"payment_id":7,"order_id":{"id":"x"}}}`},
		{"payment_intent.succeeded", `{"id":"pi_h","object":"charge","metadata":"none"}`},
		{"charge.refunded", `{"id":"ch_a","object":"charge","payment_intent":"pi_a","metadata":{},` + person + `}`},
		{"charge.refunded", `{"id":"ch_b","object":"charge","payment_intent":null,"metadata":{"order_id":"6735"},` + person + `}`},
		{"charge.expired", `{"id":"ch_c","object":"charge","payment_intent":"pi_d",` + person + `}`},
		{"charge.succeeded", `{"id":"ch_d","object":"charge","payment_intent":"pi_d",` + person + `}`},
		{"refund.created", `{"id":"re_a","object":"refund","charge":"ch_x","payment_intent":null}`},
		{"refund.updated", `{"id":"re_b","object":"refund","payment_intent":"pi_a","metadata":{"payment_id":"another shop's"}}`},
		{"charge.dispute.created", `{"id":"dp_a","object":"dispute","charge":"ch_x","payment_intent":null,"evidence":{"customer_name":"Grace Foreign"}}`},
		{"payout.paid", `{"id":"po_a","object":"payout","amount":5}`},
		{"customer.created", `{"id":"cus_a","object":"customer","email":"grace@foreign.example","name":"Grace Foreign"}`},
		{"made.up", `{}`},
	}
	var bodies [][]byte
	for i, o := range objects {
		bodies = append(bodies, fmt.Appendf(nil, `{"id":"evt_foreign_%d","object":"event","api_version":"2023-10-16","created":1760000000,"livemode":false,`+
			`"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},"type":%q,"data":{"object":%s}}`, i, o.kind, o.object))
	}
	return bodies
}

// Row 75 of the fault matrix: events about the payments of other programs on the same Stripe account are stored once, in outline, and
// passed over. Nobody asks Stripe about them.
func TestEventsAboutForeignPaymentsArePassedOver(t *testing.T) {
	t.Parallel()
	var requests requestCount
	f := newFixture(t, fixtureOptions{noWebhooks: true, intercept: requests.intercept})
	orderID, p := f.placeOrder(1250)
	before := requests.Load()
	bodies := foreignBodies()
	for range 3 {
		for _, body := range bodies {
			f.post(body)
		}
	}
	f.post(webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil))
	f.waitForStatus(orderID, StatusAuthorized) // the lane decides in order
	f.stopWorker()                             // and finishes its acts
	if got := requests.Load() - before; got != 0 {
		t.Errorf("requests to Stripe: got %d, want 0", got)
	}
	f.expectNoDeadLetters()
	f.expectCounted(webhookForeign, float64(len(bodies)))
	f.expectCounted(webhookRepeated, float64(2*len(bodies)))
	if got := f.countByType(events.SubjectWebhooks)["webhook_received"]; got != len(bodies) {
		t.Errorf("stored on payments.webhooks: got %d, want %d", got, len(bodies))
	}
	for _, e := range f.history() {
		w, ok := e.Payload.(events.WebhookReceived)
		if !ok || e.Subject != events.SubjectWebhooks {
			continue
		}
		if body := string(w.Body); strings.Contains(body, "oreign.example") || strings.Contains(body, "Grace") || len(body) > 400 {
			t.Errorf("%s: got %s, want an outline without personal data", w.StripeType, body)
		}
		if again, err := readEvent(w.Body); err != nil || again.ID != w.StripeEvent || again.Created != 1760000000 || again.APIVersion != StripeAPIVersion {
			t.Errorf("outline of %s: got %s, %v; want id, time and version of the event", w.StripeType, w.Body, err)
		}
	}
}

// Row 75 of the fault matrix: a refund that staff made in Stripe's dashboard names no payment, so Stripe is asked for its intent. The
// refunds of another program, and of an intent that Stripe does not return, are passed over.
func TestRefundsWithoutMetadataAreFoundAtStripe(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.post(webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil))
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	foreign := f.callStripe("payment_intents", url.Values{"amount": {"999"}, "currency": {"gbp"}, "payment_method_types[]": {"card"},
		"confirm": {"true"}, "payment_method": {"pm_card_visa"}})
	for _, intent := range []any{foreign["id"], "pi_gone"} {
		f.post(webhookBody(p, orderID, "refund.created", refundOfIntent(intent)))
	}
	f.waitUntil("both are found to be foreign", func() bool { return gathered(t, f.registry)[webhookForeign] == 2 })
	f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}, "amount": {"250"}})
	f.post(webhookBody(p, orderID, "refund.created", refundOfIntent(p.PaymentIntent)))
	f.waitForStatus(orderID, StatusPartlyRefunded)
	f.expectNoDeadLetters()
}

// refundOfIntent makes the object of a webhook a refund without metadata.
func refundOfIntent(intent any) func(map[string]any) {
	return func(object map[string]any) {
		clear(object)
		object["id"], object["object"], object["payment_intent"], object["metadata"] = "re_posted", "refund", intent, map[string]any{}
	}
}

// The reconciler passes the same events over, and stores none of them.
func TestReconcilerPassesForeignEventsOver(t *testing.T) {
	t.Parallel()
	list := &listedEvents{}
	for _, body := range foreignBodies() {
		list.entries = append(list.entries, RawEvent{ID: string(body[7:21]), Created: time.Now(), Body: body})
	}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: list.wrap})
	f.reconcileFromStart()
	if got := f.webhooksStored(); got != 0 {
		t.Errorf("stored webhooks: got %d, want 0", got)
	}
	f.expectCounted(webhookUnreadable, 0)
	f.expectNoDeadLetters()
}

// A missing intent of another program does not stop the walk, and is not stored. The next walk does not ask for it again.
func TestMissingForeignIntentDoesNotStopTheReconciler(t *testing.T) {
	t.Parallel()
	var hidden atomic.Value
	var requests atomic.Int64
	hidden.Store("")
	f := newFixture(t, fixtureOptions{noWebhooks: true, intercept: func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		if id, _ := hidden.Load().(string); id != "" && strings.HasSuffix(r.Path, id) {
			requests.Add(1)
			return stripeFailure(http.StatusNotFound, "resource_missing")
		}
		return work()
	}})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	foreign := f.callStripe("payment_intents", url.Values{"amount": {"999"}, "currency": {"gbp"}, "payment_method_types[]": {"card"},
		"confirm": {"true"}, "payment_method": {"pm_card_visa"}})
	id, _ := foreign["id"].(string)
	refund := f.callStripe("refunds", url.Values{"payment_intent": {id}})
	f.callStripe(fmt.Sprintf("refunds/%v", refund["id"]), url.Values{"metadata[a]": {"b"}}) // lists an event about a refund
	hidden.Store(id)
	f.reconcileAfter(time.Minute)
	f.waitForStatus(orderID, StatusAuthorized)
	if got := f.webhooksStored(); got != 1 {
		t.Errorf("stored webhooks: got %d, want 1", got)
	}
	asked := requests.Load()
	f.reconcileFromStart()
	if got := requests.Load(); asked == 0 || got != asked {
		t.Errorf("requests for the intent: got %d after one walk and %d after two, want the same number", asked, got)
	}
	f.expectNoDeadLetters()
}
