package loadgen_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
)

var basket = loadgen.Basket{Key: "run-1", Email: "a@example.com", Name: "A", Country: "GB", Lines: []loadgen.Line{{SKU: "MUG", Quantity: 2}}}

// An order is placed, acknowledged, paid and confirmed, with events and with polling.
func TestBuyConfirmsOrder(t *testing.T) {
	t.Parallel()
	for name, follow := range map[string]loadgen.Follower{"Events": nil, "Polls": loadgen.FollowPolls} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newFakeShop(t)
			buyer := shop.buyer(t, false)
			var acknowledged []string
			buyer.Follow, buyer.Acknowledged = follow, func(id string) error {
				acknowledged = append(acknowledged, id)
				return nil
			}
			p := buyer.Buy(t.Context(), basket)
			if p.Err != nil || p.PlacedIn <= 0 || p.ConfirmedIn <= 0 || p.Order.Total.Amount != 250 {
				t.Errorf("purchase: got %+v, want a confirmed order of 2.50 with both durations", p)
			}
			if diff := cmp.Diff([]string{"order-run-1"}, acknowledged); diff != "" {
				t.Errorf("acknowledged orders (-want +got):\n%s", diff)
			}
			want := `{"email":"a@example.com","name":"A","shipping_address":{"line1":"1 Market Place","city":"Anytown","postal_code":"10000","country":"GB"},"lines":[{"sku":"MUG","quantity":2}]}`
			if diff := cmp.Diff(want, shop.bodies["order-run-1"]); diff != "" {
				t.Errorf("body of the order (-want +got):\n%s", diff)
			}
		})
	}
}

// One request of each purchase goes wrong, which decides the category of the failure.
func TestFailuresHaveCategories(t *testing.T) {
	t.Parallel()
	on := func(part string, respond func(http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.Method+" "+r.URL.Path, part) {
				return false
			}
			respond(w)
			return true
		}
	}
	refuse := func(status int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { problem(w, status, "because") }
	}
	answer := func(format string, args ...any) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { fmt.Fprintf(w, format, args...) }
	}
	orderIs := func(state string) func(http.ResponseWriter) { return answer("data: %s\n\n", state) }
	const place, payment, confirm, events = "POST /api/orders", "/payment", "/confirm", "/events"
	cases := map[string]struct {
		intercept func(http.ResponseWriter, *http.Request) bool
		want      loadgen.Kind
		text      string // part of the error
	}{
		"OrderRefused":         {on(place, refuse(422)), "place_4xx", "status 422: because; body.email: look here"},
		"InternalError":        {on(place, refuse(500)), "place_5xx", "500"},
		"Unavailable":          {on(place, refuse(503)), "place_5xx", "503"},
		"OrderIsHTML":          {on(place, answer("<html>")), loadgen.BadAnswer, "unexpected answer"},
		"OrderWithoutID":       {on(place, answer("{}")), loadgen.BadAnswer, "no id"},
		"ConnectionCut":        {on(place, hangUp), loadgen.ConnectionLost, ""},
		"PaymentInternalError": {on(payment, refuse(500)), "payment_5xx", "500"},
		"PaymentNotFound":      {on(payment, refuse(404)), "payment_timeout", "404"},
		"PaymentNotReady":      {on(payment, answer(`{"status":"requested"}`)), "payment_timeout", "requested"},
		"DeclinedCard":         {on(confirm, answerWith(402, `{"error":{"code":"card_declined","message":"Your card was declined."}}`)), loadgen.Declined, "Your card was declined."},
		"StripeRefusesKey":     {on(confirm, refuse(401)), "pay_4xx", "401"},
		"StripeRequiresAction": {on(confirm, answer(`{"status":"requires_action"}`)), "pay_requires_action", "requires_action"},
		"OrderNotFound":        {on(events, refuse(404)), "follow_4xx", "404"},
		"EventIsHTML":          {on(events, orderIs("<html>")), loadgen.BadAnswer, "html"},
		"NeverConfirmed":       {on(events, orderIs(`{"status":"capturing"}`)), loadgen.NotConfirmed, "still capturing"},
		"OutOfStock":           {on(events, orderIs(`{"status":"rejected","reason":{"code":"out_of_stock","message":"none left"}}`)), loadgen.OutOfStock, "none left"},
		"PaymentNotTaken":      {on(events, orderIs(`{"status":"rejected","reason":{"code":"payment_not_taken"}}`)), "rejected_payment_not_taken", ""},
		"Expired":              {on(events, orderIs(`{"status":"expired"}`)), "expired", "order-run-1"},
		"Refunded":             {on(events, orderIs(`{"status":"confirmed","payment_status":"refunded"}`)), "refunded", ""},
		"NothingToPayFor":      {on(payment, answer(`{"status":"cancelled"}`)), loadgen.NotConfirmed, "awaiting_payment"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newFakeShop(t)
			shop.intercept = c.intercept
			buyer := shop.buyer(t, false)
			buyer.Timeout = 2 * time.Second
			p := buyer.Buy(t.Context(), basket)
			var failure *loadgen.Failure
			if !errors.As(p.Err, &failure) || failure.Kind != c.want || !strings.Contains(failure.Error(), c.text) {
				t.Errorf("got %v, want category %s and an error with %q", p.Err, c.want, c.text)
			}
		})
	}
}

