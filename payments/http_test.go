package payments

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tillstream/events"
)

func TestPaymentNeedsTheTokenOfItsOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, _ := f.placeOrder(1250)
	path := f.shopURL + "/api/orders/" + orderID + "/payment"
	for name, tc := range map[string]struct {
		url, authorization string
		want               int
	}{
		"Owner":         {path, "Bearer token-" + orderID, 200},
		"NoToken":       {path, "", 404},
		"WrongToken":    {path, "Bearer token-x", 404},
		"NotABearer":    {path, "token-" + orderID, 404},
		"OtherOrder":    {f.shopURL + "/api/orders/other/payment", "Bearer token-" + orderID, 404},
		"NotRequested":  {f.shopURL + "/api/orders/other/payment", "Bearer token-other", 404},
		"Wildcard":      {f.shopURL + "/api/orders/*/payment", "Bearer token-*", 404},
		"Dots":          {f.shopURL + "/api/orders/a.b/payment", "Bearer token-a.b", 404},
		"Long":          {f.shopURL + "/api/orders/" + strings.Repeat("x", 5000) + "/payment", "Bearer token-" + strings.Repeat("x", 5000), 404},
		"WaitTooLong":   {path + "?wait=31", "Bearer token-" + orderID, 422},
		"WaitNotNumber": {path + "?wait=a", "Bearer token-" + orderID, 422},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tc.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.authorization != "" {
				request.Header.Set("Authorization", tc.authorization)
			}
			if got := f.do(request, nil); got != tc.want {
				t.Errorf("HTTP %d, want %d", got, tc.want)
			}
		})
	}
}

// A long poll is answered when the intent exists. Without a payment it is answered at its timeout.
func TestLongPollReturnsWhenTheIntentExists(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	const orderID = "waiting"
	answered := make(chan PaymentBody)
	go func() {
		var p PaymentBody
		f.getPayment(orderID, 20, &p)
		answered <- p
	}()
	f.waitUntil("a request waits", f.hasSubscriber)
	requested := time.Now()
	f.appendOrder(orderID, events.OrderAwaitingPayment{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID), Amount: gbp1250})
	if p := <-answered; p.ClientSecret == "" || time.Since(requested) > 10*time.Second {
		t.Errorf("after %s: got %+v, want a client secret within 10 s", time.Since(requested), p)
	}
	if status := f.getPayment("unknown", 1, nil); status != http.StatusNotFound {
		t.Errorf("order without a payment: HTTP %d, want 404", status)
	}
}

// hasSubscriber reports whether one request waits for a payment.
func (f *fixture) hasSubscriber() bool {
	f.service.hub.mu.Lock()
	defer f.service.hub.mu.Unlock()
	return len(f.service.hub.subscribers) == 1
}

// When the process stops, long polls are answered at once. Otherwise the stop would take half a minute.
func TestStoppingEndsLongPolls(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	done := make(chan error, 1)
	go func() {
		_, err := f.service.awaitIntent(t.Context(), "waiting", time.Hour)
		done <- err
	}()
	f.waitUntil("a request waits", f.hasSubscriber)
	f.stop()
	select {
	case err := <-done:
		var status huma.StatusError
		if !errors.As(f.service.problem(t.Context(), err), &status) || status.GetStatus() != http.StatusServiceUnavailable {
			t.Errorf("got %v, want 503: another process can answer", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("after 20 s: the long poll has not ended")
	}
}

// A process that stops abandons the requests that it has not answered in time. The answer has Retry-After for
// shopper and Stripe.
func TestAbandonedRequestIsAnsweredWithRetryAfter(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	err := (&Service{logger: slog.New(slog.DiscardHandler)}).problem(stopped, stopped.Err())
	var status huma.StatusError
	var headers huma.HeadersError
	if !errors.As(err, &status) || status.GetStatus() != http.StatusServiceUnavailable || !errors.As(err, &headers) || headers.GetHeaders().Get("Retry-After") == "" {
		t.Errorf("got %v, want 503 with Retry-After", err)
	}
}

func TestRoutesAreDocumented(t *testing.T) {
	t.Parallel()
	api := humago.New(http.NewServeMux(), huma.DefaultConfig("payments", "1"))
	s := &Service{}
	s.Register(api)
	paths := api.OpenAPI().Paths
	if paths["/webhooks/stripe"].Post == nil || paths["/api/orders/{id}/payment"].Get == nil {
		t.Errorf("documented paths: got %v, want /webhooks/stripe and /api/orders/{id}/payment", paths)
	}
}

// A process that did not create the intent retrieves the client secret from Stripe.
func TestMissingSecretIsRetrievedFromStripe(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.service.secrets.Purge()
	var again PaymentBody
	if f.getPayment(orderID, 0, &again); again.ClientSecret != p.ClientSecret || p.ClientSecret == "" {
		t.Errorf("got %q, want %q", again.ClientSecret, p.ClientSecret)
	}
}
