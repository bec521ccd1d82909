package payments

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/payments/sandbox"
)

// Faults that stand between the gateway and the sandbox. Each returns a proxy for [fixtureOptions].

// requestTo reports whether a request is one to an operation, such as "POST /capture", by its method and the end of its path.
func requestTo(r *http.Request, operation string) bool {
	method, path, _ := strings.Cut(operation, " ")
	return r.Method == method && strings.HasSuffix(r.URL.Path, path)
}

// refusing answers an operation with an error, as often as limit says; the request is not executed.
func refusing(operation string, limit int32, status int, errorBody string) func(http.Handler) http.Handler {
	var refused atomic.Int32
	return func(stripe http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if requestTo(r, operation) && refused.Add(1) <= limit {
				http.Error(rw, `{"error":`+errorBody+`}`, status)
				return
			}
			stripe.ServeHTTP(rw, r)
		})
	}
}

// losing breaks the connection of an operation once: after Stripe has executed the request, or before.
func losing(operation string, executed bool) func(http.Handler) http.Handler {
	var lost atomic.Bool
	return func(stripe http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if requestTo(r, operation) && lost.CompareAndSwap(false, true) {
				if executed {
					stripe.ServeHTTP(httptest.NewRecorder(), r)
				}
				panic(http.ErrAbortHandler)
			}
			stripe.ServeHTTP(rw, r)
		})
	}
}

// storing answers an operation with a 500 that Stripe stores under the key and replays, although it has executed the request.
func storing(operation string) func(http.Handler) http.Handler {
	var stored sync.Map
	return func(stripe http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !requestTo(r, operation) {
				stripe.ServeHTTP(rw, r)
				return
			}
			if _, replayed := stored.LoadOrStore(r.Header.Get("Idempotency-Key"), true); replayed {
				rw.Header().Set("Idempotent-Replayed", "true")
			} else {
				stripe.ServeHTTP(httptest.NewRecorder(), r)
			}
			http.Error(rw, `{"error":{"type":"api_error","message":"an error occurred"}}`, http.StatusInternalServerError)
		})
	}
}

// chain puts proxies before each other.
func chain(proxies ...func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(handler http.Handler) http.Handler {
		for _, p := range proxies {
			handler = p(handler)
		}
		return handler
	}
}

// noSearch refuses every search, as Stripe does for accounts in India.
func noSearch() func(http.Handler) http.Handler {
	return refusing("GET /payment_intents/search", 1<<30, http.StatusBadRequest, `{"type":"invalid_request_error","message":"Search is not supported for your account."}`)
}

// refundsAtStripe counts the refunds of an intent.
func (f *fixture) refundsAtStripe(intent string) int {
	f.t.Helper()
	found, _ := f.callStripe("refunds?payment_intent="+url.QueryEscape(intent), nil)["data"].([]any)
	return len(found)
}

// intentsListed counts the intents of a payment at Stripe without a search.
func (f *fixture) intentsListed(paymentID string) (n int) {
	f.t.Helper()
	found, _ := f.callStripe("payment_intents?limit=100", nil)["data"].([]any)
	for _, object := range found {
		in, _ := object.(map[string]any)
		if metadata, _ := in["metadata"].(map[string]any); metadata[metadataPayment] == paymentID {
			n++
		}
	}
	return n
}

// Row 34 of the fault matrix: the connection breaks with and without the request executed. Every effect happens once.
func TestLostConnectionsHaveOneEffect(t *testing.T) {
	t.Parallel()
	for _, executed := range []bool{true, false} {
		t.Run(fmt.Sprintf("Executed=%t", executed), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, fixtureOptions{proxy: chain(losing("POST /payment_intents", executed), losing("POST /capture", executed), losing("POST /refunds", executed))})
			orderID, p := f.buy(1250)
			f.cancelOrder(orderID)
			f.waitForStatus(orderID, StatusRefunded)
			if intents, refunds := f.intentsListed(events.FirstPaymentID(orderID)), f.refundsAtStripe(p.PaymentIntent); intents != 1 || refunds != 1 {
				t.Errorf("at Stripe: got %d intents and %d refunds, want one of each", intents, refunds)
			}
			f.expectReceivedAtStripe(p.PaymentIntent, 1250)
			f.expectNoDeadLetters()
		})
	}
}

// Row 35 of the fault matrix: Stripe has executed the request, answers 500 and replays the 500 under the key. The object is looked up, with
// a search or, where Stripe refuses that, in a list. No new key is used for a creation or a refund.
func TestServerErrorStoredUnderTheKeyIsResolved(t *testing.T) {
	t.Parallel()
	for name, search := range map[string]func(http.Handler) http.Handler{"Search": chain(), "NoSearch": noSearch()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, fixtureOptions{noWebhooks: true, proxy: chain(search, storing("POST /payment_intents"), storing("POST /capture"), storing("POST /refunds"))})
			orderID, p := f.placeOrder(1250)
			f.pay(p, "pm_card_visa")
			f.acceptPayment(orderID, 1250)
			f.waitForStatus(orderID, StatusCaptured)
			f.cancelOrder(orderID)
			f.waitForStatus(orderID, StatusRefunded)
			if intents, refunds := f.intentsListed(events.FirstPaymentID(orderID)), f.refundsAtStripe(p.PaymentIntent); intents != 1 || refunds != 1 {
				t.Errorf("at Stripe: got %d intents and %d refunds, want one of each", intents, refunds)
			}
			f.expectNoDeadLetters()
		})
	}
}

