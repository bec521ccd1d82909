package sandbox_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"
)

func (w *world) refund(id string, amount int64) (*stripe.Refund, error) {
	params := &stripe.RefundParams{PaymentIntent: stripe.String(id), Metadata: map[string]string{"refund_id": "r-1"}}
	if amount != 0 {
		params.Amount = stripe.Int64(amount)
	}
	return w.stripe.Refunds.New(params)
}

func TestRefundsInParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.captured()
	first, err := w.refund(in.ID, 250)
	if err != nil {
		t.Fatal(err)
	}
	if first.Amount != 250 || first.Status != stripe.RefundStatusSucceeded || first.PaymentIntent.ID != in.ID || first.Charge.ID != in.LatestCharge.ID || first.Metadata["refund_id"] != "r-1" {
		t.Errorf("first refund %+v", first)
	}
	_, err = w.refund(in.ID, 1001)
	if e := stripeError(t, err); e.HTTPStatusCode != http.StatusBadRequest || e.Param != "amount" || e.Code != "amount_too_large" {
		t.Errorf("too much: %+v", e)
	}
	rest, err := w.refund(in.ID, 0)
	if err != nil || rest.Amount != 1000 {
		t.Fatalf("rest %+v: %v", rest, err)
	}
	_, err = w.refund(in.ID, 0)
	if e := stripeError(t, err); e.HTTPStatusCode != http.StatusBadRequest || e.Code != stripe.ErrorCodeChargeAlreadyRefunded {
		t.Errorf("again: %+v", e)
	}
	ch, err := w.stripe.Charges.Get(in.LatestCharge.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ch.AmountRefunded != 1250 || !ch.Refunded {
		t.Errorf("charge refunded %d, %v", ch.AmountRefunded, ch.Refunded)
	}
	var listed []string
	list := w.stripe.Refunds.List(&stripe.RefundListParams{PaymentIntent: stripe.String(in.ID)})
	for list.Next() {
		listed = append(listed, list.Refund().ID)
	}
	if diff := cmp.Diff([]string{rest.ID, first.ID}, listed); diff != "" || list.Err() != nil {
		t.Errorf("list (-want +got):\n%s%v", diff, list.Err())
	}
}

func TestRefundOfWhatWasNotCaptured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.authorized()
	_, byIntent := w.refund(in.ID, 0)
	_, byCharge := w.stripe.Refunds.New(&stripe.RefundParams{Charge: stripe.String(in.LatestCharge.ID)})
	_, byNothing := w.stripe.Refunds.New(&stripe.RefundParams{})
	for name, err := range map[string]error{"intent": byIntent, "charge": byCharge, "nothing": byNothing} {
		if e := stripeError(t, err); e.HTTPStatusCode != http.StatusBadRequest {
			t.Errorf("by %s: %+v", name, e)
		}
	}
	_, unknown := w.refund("pi_unknown", 0)
	if e := stripeError(t, unknown); e.HTTPStatusCode != http.StatusNotFound || e.Code != stripe.ErrorCodeResourceMissing {
		t.Errorf("unknown intent: %+v", e)
	}
}

func TestRefundMetadataChangesAreEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	re, err := w.refund(w.captured().ID, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.stripe.Refunds.Update(re.ID, &stripe.RefundParams{Metadata: map[string]string{"by": "ann"}}); err != nil {
		t.Fatal(err)
	}
	got, err := w.stripe.Refunds.Get(re.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"refund_id": "r-1", "by": "ann"}, got.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	types := w.eventTypes()
	if diff := cmp.Diff([]string{"charge.refunded", "charge.refund.updated"}, types[len(types)-2:]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestBalanceIsCapturedLessRefunded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inFolder(t.TempDir()))
	w.authorized()
	w.captured()
	if _, err := w.refund(w.captured().ID, 250); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		b, err := w.stripe.Balance.Get(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Available) != 1 || b.Available[0].Amount != 2250 || b.Available[0].Currency != "gbp" {
			t.Errorf("%s: %+v", when, b.Available)
		}
	}
	check("before restart")
	w.restart()
	check("after restart")
}
