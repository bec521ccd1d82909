package payments

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"tillstream/payments/sandbox"
)

// busyGateway loses the answer to the first cancellation and refuses the second, because the bank answers at that moment.
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

// The first refusal is retried, even if an earlier attempt failed in another way. As a dead letter it would keep the money reserved on the card of a
// shopper who has cancelled the order.
func TestFirstRefusalIsRetried(t *testing.T) {
	t.Parallel()
	gateway := &busyGateway{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	orderID, p := f.placeOrder(1250)
	gateway.answered = func() { f.pay(p, "pm_card_visa") }
	f.cancelOrder(orderID)
	f.waitUntil("the intent is cancelled or a dead letter", func() bool { return f.payment(orderID).CancelledIntent || len(f.deadLetters()) > 0 })
	f.expectNoDeadLetters()
	f.expectCanceledAtStripe(p.PaymentIntent)
}

// refusingGateway refuses every cancellation, although the intent has not ended.
type refusingGateway struct {
	Gateway
	calls atomic.Int32
}

func (g *refusingGateway) Cancel(context.Context, Payment) (Intent, error) {
	g.calls.Add(1)
	return Intent{}, &GatewayError{Kind: ErrPermanent, Status: http.StatusBadRequest, Code: "payment_intent_unexpected_state"}
}

// An act that is refused twice becomes a dead letter.
func TestSecondRefusalIsADeadLetter(t *testing.T) {
	t.Parallel()
	gateway := &refusingGateway{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	orderID, _ := f.placeOrder(1250)
	f.cancelOrder(orderID)
	f.waitUntil("the act is a dead letter", func() bool { return len(f.deadLetters()) > 0 })
	if n := gateway.calls.Load(); n != 2 {
		t.Errorf("refusals before the dead letter: got %d, want 2", n)
	}
}

// While the bank is processing, Stripe refuses the cancellation and replays the refusal under its key for a day. The shopper who
// has cancelled the order must not wait that long for the money.
func TestReplayedRefusalIsRetriedUnderANewKey(t *testing.T) {
	t.Parallel()
	for name, retrievals := range map[string]int64{"BankAnswersLater": 2, "BankAnswersAtOnce": 1} {
		t.Run(name, func(t *testing.T) { t.Parallel(); cancelWhileProcessing(t, retrievals) })
	}
}

// cancelWhileProcessing cancels an order whose intent is processing for a number of retrievals.
func cancelWhileProcessing(t *testing.T, retrievals int64) {
	var retrieved atomic.Int64
	f := newFixture(t, fixtureOptions{noWebhooks: true, proxy: replayRefusal("/cancel"), intercept: func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		if r.Method == http.MethodGet && strings.HasPrefix(r.Path, "/v1/payment_intents/") && retrieved.Add(1) <= retrievals {
			return asProcessing(work())
		}
		return work()
	}})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.cancelOrder(orderID)
	f.waitUntil("the payment is cancelled or a dead letter", func() bool { return f.payment(orderID).Cancelled || len(f.deadLetters()) > 0 })
	f.expectNoDeadLetters()
	f.expectCanceledAtStripe(p.PaymentIntent)
}

// replayRefusal refuses the first request to a path and replays the refusal under its key, as Stripe does
// (docs.stripe.com/api/idempotent_requests).
func replayRefusal(suffix string) func(http.Handler) http.Handler {
	var refused atomic.Value
	return func(stripe http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			key := r.Header.Get("Idempotency-Key")
			first := strings.HasSuffix(r.URL.Path, suffix) && refused.CompareAndSwap(nil, key)
			if !first && (!strings.HasSuffix(r.URL.Path, suffix) || refused.Load() != key) {
				stripe.ServeHTTP(rw, r)
				return
			}
			if !first {
				rw.Header().Set("Idempotent-Replayed", "true")
			}
			http.Error(rw, `{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state","message":"the bank is processing"}}`, http.StatusBadRequest)
		})
	}
}

// asProcessing changes an intent to one whose bank has not answered yet.
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

// Stripe replays a 500 under the capture's key although it has not captured the money. The capture still succeeds, once.
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
	f.expectReceivedAtStripe(p.PaymentIntent, 1250)
}
