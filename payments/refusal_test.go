package payments

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"tillstream/events"
	"tillstream/payments/sandbox"
)

// busyGateway is a Stripe that is away at the first cancellation, and at the second refuses: the shopper's bank is answering
// just then.
type busyGateway struct {
	Gateway
	calls    atomic.Int32
	answered func() // the bank has answered
}

func (g *busyGateway) Cancel(ctx context.Context, p Payment) (Intent, error) {
	switch g.calls.Add(1) {
	case 1:
		return Intent{}, errLost
	case 2:
		g.answered()
		return Intent{}, &GatewayError{Kind: ErrPermanent, Status: http.StatusBadRequest, Code: "payment_intent_unexpected_state"}
	}
	return g.Gateway.Cancel(ctx, p)
}

// A first refusal is no reason to call staff, whatever went wrong before it: left as it is the money stays blocked on the
// card of a shopper who has called the order off.
func TestFirstRefusalIsRetried(t *testing.T) {
	t.Parallel()
	gateway := &busyGateway{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	orderID, p := f.placeOrder(1250)
	gateway.answered = func() { f.pay(p, "pm_card_visa") }
	f.appendOrder(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
	f.waitUntil("it is cancelled or a dead letter", func() bool { return f.payment(orderID).CancelledIntent || len(f.deadLetters()) > 0 })
	f.expectNoDeadLetters()
	f.expectCanceledAtStripe(p.PaymentIntent)
}

// refusingGateway is a Stripe that refuses every cancellation of an intent that has not ended.
type refusingGateway struct {
	Gateway
	calls atomic.Int32
}

func (g *refusingGateway) Cancel(context.Context, Payment) (Intent, error) {
	g.calls.Add(1)
	return Intent{}, &GatewayError{Kind: ErrPermanent, Status: http.StatusBadRequest, Code: "payment_intent_unexpected_state"}
}

// What is refused twice is for staff.
func TestSecondRefusalIsADeadLetter(t *testing.T) {
	t.Parallel()
	gateway := &refusingGateway{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	orderID, _ := f.placeOrder(1250)
	f.appendOrder(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
	f.waitUntil("it is a dead letter", func() bool { return len(f.deadLetters()) > 0 })
	if n := gateway.calls.Load(); n != 2 {
		t.Errorf("a dead letter after %d refusals, want 2", n)
	}
}

// A bank that is still asProcessing cannot be stopped, and Stripe keeps that answer under the cancellation's key for a day.
// The shopper who has called the order off does not wait that long for the money on the card.
func TestReplayedRefusalIsRetriedUnderANewKey(t *testing.T) {
	t.Parallel()
	for name, looks := range map[string]int64{"TheBankAnswersLater": 2, "TheBankAnswersRightAfter": 1} {
		t.Run(name, func(t *testing.T) { t.Parallel(); cancelWhileProcessing(t, looks) })
	}
}

// cancelWhileProcessing: the bank has an answer after so many looks at the intent.
func cancelWhileProcessing(t *testing.T, looks int64) {
	var looked atomic.Int64
	f := newFixture(t, fixtureOptions{noWebhooks: true, proxy: replayRefusal("/cancel"), intercept: func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		if r.Method == http.MethodGet && strings.HasPrefix(r.Path, "/v1/payment_intents/") && looked.Add(1) <= looks {
			return asProcessing(work())
		}
		return work()
	}})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.appendOrder(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
	f.waitUntil("it is cancelled or set aside", func() bool { return f.payment(orderID).Cancelled || len(f.deadLetters()) > 0 })
	f.expectNoDeadLetters()
	f.expectCanceledAtStripe(p.PaymentIntent)
}

// replayRefusal refuses the first key that something is asked under, and repeats that for as long as it is asked, as
// Stripe does (docs.stripe.com/api/idempotent_requests).
func replayRefusal(what string) func(http.Handler) http.Handler {
	var refused atomic.Value
	return func(bank http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			key := r.Header.Get("Idempotency-Key")
			first := strings.HasSuffix(r.URL.Path, what) && refused.CompareAndSwap(nil, key)
			if !first && (!strings.HasSuffix(r.URL.Path, what) || refused.Load() != key) {
				bank.ServeHTTP(rw, r)
				return
			}
			if !first {
				rw.Header().Set("Idempotent-Replayed", "true")
			}
			http.Error(rw, `{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state","message":"not while the bank is thinking"}}`, http.StatusBadRequest)
		})
	}
}

// asProcessing shows an intent as it is while the bank has not answered.
func asProcessing(answer sandbox.Answer) sandbox.Answer {
	var in map[string]any
	if err := json.Unmarshal(answer.Body, &in); err != nil {
		panic(err)
	}
	in["status"], in["amount_capturable"] = "processing", 0
	body, err := json.Marshal(in)
	if err != nil {
		panic(err)
	}
	return sandbox.Answer{Status: answer.Status, Body: body}
}

// A 500 that Stripe keeps under the capture's key is no answer about the money: it is still there to be taken, once.
func TestReplayedServerErrorDoesNotDelayTheCapture(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	f := newFixture(t, fixtureOptions{noWebhooks: true, intercept: func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		if strings.HasSuffix(r.Path, "/capture") && asked.Add(1) == 1 {
			return stripeFailure(http.StatusInternalServerError, "api_error")
		}
		return work()
	}})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	if in := f.callStripe("payment_intents/"+p.PaymentIntent, nil); in["amount_received"] != 1250.0 {
		t.Errorf("at Stripe %v was received", in["amount_received"])
	}
}
