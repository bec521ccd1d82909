package orders

import (
	"errors"
	"testing"

	"tillstream/events"
)

// partlyCaptured is an order of threeMugs of which a parcel with one mug is sent and captured, with delivery: 4.33. The rest of the
// authorization can still be captured.
func partlyCaptured(t testing.TB) Order {
	t.Helper()
	o, f := fulfil(t, confirmedOrder(t, true), sent("f1", units("MUG", 1)))
	return fold(t, o, 30, events.OrderPaymentCaptured{Amount: f.Due, More: true})
}

// Row 48 of the fault matrix: units that are neither sent nor captured are not paid, so a refund of them is worth nothing.
func TestUnpaidUnitsAreWorthNothing(t *testing.T) {
	t.Parallel()
	o := partlyCaptured(t)
	for name, tc := range map[string]struct {
		ask    RefundRequest
		amount int64 // 0: refused
	}{
		"Unpaid":   {RefundRequest{Lines: []events.RefundLine{{SKU: "CUP", Quantity: 1, Restock: 1}}}, 0},
		"Both":     {RefundRequest{Lines: []events.RefundLine{{SKU: "MUG", Quantity: 2, Restock: 1}}}, 333},
		"Goodwill": {RefundRequest{Lines: []events.RefundLine{{SKU: "CUP", Quantity: 1, Restock: 1}}, Amount: pounds(100)}, 100},
		"Full":     {RefundRequest{Full: true}, 433},
	} {
		tc.ask.ID, tc.ask.Seen = "r1", o.Refundable()
		facts, err := o.RequestRefund(tc.ask)
		if tc.amount == 0 && err == nil || tc.amount != 0 && (err != nil || facts[0].(events.OrderRefundRequested).Amount != pounds(tc.amount)) {
			t.Errorf("%s: got %v, %v; want a refund of %d", name, facts, err, tc.amount)
		}
	}
}

// Row 40 of the fault matrix: goods that were lost with the authorization were never paid.
func TestLostGoodsAreNotRefunded(t *testing.T) {
	t.Parallel()
	o := partlyCaptured(t)
	o = fold(t, o, 40, o.capturedMore(o.Taken, false)...)
	var invalid *events.InvalidError
	_, err := o.RequestRefund(RefundRequest{ID: "r1", Seen: o.Refundable(), Lines: []events.RefundLine{{SKU: "CUP", Quantity: 1}}})
	if o.Lost == nil || !errors.As(err, &invalid) || invalid.Faults[0].Field != "lines[0].quantity" {
		t.Errorf("got %v, want a fault of the quantity", err)
	}
	for _, l := range o.RefundableLines() {
		if want := map[string]int64{"MUG": 1}[l.SKU]; l.Quantity != want {
			t.Errorf("%s: got %d that can be refunded, want %d", l.SKU, l.Quantity, want)
		}
	}
}

// Nothing is sent for money that staff have refunded in Stripe's dashboard, where no lines can be named. When the refund fails, or more
// can be captured, it is sent.
func TestAnOrderWhoseMoneyIsRefundedIsNotSent(t *testing.T) {
	t.Parallel()
	o := confirmedOrder(t, false)
	o = fold(t, o, 10, o.PaymentRefunded("re_1", o.Total)...)
	if _, err := o.Fulfil(sent("f1")); !errors.Is(err, ErrNotFulfillable) {
		t.Errorf("refunded: got %v, want %v", err, ErrNotFulfillable)
	}
	fulfil(t, fold(t, o, 11, o.PaymentRefundFailed("re_1", o.Total, "test")...), sent("f1"))
	part := partlyCaptured(t)
	fulfil(t, fold(t, part, 40, part.PaymentRefunded("re_1", part.Taken)...), sent("f2"))
}
