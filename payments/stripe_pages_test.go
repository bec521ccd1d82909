package payments

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Row 76 of the fault matrix: a server that returns the same page for ever, because it does not know starting_after, stops neither the
// reconciler nor an act.
func TestListsThatNeverEndAreLeft(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/v1/payment_intents/search" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"type":"invalid_request_error","message":"no search"}}`)
			return
		}
		fmt.Fprint(w, `{"object":"list","has_more":true,"data":[{"id":"x_1","created":5},{"id":"x_2","created":4},{"id":"x_3","created":3}]}`)
	}))
	t.Cleanup(server.Close)
	gateway := newStripeGateway(stripeOptions{key: secretKey, base: server.URL, now: time.Now, logger: slog.New(slog.DiscardHandler)})
	p := Payment{ID: "0b7f1f0e-53c5-4a5e-a6fb-5f2b2f7d9a10", RequestedAt: time.Now()}
	for name, list := range map[string]func() error{
		"events": func() error {
			return gateway.ListEvents(t.Context(), time.Unix(1, 0), time.Unix(9, 0), WebhookEventTypes(), func(RawEvent) error { return nil })
		},
		"balance": func() error {
			return gateway.ListBalance(t.Context(), BalanceQuery{Since: time.Unix(1, 0)}, func(BalanceTransaction) error { return nil })
		},
		"refunds": func() error { _, err := gateway.ListRefunds(t.Context(), "pi_1"); return err },
		"intents": func() error { _, _, err := gateway.FindIntent(t.Context(), p); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := list(); !errors.Is(err, ErrRequest) {
				t.Errorf("got %v, want %v", err, ErrRequest)
			}
		})
	}
}