func answerWith(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// An order that is out of stock is never paid, and the shopper does not wait for its payment.
func TestOutOfStockOrderEndsWaitForPayment(t *testing.T) {
	t.Parallel()
	shop := newFakeShop(t)
	shop.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/payment"):
			<-r.Context().Done() // the shop waits up to 20 s
			return true
		case strings.HasSuffix(r.URL.Path, "/events"):
			fmt.Fprint(w, "data: {\"status\":\"rejected\",\"reason\":{\"code\":\"out_of_stock\"}}\n\n")
			return true
		}
		return false
	}
	begun := time.Now()
	p := shop.buyer(t, false).Buy(t.Context(), basket)
	var failure *loadgen.Failure
	if !errors.As(p.Err, &failure) || failure.Kind != loadgen.OutOfStock || time.Since(begun) > 5*time.Second {
		t.Errorf("got %v after %s, want %s within 5s", p.Err, time.Since(begun), loadgen.OutOfStock)
	}
}

// The connection breaks once after the shop has handled a request and before it answers.
func TestLostAnswerIsRetried(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"POST /api/orders", "/payment", "/confirm", "/events"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			shop := newFakeShop(t)
			var cut atomic.Bool
			shop.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.Method+" "+r.URL.Path, part) || !cut.CompareAndSwap(false, true) {
					return false
				}
				if part != "/events" { // a stream that does not end
					shop.server.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
				}
				hangUp(w)
				return true
			}
			p := shop.buyer(t, false).Buy(t.Context(), basket)
			if p.Err != nil || shop.placed() != 1 || !cut.Load() {
				t.Errorf("got %v, %d orders, cut %v; want one confirmed order after a cut", p.Err, shop.placed(), cut.Load())
			}
		})
	}
}

// An earlier attempt to pay arrived and its answer was lost; the order is confirmed after the second attempt.
func TestRepeatedPaymentIsAccepted(t *testing.T) {
	t.Parallel()
	shop := newFakeShop(t)
	buyer := shop.buyer(t, false)
	if p := buyer.Buy(t.Context(), basket); p.Err != nil {
		t.Fatal(p.Err)
	}
	shop.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/events") {
			waitFor(t, "the second payment", func() bool { return shop.requests("POST /v1/payment_intents/pi_order-run-1/confirm") == 2 })
		}
		return false
	}
	if p := buyer.Buy(t.Context(), basket); p.Err != nil || shop.placed() != 1 {
		t.Errorf("got %v and %d orders, want the first order again", p.Err, shop.placed())
	}
}

func TestOnlyUnansweredRequestsAreRetried(t *testing.T) {
	t.Parallel()
	t.Run("ConnectionRefused", func(t *testing.T) {
		t.Parallel()
		buyer := &loadgen.Buyer{Shop: loadgen.NewShop(loadgen.Addresses{Storefront: "http://127.0.0.1:1"}, 1, false)}
		p := buyer.Buy(t.Context(), basket)
		var failure *loadgen.Failure
		if !errors.As(p.Err, &failure) || failure.Kind != loadgen.ConnectionRefused || buyer.Shop.Retries() != 4 {
			t.Errorf("got %v after %d retries, want connection_refused after 4", p.Err, buyer.Shop.Retries())
		}
	})
	t.Run("PatientShopperWaitsForRestart", func(t *testing.T) {
		t.Parallel()
		shop := newFakeShop(t)
		var up atomic.Bool
		shop.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
			if up.Load() {
				return false
			}
			hangUp(w)
			return true
		}
		buyer := shop.buyer(t, true)
		buyer.Timeout = time.Minute
		ended := make(chan loadgen.Purchase, 1)
		go func() { ended <- buyer.Buy(t.Context(), basket) }()
		waitFor(t, "more retries than an impatient shopper makes", func() bool { return buyer.Shop.Retries() > 5 })
		up.Store(true)
		if p := <-ended; p.Err != nil || shop.placed() != 1 {
			t.Errorf("got %v and %d orders, want 1 confirmed order", p.Err, shop.placed())
		}
	})
	t.Run("InternalErrorIsNotRetried", func(t *testing.T) {
		t.Parallel()
		shop := newFakeShop(t)
		shop.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
			problem(w, http.StatusInternalServerError, "oh")
			return true
		}
		shop.buyer(t, true).Buy(t.Context(), basket)
		if n := shop.requests("POST /api/orders"); n != 1 {
			t.Errorf("got %d requests, want 1", n)
		}
	})
}

func TestUnrecordedOrderFails(t *testing.T) {
	t.Parallel()
	buyer := newFakeShop(t).buyer(t, false)
	full := errors.New("disk full")
	buyer.Acknowledged = func(string) error { return full }
	p := buyer.Buy(t.Context(), basket)
	var failure *loadgen.Failure
	if !errors.As(p.Err, &failure) || failure.Kind != loadgen.NotRecorded || !errors.Is(p.Err, full) {
		t.Errorf("got %v, want %s: %v", p.Err, loadgen.NotRecorded, full)
	}
}

// waitFor polls until a condition holds.
func waitFor(t *testing.T, condition string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("timed out waiting for %s", condition)
		}
	}
}
