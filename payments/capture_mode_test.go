package payments

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// What each setting asks of Stripe when an intent is created (docs.stripe.com/api/payment_intents/create).
func TestIntentIsCreatedWithTheCaptureOfItsPayment(t *testing.T) {
	t.Parallel()
	const multicapture = "payment_method_options[card][request_multicapture]"
	for mode, want := range map[string]map[string]string{
		"":                           {"capture_method": "manual", multicapture: ""},
		events.CaptureAutomatic:      {"capture_method": "automatic", multicapture: ""},
		events.CaptureAtConfirmation: {"capture_method": "manual", multicapture: ""},
		events.CaptureAtFulfilment:   {"capture_method": "manual", multicapture: "if_available"},
	} {
		var sent url.Values
		stripe := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			sent = r.PostForm
			_, _ = rw.Write([]byte(`{"id":"pi_1","object":"payment_intent","amount":1250,"currency":"gbp","status":"requires_payment_method"}`))
		}))
		facts, err := Request(Payment{}, awaiting, Terms{Capture: mode})
		if err != nil {
			t.Fatal(err)
		}
		gateway := newStripeGateway(stripeOptions{key: secretKey, base: stripe.URL, now: time.Now, logger: slog.New(slog.DiscardHandler)})
		if _, err := gateway.CreateIntent(context.Background(), fold(t, facts...)); err != nil {
			t.Fatal(err)
		}
		stripe.Close()
		got := map[string]string{"capture_method": sent.Get("capture_method"), multicapture: sent.Get(multicapture)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("capture %q, want-, got+:\n%s", mode, diff)
		}
	}
}

func TestUnknownCaptureIsRefused(t *testing.T) {
	t.Parallel()
	if err := (Terms{Capture: "later"}).validate(); err == nil {
		t.Error("terms with capture later: got no error, want one")
	}
}
