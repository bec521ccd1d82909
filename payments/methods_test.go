package payments

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// debitOrder is an order that can be paid by debit.
func debitOrder(currency string) events.OrderAwaitingPayment {
	order := awaiting
	order.Amount = events.Money{Amount: 1250, Currency: currency}
	return order
}

// What each list of methods asks of Stripe for an order: only what the currency allows, and manual capture only where it exists.
func TestIntentIsCreatedWithTheMethodsOfItsPayment(t *testing.T) {
	t.Parallel()
	const manual = "payment_method_options[card][capture_method]"
	for _, c := range []struct {
		methods, currency, capture string
		want                       url.Values
	}{
		{"card", "GBP", events.CaptureAtConfirmation, url.Values{"payment_method_types[0]": {"card"}, "capture_method": {"manual"}}},
		{"card,sepa_debit", "GBP", events.CaptureAtConfirmation, url.Values{"payment_method_types[0]": {"card"}, "capture_method": {"manual"}}},
		{"card,sepa_debit", "EUR", events.CaptureAtConfirmation, url.Values{"payment_method_types[0]": {"card"}, "payment_method_types[1]": {"sepa_debit"}, "capture_method": {"automatic"}, manual: {"manual"}}},
		{"card,sepa_debit", "EUR", events.CaptureAutomatic, url.Values{"payment_method_types[0]": {"card"}, "payment_method_types[1]": {"sepa_debit"}, "capture_method": {"automatic"}}},
		{"card,link", "EUR", events.CaptureAtConfirmation, url.Values{"payment_method_types[0]": {"card"}, "payment_method_types[1]": {"link"}, "capture_method": {"manual"}}},
		{"automatic", "EUR", events.CaptureAtConfirmation, url.Values{"automatic_payment_methods[enabled]": {"true"}, "capture_method": {"automatic"}, manual: {"manual"}}},
	} {
		facts, err := Request(Payment{}, debitOrder(c.currency), Terms{Capture: c.capture, Methods: strings.Split(c.methods, ",")})
		if err != nil {
			t.Fatal(err)
		}
		sent := creationOf(t, fold(t, facts...))
		for name := range sent {
			if !strings.HasPrefix(name, "payment_method") && !strings.HasPrefix(name, "automatic") && name != "capture_method" {
				delete(sent, name)
			}
		}
		if diff := cmp.Diff(c.want, sent); diff != "" {
			t.Errorf("%s in %s with capture %s (-want +got):\n%s", c.methods, c.currency, c.capture, diff)
		}
	}
}

// creationOf returns the parameters with which the intent of a payment is created.
func creationOf(t *testing.T, p Payment) (sent url.Values) {
	t.Helper()
	stripe := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		sent = r.PostForm
		_, _ = rw.Write([]byte(`{"id":"pi_1","object":"payment_intent","amount":1250,"currency":"eur","status":"requires_payment_method"}`))
	}))
	defer stripe.Close()
	if _, err := newStripeGateway(stripeOptions{key: secretKey, base: stripe.URL, now: time.Now, logger: slog.New(slog.DiscardHandler)}).CreateIntent(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	return sent
}

// Row 42 of the fault matrix, for a method that takes days: a webhook alone begins and ends no processing, because it may be late. Then
// Stripe is asked. Stripe's answer does both.
func TestWebhooksAloneDoNotBeginOrEndProcessing(t *testing.T) {
	t.Parallel()
	facts, err := Request(Payment{}, debitOrder("EUR"), Terms{Capture: events.CaptureAtConfirmation, Methods: []string{"card", "sepa_debit"}})
	if err != nil {
		t.Fatal(err)
	}
	p := fold(t, facts...)
	in := Intent{ID: "pi_1", PaymentID: p.ID, OrderID: p.OrderID, Amount: p.Amount, Status: IntentProcessing}
	record := func(rule func(Payment, Intent, bool) ([]events.Payload, error)) []events.Payload {
		t.Helper()
		recorded, err := rule(p, in, false)
		if err != nil {
			t.Fatal(err)
		}
		return recorded
	}
	isOf := func(fact events.Payload) bool {
		processing, ok := fact.(events.PaymentProcessing)
		return ok && processing.Method == "sepa_debit"
	}
	if recorded := record(RecordReport); slices.ContainsFunc(recorded, isOf) {
		t.Errorf("webhook: got %v, want no processing", recorded)
	}
	answer := record(RecordIntent)
	if !slices.ContainsFunc(answer, isOf) {
		t.Errorf("answer: got %v, want processing by sepa_debit", answer)
	}
	facts = append(facts, answer...)
	p = fold(t, facts...)
	in.Status, in.LastError = IntentRequiresPaymentMethod, &Attempt{Fact: "py_1", Decline: Decline{Code: "payment_intent_payment_attempt_failed"}}
	if recorded := record(RecordReport); len(recorded) > 0 {
		t.Errorf("webhook about the failure: got %v, want nothing", recorded)
	}
	facts = append(facts, events.PaymentCancelRequested{OrderID: p.OrderID, PaymentID: p.ID, Force: true})
	p = fold(t, facts...)
	got := record(RecordIntent)
	want := []events.Payload{events.PaymentDeclined{OrderID: p.OrderID, PaymentID: p.ID, PaymentIntent: "pi_1", Fact: "py_1", Code: "payment_intent_payment_attempt_failed"},
		events.PaymentCancelRequested{OrderID: p.OrderID, PaymentID: p.ID, Force: true, Reason: "the bank has not paid"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failure of a payment that could not be cancelled (-want +got):\n%s", diff)
	}
}

func TestConfigRefusesUnknownMethods(t *testing.T) {
	t.Parallel()
	if err := (Terms{Capture: events.CaptureAutomatic, Methods: []string{"card", "cheque"}}).validate(); err == nil || !strings.Contains(err.Error(), "sepa_debit") {
		t.Errorf("got error %v, want one that lists the methods", err)
	}
}
