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

func TestBuy(t *testing.T) {
	t.Parallel()
	for name, follow := range map[string]loadgen.Follower{"FollowingEvents": nil, "FollowingByPolls": loadgen.FollowPolls} {
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
				t.Errorf("got %+v", p)
			}
			if diff := cmp.Diff([]string{"order-run-1"}, acknowledged); diff != "" {
				t.Error(diff)
			}
			want := `{"email":"a@example.com","name":"A","shipping_address":{"line1":"1 Market Place","city":"Anytown","postal_code":"10000","country":"GB"},"lines":[{"sku":"MUG","quantity":2}]}`
			if diff := cmp.Diff(want, shop.bodies["order-run-1"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFailureKinds spoils one request of a purchase each and looks at what the failure is called.
func TestFailureKinds(t *testing.T) {
	t.Parallel()
	on := func(part string, answer func(http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.Method+" "+r.URL.Path, part) {
				return false
			}
			answer(w)
			return true
		}
	}
	refuse := func(status int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { problem(w, status, "because") }
	}
	say := func(format string, args ...any) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { fmt.Fprintf(w, format, args...) }
	}
	ends := func(state string) func(http.ResponseWriter) { return say("data: %s\n\n", state) }
	const place, payment, confirm, events = "POST /api/orders", "/payment", "/confirm", "/events"
	cases := map[string]struct {
		spoil func(http.ResponseWriter, *http.Request) bool
		want  loadgen.Kind
		says  string // what the error must tell
	}{
		"RefusedOrder":    {on(place, refuse(422)), "place_4xx", "answered 422: because; body.email: look here"},
		"BrokenShop":      {on(place, refuse(500)), "place_5xx", "500"},
		"BusyShop":        {on(place, refuse(503)), "place_5xx", "503"},
		"GarbledOrder":    {on(place, say("<html>")), loadgen.BadAnswer, "unexpected answer"},
		"OrderWithoutID":  {on(place, say("{}")), loadgen.BadAnswer, "no id"},
		"ConnectionCut":   {on(place, hangUp), loadgen.ConnectionLost, ""},
		"BrokenPayment":   {on(payment, refuse(500)), "payment_5xx", "500"},
		"NeverPayable":    {on(payment, refuse(404)), "payment_timeout", "404"},
		"SlowPayment":     {on(payment, say(`{"status":"requested"}`)), "payment_timeout", "requested"},
		"DeclinedCard":    {on(confirm, say2(402, `{"error":{"code":"card_declined","message":"Your card was declined."}}`)), loadgen.Declined, "Your card was declined."},
		"WrongKey":        {on(confirm, refuse(401)), "pay_4xx", "401"},
		"StrangeBank":     {on(confirm, say(`{"status":"requires_action"}`)), "pay_requires_action", "requires_action"},
		"Forgotten":       {on(events, refuse(404)), "follow_4xx", "404"},
		"GarbledEvent":    {on(events, ends("<html>")), loadgen.BadAnswer, "html"},
		"NeverConfirmed":  {on(events, ends(`{"status":"capturing"}`)), loadgen.NotConfirmed, "still capturing"},
		"SoldOut":         {on(events, ends(`{"status":"rejected","reason":{"code":"out_of_stock","message":"none left"}}`)), loadgen.OutOfStock, "none left"},
		"NotTaken":        {on(events, ends(`{"status":"rejected","reason":{"code":"payment_not_taken"}}`)), "rejected_payment_not_taken", ""},
		"Expired":         {on(events, ends(`{"status":"expired"}`)), "expired", "order-run-1"},
		"SentBackAtOnce":  {on(events, ends(`{"status":"confirmed","payment_status":"refunded"}`)), "refunded", ""},
		"NothingToPayFor": {on(payment, say(`{"status":"cancelled"}`)), loadgen.NotConfirmed, "awaiting_payment"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newFakeShop(t)
			shop.intercept = c.spoil
			buyer := shop.buyer(t, false)
			buyer.Timeout = 2 * time.Second
			p := buyer.Buy(t.Context(), basket)
			var failure *loadgen.Failure
			if !errors.As(p.Err, &failure) || failure.Kind != c.want || !strings.Contains(failure.Error(), c.says) {
				t.Errorf("got %v; want kind %s saying %q", p.Err, c.want, c.says)
			}
		})
	}
}

func say2(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// TestSoldOutEndsTheWaitForPayment: the payment of a sold-out order never comes, and the shopper does not wait for it.
func TestSoldOutEndsTheWaitForPayment(t *testing.T) {
	t.Parallel()
	shop := newFakeShop(t)
	shop.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/payment"):
			<-r.Context().Done() // the shop would wait for 20 s
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
		t.Errorf("got %v after %s", p.Err, time.Since(begun))
	}
}

// TestEveryStepSurvivesALostAnswer cuts the connection after the shop has done what was asked, once for every request.
func TestEveryStepSurvivesALostAnswer(t *testing.T) {
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
				if part != "/events" { // which never ends
					shop.server.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
				}
				hangUp(w)
				return true
			}
			p := shop.buyer(t, false).Buy(t.Context(), basket)
			if p.Err != nil || shop.placed() != 1 || !cut.Load() {
				t.Errorf("got %v, %d orders, cut %v; want a confirmed one", p.Err, shop.placed(), cut.Load())
			}
		})
	}
}

// TestPaidAlready: an earlier attempt to pay arrived, its answer did not. The news that it is confirmed comes later.
func TestPaidAlready(t *testing.T) {
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
		t.Errorf("got %v and %d orders; want the first one again", p.Err, shop.placed())
	}
}

func TestPatience(t *testing.T) {
	t.Parallel()
	t.Run("NobodyListens", func(t *testing.T) {
		t.Parallel()
		buyer := &loadgen.Buyer{Shop: loadgen.NewShop(loadgen.Addresses{Storefront: "http://127.0.0.1:1"}, 1, false)}
		p := buyer.Buy(t.Context(), basket)
		var failure *loadgen.Failure
		if !errors.As(p.Err, &failure) || failure.Kind != loadgen.ConnectionRefused || buyer.Shop.Retries() != 4 {
			t.Errorf("got %v after %d retries; want connection_refused after 4", p.Err, buyer.Shop.Retries())
		}
	})
	t.Run("PatientShopperOutlivesTheShop", func(t *testing.T) {
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
			t.Errorf("got %v and %d orders; want 1 confirmed", p.Err, shop.placed())
		}
	})
	t.Run("AFaultIsNotRepeated", func(t *testing.T) {
		t.Parallel()
		shop := newFakeShop(t)
		shop.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
			problem(w, http.StatusInternalServerError, "oh")
			return true
		}
		shop.buyer(t, true).Buy(t.Context(), basket)
		if n := shop.requests("POST /api/orders"); n != 1 {
			t.Errorf("%d requests, want 1", n)
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
		t.Errorf("got %v", p.Err)
	}
}

// waitFor looks again and again until a fact holds.
func waitFor(t *testing.T, fact string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", fact)
		}
	}
}