// Row 36 of the fault matrix: for 60 s Stripe refuses everything. No event becomes a dead letter, the keys stay the same, the client
// sends few requests, and all payments go on afterwards.
func TestAMinuteOfRefusalsLosesNothing(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"TooMany": 429, "Conflict": 409, "Unavailable": 503} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f *fixture
			var end atomic.Int64
			var keys sync.Map
			var refused atomic.Int32
			f = newFixture(t, fixtureOptions{proxy: func(stripe http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if key := r.Header.Get("Idempotency-Key"); key != "" {
						keys.Store(key, true)
					}
					if f.log.Now().UnixNano() < end.Load() {
						refused.Add(1)
						http.Error(rw, `{"error":{"type":"api_error","message":"not now"}}`, status)
						return
					}
					stripe.ServeHTTP(rw, r)
				})
			}})
			end.Store(f.log.Now().Add(time.Minute).UnixNano())
			var orderIDs []string
			for range 30 {
				orderIDs = append(orderIDs, f.requestPayment(1250))
			}
			f.passSeconds(90, func() bool { return refused.Load() > 0 })
			for _, id := range orderIDs {
				f.waitForStatus(id, StatusIntentCreated)
			}
			used := 0
			keys.Range(func(key, _ any) bool { used++; return strings.HasSuffix(key.(string), "/create/v1") })
			if used != len(orderIDs) {
				t.Errorf("keys: got %d, want one for each of %d payments", used, len(orderIDs))
			}
			t.Logf("%d requests were refused", refused.Load())
			f.expectNoDeadLetters()
		})
	}
}

// passSeconds moves the clock forward, in steps of a fifth of a second, from when a condition holds.
func (f *fixture) passSeconds(seconds int, from func() bool) {
	f.t.Helper()
	f.waitUntil("the condition holds", from)
	f.waitUntil("the time has passed", func() bool {
		return f.clockOffset.Add(int64(time.Second/5)) >= int64(seconds)*int64(time.Second)
	})
}

// Rows 38 and 76 of the fault matrix: the creation has no answer, and the account may not search. The intent is found in the list, within
// the life of the key and after it. A refused search is no refusal of the payment.
func TestRefusedSearchIsNoRefusalOfThePayment(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{proxy: chain(noSearch(), losing("POST /payment_intents", true))})
	orderID, p := f.placeOrder(1250)
	if got := f.intentsListed(events.FirstPaymentID(orderID)); got != 1 {
		t.Errorf("intents at Stripe: got %d, want 1", got)
	}
	old := events.Event{Time: time.Now().Add(-25 * time.Hour)}
	known := f.payment(orderID)
	known.PaymentIntent = ""
	in, found, err := f.service.findOrCreate(t.Context(), old, known)
	if err != nil || !found || in.ID != p.PaymentIntent {
		t.Errorf("after the key expired: got found %t, %s, %v; want %s found", found, in.ID, err, p.PaymentIntent)
	}
	known.RequestedAt = known.RequestedAt.Add(-30 * time.Hour) // the creation came a day after the request
	if in, found, err = f.service.findOrCreate(t.Context(), old, known); err != nil || !found || in.ID != p.PaymentIntent {
		t.Errorf("created long after the request: got found %t, %s, %v; want %s found", found, in.ID, err, p.PaymentIntent)
	}
	f.expectNoDeadLetters()
}

// Row 38 of the fault matrix: a capture and a refund whose keys have expired look first, and have no second effect.
func TestOldCapturesAndRefundsLookFirst(t *testing.T) {
	t.Parallel()
	var writes atomic.Int32
	f := newFixture(t, fixtureOptions{noWebhooks: true, intercept: countWrites(&writes)})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.callStripe("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
	id, old := events.FirstPaymentID(orderID), events.Event{ID: "old", Time: time.Now().Add(-25 * time.Hour)}
	before := writes.Load()
	if err := f.service.capture(t.Context(), old, events.OrderPaymentAccepted{OrderID: orderID, PaymentID: id, Amount: gbp1250}); err != nil {
		t.Fatal(err)
	}
	f.waitForStatus(orderID, StatusCaptured)
	f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}, "amount": {"1250"}, "metadata[refund_id]": {"refund-1"}})
	before++ // by the test
	if err := f.service.refund(t.Context(), old, events.PaymentRefundRequested{OrderID: orderID, PaymentID: id, RefundID: "refund-1", Amount: gbp1250}); err != nil {
		t.Fatal(err)
	}
	f.waitForStatus(orderID, StatusRefunded)
	if got := writes.Load(); got != before {
		t.Errorf("writes at Stripe: got %d, want %d", got, before)
	}
}

// countWrites counts the captures and refunds that reach the sandbox.
func countWrites(n *atomic.Int32) sandbox.Interceptor {
	return func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		if r.Method == http.MethodPost && (strings.HasSuffix(r.Path, "/capture") || r.Path == "/v1/refunds") {
			n.Add(1)
		}
		return work()
	}
}
