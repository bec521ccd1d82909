package sandbox_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"
)

func (s *testServer) refund(id string, amount int64) (*stripe.Refund, error) {
	params := &stripe.RefundParams{PaymentIntent: stripe.String(id), Metadata: map[string]string{"refund_id": "r-1"}}
	if amount != 0 {
		params.Amount = stripe.Int64(amount)
	}
	return s.stripe.Refunds.New(params)
}

func TestRefundsInPartsUpToTheCapturedAmount(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.captured()
	first, err := s.refund(in.ID, 250)
	if err != nil {
		t.Fatal(err)
	}
	if first.Amount != 250 || first.Status != stripe.RefundStatusSucceeded || first.PaymentIntent.ID != in.ID || first.Charge.ID != in.LatestCharge.ID || first.Metadata["refund_id"] != "r-1" {
		t.Errorf("first refund: got %+v, want 250 of the intent, succeeded", first)
	}
	_, err = s.refund(in.ID, 1001)
	if e := stripeError(t, err); e.HTTPStatusCode != http.StatusBadRequest || e.Param != "amount" || e.Code != "amount_too_large" {
		t.Errorf("refund of too much: got %+v, want 400 amount_too_large", e)
	}
	rest, err := s.refund(in.ID, 0)
	if err != nil || rest.Amount != 1000 {
		t.Fatalf("refund of the rest: got %+v, %v; want 1000", rest, err)
	}
	_, err = s.refund(in.ID, 0)
	if e := stripeError(t, err); e.HTTPStatusCode != http.StatusBadRequest || e.Code != stripe.ErrorCodeChargeAlreadyRefunded {
		t.Errorf("refund without a rest: got %+v, want charge_already_refunded", e)
	}
	ch, err := s.stripe.Charges.Get(in.LatestCharge.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ch.AmountRefunded != 1250 || !ch.Refunded {
		t.Errorf("charge: got %d refunded, %v; want 1250, true", ch.AmountRefunded, ch.Refunded)
	}
	var listed []string
	list := s.stripe.Refunds.List(&stripe.RefundListParams{PaymentIntent: stripe.String(in.ID)})
	for list.Next() {
		listed = append(listed, list.Refund().ID)
	}
	if diff := cmp.Diff([]string{rest.ID, first.ID}, listed); diff != "" || list.Err() != nil {
		t.Errorf("list (-want +got):\n%s%v", diff, list.Err())
	}
}

func TestUncapturedChargesAreNotRefunded(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.authorized()
	_, byIntent := s.refund(in.ID, 0)
	_, byCharge := s.stripe.Refunds.New(&stripe.RefundParams{Charge: stripe.String(in.LatestCharge.ID)})
	_, byNothing := s.stripe.Refunds.New(&stripe.RefundParams{})
	for name, err := range map[string]error{"intent": byIntent, "charge": byCharge, "nothing": byNothing} {
		if e := stripeError(t, err); e.HTTPStatusCode != http.StatusBadRequest {
			t.Errorf("by %s: got %+v, want 400", name, e)
		}
	}
	_, unknown := s.refund("pi_unknown", 0)
	if e := stripeError(t, unknown); e.HTTPStatusCode != http.StatusNotFound || e.Code != stripe.ErrorCodeResourceMissing {
		t.Errorf("unknown intent: got %+v, want 404", e)
	}
}

func TestRefundMetadataChangesAreEvents(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	re, err := s.refund(s.captured().ID, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.stripe.Refunds.Update(re.ID, &stripe.RefundParams{Metadata: map[string]string{"by": "ann"}}); err != nil {
		t.Fatal(err)
	}
	got, err := s.stripe.Refunds.Get(re.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"refund_id": "r-1", "by": "ann"}, got.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	types := s.eventTypes()
	if diff := cmp.Diff([]string{"charge.refunded", "charge.refund.updated"}, types[len(types)-2:]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
