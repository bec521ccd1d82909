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

// A bank that is still thinking cannot be stopped, and Stripe keeps that answer under the cancellation's key for a day.
// The shopper who has called the order off does not wait that long for the money on the card.
func TestRefusedCancellationIsAskedAfresh(t *testing.T) {
	t.Parallel()
	for name, looks := range map[string]int64{"TheBankAnswersLater": 2, "TheBankAnswersRightAfter": 1} {
		t.Run(name, func(t *testing.T) { t.Parallel(); cancelWhileThinking(t, looks) })
	}
}

// cancelWhileThinking: the bank has an answer after so many looks at the intent.
func cancelWhileThinking(t *testing.T, looks int64) {
	var looked atomic.Int64
	w := newWorld(t, setup{deaf: true, front: keepsRefusal("/cancel"), intercept: func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		if r.Method == http.MethodGet && strings.HasPrefix(r.Path, "/v1/payment_intents/") && looked.Add(1) <= looks {
			return thinking(work())
		}
		return work()
	}})
	orderID, p := w.place(1250)
	w.pay(p, "pm_card_visa")
	w.say(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
	w.until("it is cancelled or set aside", func() bool { return w.payment(orderID).Cancelled || len(w.deadLetters()) > 0 })
	w.noDeadLetters()
	w.cancelledAtStripe(p.PaymentIntent)
}

// keepsRefusal refuses the first key that something is asked under, and repeats that for as long as it is asked, as
// Stripe does (docs.stripe.com/api/idempotent_requests).
func keepsRefusal(what string) func(http.Handler) http.Handler {
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

// thinking shows an intent as it is while the bank has not answered.
func thinking(answer sandbox.Answer) sandbox.Answer {
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
func TestStoredServerErrorDoesNotHoldTheCaptureUp(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	w := newWorld(t, setup{deaf: true, intercept: func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		if strings.HasSuffix(r.Path, "/capture") && asked.Add(1) == 1 {
			return failure(http.StatusInternalServerError, "api_error")
		}
		return work()
	}})
	orderID, p := w.place(1250)
	w.pay(p, "pm_card_visa")
	w.accept(orderID, 1250)
	w.untilStatus(orderID, StatusCaptured)
	if in := w.ask("payment_intents/"+p.PaymentIntent, nil); in["amount_received"] != 1250.0 {
		t.Errorf("at Stripe %v was received", in["amount_received"])
	}
}
