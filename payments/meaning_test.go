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

// A refusal of the creation ends the payment only if it is about the payment. Otherwise the payment waits: for staff as a dead letter, or
// for the account.
func TestRefusedCreationFailsOnlyItsPayment(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		want   string // failed, dead or circuit
	}{
		"AmountTooSmall":     {400, `{"type":"invalid_request_error","code":"amount_too_small","param":"amount","message":"m"}`, "failed"},
		"UnknownCode":        {400, `{"type":"invalid_request_error","code":"a_new_code","message":"m"}`, "dead"},
		"UnknownParameter":   {400, `{"type":"invalid_request_error","code":"parameter_unknown","param":"capture","message":"m"}`, "dead"},
		"NoCode":             {400, `{"type":"invalid_request_error","param":"currency","message":"m"}`, "dead"},
		"NotFound":           {404, `{"type":"invalid_request_error","code":"resource_missing","message":"m"}`, "dead"},
		"NoPermission":       {403, `{"type":"invalid_request_error","message":"m"}`, "circuit"},
		"KeyExpired":         {401, `{"type":"invalid_request_error","code":"api_key_expired","message":"m"}`, "circuit"},
		"MethodNotActivated": {400, `{"type":"invalid_request_error","code":"payment_method_unactivated","message":"m"}`, "circuit"},
		"TestChargesOnly":    {400, `{"type":"invalid_request_error","code":"testmode_charges_only","message":"m"}`, "circuit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, fixtureOptions{proxy: refusing("POST /payment_intents", 1<<30, tc.status, tc.body)})
			orderID := f.requestPayment(1250)
			var got string
			f.waitUntil("the refusal has an effect", func() bool {
				switch p := f.payment(orderID); {
				case p.Failure != nil:
					got = "failed"
				case len(f.deadLetters()) > 0:
					got = "dead"
				case f.worker.Degraded() != nil && strings.Contains(f.worker.Degraded().Error(), "circuit open"):
					got = "circuit"
				}
				return got != ""
			})
			if got != tc.want {
				t.Errorf("got %s, want %s; log output:\n%s", got, tc.want, f.logOutput)
			}
			if p := f.payment(orderID); (p.Failure != nil) != (tc.want == "failed") || p.Cancelled {
				t.Errorf("payment: got %+v, want it failed only if the refusal is about it", p)
			}
		})
	}
}

// When the account is in order again, the payments that waited go on without staff.
func TestPaymentsGoOnWhenTheAccountIsInOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{proxy: refusing("POST /payment_intents", 2, 400, `{"type":"invalid_request_error","code":"testmode_charges_only","message":"m"}`)})
	f.placeOrder(1250)
	f.expectNoDeadLetters()
}

// A refund ends only with an answer about it. Then the payment shows the failed refund, and staff decide.
func TestRefusedRefundFailsOnlyByAnAnswerAboutIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		dead bool
	}{
		"AlreadyRefunded": {`{"type":"invalid_request_error","code":"charge_already_refunded","message":"m"}`, false},
		"Disputed":        {`{"type":"invalid_request_error","code":"charge_disputed","message":"m"}`, false},
		"MoreThanIsLeft":  {`{"type":"invalid_request_error","param":"amount","message":"Refund amount is greater than unrefunded amount on charge"}`, false},
		"NoBalance":       {`{"type":"invalid_request_error","code":"balance_insufficient","message":"m"}`, false},
		"UnknownCode":     {`{"type":"invalid_request_error","code":"a_new_code","message":"m"}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, fixtureOptions{proxy: refusing("POST /refunds", 1<<30, 400, tc.body)})
			orderID, _ := f.buy(1250)
			f.cancelOrder(orderID)
			failed := func() bool { return f.countByType("payments." + events.FirstPaymentID(orderID))["refund_failed"] > 0 }
			f.waitUntil("the refund has failed or is a dead letter", func() bool { return failed() || len(f.deadLetters()) > 0 })
			if got := len(f.deadLetters()) > 0; got != tc.dead || failed() == tc.dead {
				t.Errorf("got dead letter %t and failed refund %t, want dead letter %t", got, failed(), tc.dead)
			}
		})
	}
}

// The key of a capture was used with other parameters, as by an older release: the capture is made without the key, once.
func TestCaptureWhoseKeyWasUsedOtherwiseIsMade(t *testing.T) {
	t.Parallel()
	var refused atomic.Int32
	f := newFixture(t, fixtureOptions{noWebhooks: true, proxy: func(stripe http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("Idempotency-Key"), "/capture/v1") {
				refused.Add(1)
				http.Error(rw, `{"error":{"type":"idempotency_error","message":"Keys for idempotent requests can only be used with the same parameters"}}`, http.StatusBadRequest)
				return
			}
			stripe.ServeHTTP(rw, r)
		})
	}})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	f.expectReceivedAtStripe(p.PaymentIntent, 1250)
	if refused.Load() != 1 {
		t.Errorf("refusals: got %d, want 1", refused.Load())
	}
	f.expectNoDeadLetters()
}

// Row 39 of the fault matrix: amount, currency or mode in Stripe's answer differ. The event becomes a dead letter and the order is not
// fulfilled.
func TestAnswersThatDifferBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	changes := map[string]map[string]any{
		"Amount":   {"amount": 1251, "amount_received": 1251},
		"Received": {"amount_received": 1249},
		"Currency": {"currency": "eur"},
		"Mode":     {"livemode": true},
		"Status":   {"status": "a_new_status"},
	}
	for name, change := range changes {
		for _, path := range []string{"/v1/payment_intents", "/capture"} {
			if name == "Received" && path != "/capture" {
				continue
			}
			t.Run(name+"At"+strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
				t.Parallel()
				f := newFixture(t, fixtureOptions{noWebhooks: true, intercept: changing(path, change)})
				orderID := f.requestPayment(1250)
				if path == "/capture" {
					f.waitForStatus(orderID, StatusIntentCreated)
					f.pay(PaymentBody{PaymentIntent: f.payment(orderID).PaymentIntent}, "pm_card_visa")
					f.acceptPayment(orderID, 1250)
				}
				f.waitUntil("the event is a dead letter", func() bool { return len(f.deadLetters()) > 0 })
				if p := f.payment(orderID); !p.Captured.IsZero() || path != "/capture" && p.PaymentIntent != "" {
					t.Errorf("payment: got %+v, want nothing of the answer recorded", p)
				}
			})
		}
	}
}

// changing changes fields in the answers to the writes of a path.
func changing(path string, fields map[string]any) sandbox.Interceptor {
	return func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		answer := work()
		if r.Method != http.MethodPost || !strings.HasSuffix(r.Path, path) || answer.Status != http.StatusOK {
			return answer
		}
		var in map[string]any
		if err := json.Unmarshal(answer.Body, &in); err != nil {
			panic(err)
		}
		for name, value := range fields {
			in[name] = value
		}
		body, err := json.Marshal(in)
		if err != nil {
			panic(err)
		}
		return sandbox.Answer{Status: answer.Status, Body: body}
	}
}
