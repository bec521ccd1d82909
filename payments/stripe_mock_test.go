package payments

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
	"github.com/stripe/stripe-mock/spec"

	"tillstream/events"
)

// stripeMock serves Stripe's own stand-in for its API (github.com/stripe/stripe-mock), which validates every request against Stripe's
// OpenAPI description and answers with examples from there. It keeps no state.
var stripeMock = sync.OnceValues(func() (http.Handler, error) {
	var description spec.Spec
	var fixtures spec.Fixtures
	err := errors.Join(json.Unmarshal(embedded.OpenAPISpec, &description), json.Unmarshal(embedded.OpenAPIFixtures, &fixtures))
	if err != nil {
		return nil, err
	}
	stub, err := server.NewStubServer(&fixtures, &description, false, false)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", stub.HandleRequest)
	return &server.DoubleSlashFixHandler{Mux: mux}, nil
})

// mockGateway returns a gateway to stripe-mock, with keys and an address as STRIPE_SECRET_KEY and STRIPE_API_BASE would give them.
func mockGateway(t *testing.T) *stripeGateway {
	t.Helper()
	mock, err := stripeMock()
	if err != nil {
		t.Fatal(err)
	}
	stand := httptest.NewServer(mock)
	t.Cleanup(stand.Close)
	config := Config{SecretKey: "sk_test_123", PublishableKey: "pk_test_123", WebhookSecret: webhookSecret, StripeAPIBase: stand.URL}
	if err := config.CheckStripe(); err != nil {
		t.Fatal(err)
	}
	return newStripeGateway(stripeOptions{key: config.SecretKey, base: config.StripeAPIBase, now: time.Now, logger: config.withDefaults().Logger})
}

// Every request of the gateway is valid by Stripe's OpenAPI description, and it reads an answer of that form: it works with a server that
// speaks Stripe's API and was not written here.
func TestStripeMockAcceptsEveryCall(t *testing.T) {
	t.Parallel()
	gateway := mockGateway(t)
	for name, call := range gatewayCalls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := call(t.Context(), gateway); err != nil {
				t.Errorf("stripe-mock refuses the request: %v", err)
			}
		})
	}
}

// The requests that depend on the shop's settings are valid, too: each mode of capture, several methods, and the capture of a part.
func TestStripeMockAcceptsEverySetting(t *testing.T) {
	t.Parallel()
	gateway := mockGateway(t)
	for _, mode := range []string{events.CaptureAutomatic, events.CaptureAtConfirmation, events.CaptureAtFulfilment} {
		for _, methods := range [][]string{nil, {"card", "sepa_debit"}} {
			p := paidPayment()
			p.Capture, p.Methods = mode, methods
			if _, err := gateway.CreateIntent(t.Context(), p); err != nil {
				t.Errorf("intent with capture at %s and methods %v: %v", mode, methods, err)
			}
		}
	}
	if _, err := gateway.Capture(t.Context(), paidPayment(), Part{Key: "parcel-1", Amount: gbp1250, More: true}); err != nil {
		t.Errorf("capture of a part: %v", err)
	}
}

// The answers of stripe-mock are read into the gateway's own types. It returns no metadata.
func TestAnswersOfStripeMockAreRead(t *testing.T) {
	t.Parallel()
	gateway, ctx := mockGateway(t), t.Context()
	p := paidPayment()
	created, err := gateway.CreateIntent(ctx, p)
	if err != nil || created.ID == "" || created.ClientSecret == "" || created.Amount != p.Amount {
		t.Errorf("created: got %+v, %v; want an intent of %s", created, err, p.Amount)
	}
	read, err := gateway.RetrieveIntent(ctx, created.ID)
	if err != nil || read.ID != created.ID || read.Status == "" || read.Amount.Currency == "" {
		t.Errorf("retrieved: got %+v, %v; want intent %s", read, err, created.ID)
	}
	refund, err := gateway.Refund(ctx, p, "refund-1", gbp1250)
	if err != nil || refund.ID == "" || refund.Charge == "" || refund.Amount.Amount != gbp1250.Amount || refund.Status == "" {
		t.Errorf("refunded: got %+v, %v; want a refund of %d", refund, err, gbp1250.Amount)
	}
	refunds, err := gateway.ListRefunds(ctx, created.ID)
	if err != nil || len(refunds) == 0 || refunds[0].ID == "" {
		t.Errorf("refunds: got %+v, %v; want one", refunds, err)
	}
	listed := 0
	err = gateway.ListEvents(ctx, time.Now().Add(-time.Hour), time.Now(), intentTypes, func(e RawEvent) error {
		listed++
		if e.ID == "" || e.Created.IsZero() || len(e.Body) == 0 {
			t.Errorf("listed: got %+v, want an event with id, time and body", e)
		}
		return nil
	})
	if err != nil || listed == 0 {
		t.Errorf("events: got %d and %v, want one", listed, err)
	}
}

// stripe-mock refuses a request that Stripe's description does not allow, so the tests above prove something. The error is about the
// request and not about the payment.
func TestStripeMockRefusesAnInvalidRequest(t *testing.T) {
	t.Parallel()
	gateway := mockGateway(t)
	params := &stripe.PaymentIntentParams{Amount: stripe.Int64(1250), Currency: stripe.String("gbp")}
	params.AddExtra("no_such_parameter", "1")
	_, err := gateway.intents.New(params)
	if err := classify(t.Context(), err, opCreateIntent, "of a test"); !errors.Is(err, ErrRequest) {
		t.Errorf("intent with an unknown parameter: got %v, want ErrRequest", err)
	}
}
