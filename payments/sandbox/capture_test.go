package sandbox_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tillstream/payments/sandbox"
)

func withMulticapture(c *sandbox.Config) { c.Multicapture = true }

// advance moves the sandbox's clock.
func (s *testServer) advance(d time.Duration) {
	s.t.Helper()
	if _, err := s.Advance(d); err != nil {
		s.t.Fatalf("advance the clock: %v", err)
	}
}

// authorizedWith confirms an intent that asks for multicapture, and returns it with its charge.
func (s *testServer) authorizedWith(change ...func(*stripe.PaymentIntentParams)) *stripe.PaymentIntent {
	s.t.Helper()
	in := s.create(change...)
	params := &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa")}
	params.AddExpand("latest_charge")
	in, err := s.stripe.PaymentIntents.Confirm(in.ID, params)
	if err != nil {
		s.t.Fatalf("confirm intent: %v", err)
	}
	return in
}

// perCard requests manual capture and multicapture for cards alone.
func perCard(p *stripe.PaymentIntentParams) {
	p.CaptureMethod = nil
	p.PaymentMethodOptions = &stripe.PaymentIntentPaymentMethodOptionsParams{Card: &stripe.PaymentIntentPaymentMethodOptionsCardParams{
		CaptureMethod: stripe.String("manual"), RequestMulticapture: stripe.String("if_available"),
	}}
}

func (s *testServer) capture(id string, amount int64, final bool) (*stripe.PaymentIntent, error) {
	return s.stripe.PaymentIntents.Capture(id, &stripe.PaymentIntentCaptureParams{
		AmountToCapture: stripe.Int64(amount), FinalCapture: stripe.Bool(final),
	})
}

func TestCardsAloneAreCapturedManually(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, withMulticapture)
	in := s.authorizedWith(perCard)
	card := in.LatestCharge.PaymentMethodDetails.Card
	if in.Status != stripe.PaymentIntentStatusRequiresCapture || in.CaptureMethod != stripe.PaymentIntentCaptureMethodAutomatic ||
		in.PaymentMethodOptions.Card.CaptureMethod != "manual" {
		t.Errorf("got %s, capture method %s, options %+v; want requires_capture by the card's option", in.Status, in.CaptureMethod, in.PaymentMethodOptions.Card)
	}
	if card.CaptureBefore != in.LatestCharge.Created+7*24*3600 || card.Multicapture.Status != stripe.ChargePaymentMethodDetailsCardMulticaptureStatusAvailable {
		t.Errorf("got capture before %d, multicapture %+v; want 7 days after %d, available", card.CaptureBefore, card.Multicapture, in.LatestCharge.Created)
	}
}

func TestMulticapture(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, withMulticapture)
	in := s.authorizedWith(perCard)
	first, err := s.capture(in.ID, 400, false)
	if err != nil || first.Status != stripe.PaymentIntentStatusRequiresCapture || first.AmountCapturable != 850 || first.AmountReceived != 400 {
		t.Fatalf("first capture: got %+v, %v; want requires_capture, 400 received, 850 capturable", first, err)
	}
	last, err := s.capture(in.ID, 500, true)
	if err != nil || last.Status != stripe.PaymentIntentStatusSucceeded || last.AmountCapturable != 0 || last.AmountReceived != 900 {
		t.Fatalf("last capture: got %+v, %v; want succeeded, 900 received, the rest released", last, err)
	}
	types := s.eventTypes()
	want := []string{"charge.updated", "payment_intent.amount_capturable_updated", "charge.captured", "payment_intent.succeeded"}
	if diff := cmp.Diff(want, types[len(types)-4:]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if booked := s.booked(&stripe.BalanceTransactionListParams{Source: stripe.String(in.LatestCharge.ID)}); len(booked) != 2 || booked[0].Amount != 500 || booked[1].Amount != 400 {
		t.Errorf("got %d balance transactions, want 500 and 400", len(booked))
	}
}

func TestMulticaptureMustBeAvailable(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*testServer{"account": newTestServer(t), "request": newTestServer(t, withMulticapture)} {
		in := s.authorizedWith(func(p *stripe.PaymentIntentParams) {
			if name == "account" {
				perCard(p)
			}
		})
		if got := in.LatestCharge.PaymentMethodDetails.Card.Multicapture.Status; got != "unavailable" {
			t.Errorf("without the %s: got multicapture %s, want unavailable", name, got)
		}
		_, err := s.capture(in.ID, 400, false)
		if e := stripeError(t, err); e.Param != "final_capture" || e.HTTPStatusCode != 400 {
			t.Errorf("without the %s: got %v, want final_capture refused", name, e)
		}
	}
}

// TestAuthorizationsExpire lets one authorization expire, and keeps one that was captured in part and one that was captured.
func TestAuthorizationsExpire(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, withMulticapture, inDir(t.TempDir()))
	forgotten, captured, part := s.authorized(), s.captured(), s.authorizedWith(perCard)
	if _, err := s.capture(part.ID, 400, false); err != nil {
		t.Fatal(err)
	}
	s.advance(7*24*time.Hour - time.Second)
	s.restart()
	if got := s.get(forgotten.ID); got.Status != stripe.PaymentIntentStatusRequiresCapture {
		t.Fatalf("a second before: got %s, want requires_capture", got.Status)
	}
	s.advance(time.Second)
	got := s.get(forgotten.ID)
	if got.Status != stripe.PaymentIntentStatusCanceled || got.CancellationReason != "automatic" || got.AmountCapturable != 0 {
		t.Errorf("got %s, %s, %d capturable; want canceled, automatic, 0", got.Status, got.CancellationReason, got.AmountCapturable)
	}
	if got := s.get(captured.ID); got.Status != stripe.PaymentIntentStatusSucceeded || got.AmountReceived != 1250 {
		t.Errorf("captured: got %s, %d received; want succeeded, 1250", got.Status, got.AmountReceived)
	}
	if got := s.get(part.ID); got.Status != stripe.PaymentIntentStatusSucceeded || got.AmountReceived != 400 || got.AmountCapturable != 0 {
		t.Errorf("captured in part: got %s, %d received; want succeeded, 400", got.Status, got.AmountReceived)
	}
	types := s.eventTypes()
	if i := slices.Index(types, "charge.expired"); i < 0 || types[i+1] != "payment_intent.canceled" {
		t.Errorf("got events %v, want charge.expired and payment_intent.canceled", types)
	}
	before := len(types)
	s.restart()
	s.advance(7 * 24 * time.Hour)
	if types := s.eventTypes(); slices.Contains(types[before:], "payment_intent.canceled") {
		t.Errorf("a week later: got events %v, want none of expired authorizations", types[before:])
	}
}
