package orders

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

func pounds(pence int64) events.Money { return events.Money{Amount: pence, Currency: "GBP"} }

// threeMugs is an order of three mugs for 10.00 and a cup for 2.50, with 1.00 for delivery.
func threeMugs() events.OrderPlaced {
	return events.OrderPlaced{OrderID: "o1", Number: "N", Lines: []events.OrderLine{
		{SKU: "MUG", Quantity: 3, UnitPrice: pounds(333), Total: pounds(1000)}, {SKU: "CUP", Quantity: 1, UnitPrice: pounds(250), Total: pounds(250)}},
		Subtotal: pounds(1250), Shipping: pounds(100), Tax: pounds(0), Total: pounds(1350), ExpiresAt: deadline}
}

// confirmedOrder returns a confirmed order of threeMugs, whose money is captured, or only authorized until goods are sent.
func confirmedOrder(t interface{ Fatal(...any) }, authorized bool) Order {
	return fold(t, Order{}, 1, threeMugs(), events.OrderAwaitingPayment{PaymentID: "p1"},
		events.OrderConfirmed{OrderOutcome: events.OrderOutcome{OrderID: "o1"}, Authorized: authorized})
}

func sent(id string, lines ...events.ReservedLine) FulfilmentRequest {
	return FulfilmentRequest{ID: id, Hash: "hash of " + id, Lines: lines}
}

func units(sku string, n int64) events.ReservedLine {
	return events.ReservedLine{SKU: sku, Quantity: n}
}

// fulfil applies a fulfilment that must be accepted, and returns its event.
func fulfil(t testing.TB, o Order, r FulfilmentRequest) (Order, events.OrderFulfilmentCreated) {
	t.Helper()
	facts, err := o.Fulfil(r)
	if err != nil || len(facts) != 1 {
		t.Fatalf("fulfilment %s: got %v, %v; want one event", r.ID, facts, err)
	}
	return fold(t, o, 20, facts...), facts[0].(events.OrderFulfilmentCreated)
}

// The parcels of an order cost together what the order costs, although a third of ten pounds is no amount of money.
func TestParcelsAddUpToTheTotal(t *testing.T) {
	t.Parallel()
	o := confirmedOrder(t, true)
	var got []int64
	for i, r := range []FulfilmentRequest{sent("f1", units("MUG", 1)), sent("f2", units("MUG", 1), units("CUP", 1)), sent("f3")} {
		var f events.OrderFulfilmentCreated
		if o, f = fulfil(t, o, r); f.Final != (i == 2) || !f.Released.IsZero() || len(f.Cancelled) > 0 {
			t.Errorf("%s: got %+v, want only the last one final, and nothing released", r.ID, f)
		}
		got = append(got, f.Amount.Amount, f.Due.Amount)
		want := map[bool]FulfilmentStatus{true: Fulfilled, false: PartlyFulfilled}[i == 2]
		if o.Fulfilment != want {
			t.Errorf("after %s: got %s, want %s", r.ID, o.Fulfilment, want)
		}
	}
	if diff := cmp.Diff([]int64{433, 433, 583, 1016, 334, 1350}, got); diff != "" {
		t.Errorf("amount and sum of each parcel, want-, got+:\n%s", diff)
	}
}

// With the last parcel the shopper does not pay for what stays in the shop.
func TestFinalReleasesTheRest(t *testing.T) {
	t.Parallel()
	o := confirmedOrder(t, true)
	r := sent("f1", units("MUG", 2))
	r.Final = true
	o, f := fulfil(t, o, r)
	want := events.OrderFulfilmentCreated{OrderOutcome: o.outcome(), FulfilmentID: "f1", Lines: []events.ReservedLine{units("MUG", 2)}, Amount: pounds(766), Due: pounds(766),
		Final: true, Cancelled: []events.ReservedLine{units("CUP", 1), units("MUG", 1)}, Released: pounds(584), RequestHash: r.Hash}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("fulfilment, want-, got+:\n%s", diff)
	}
	if o.Fulfilment != Fulfilled || o.Payment != Authorized || o.Released != pounds(584) {
		t.Errorf("order: got %s, %s, released %s; want fulfilled, authorized, 5.84", o.Fulfilment, o.Payment, o.Released)
	}
}

func TestRepeatedFulfilmentChangesNothing(t *testing.T) {
	t.Parallel()
	r := sent("f1", units("MUG", 1))
	o, _ := fulfil(t, confirmedOrder(t, true), r)
	if facts, err := o.Fulfil(r); err != nil || len(facts) != 0 {
		t.Errorf("the same request again: got %v, %v; want no event", facts, err)
	}
	r.Hash = "another"
	if _, err := o.Fulfil(r); !errors.Is(err, ErrFulfilmentReused) {
		t.Errorf("another request under the same id: got %v, want ErrFulfilmentReused", err)
	}
}

// Row 51 of the fault matrix: nothing is sent while the payment is disputed.
func TestWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	final := FulfilmentRequest{ID: "f", Lines: []events.ReservedLine{units("MUG", 1)}, Final: true}
	paid, authorized := confirmedOrder(t, false), confirmedOrder(t, true)
	all, _ := fulfil(t, authorized, sent("f0"))
	begun, _ := fulfil(t, authorized, sent("f0", units("CUP", 1)))
	out := paid.outcome()
	captured := func(o Order, amount int64, more bool) Order {
		return fold(t, o, 30, events.OrderPaymentCaptured{OrderOutcome: out, Amount: pounds(amount), More: more})
	}
	for name, c := range map[string]struct {
		order   Order
		request FulfilmentRequest
		want    string
	}{
		"awaiting payment":     {fold(t, Order{}, 1, threeMugs(), events.OrderAwaitingPayment{}), sent("f"), "awaiting_payment"},
		"disputed":             {fold(t, paid, 9, events.OrderDisputed{OrderOutcome: out, Dispute: "d", Status: events.DisputeNeedsResponse}), sent("f"), "disputed"},
		"all sent":             {all, sent("f"), "nothing is left"},
		"authorization lost":   {fold(t, begun, 40, events.OrderAuthorizationLost{OrderOutcome: out, Unpaid: pounds(350)}), sent("f"), "has ended"},
		"final, paid":          {paid, final, "refund the rest instead"},
		"final, all captured":  {captured(begun, 1350, false), final, "refund the rest instead"},
		"final, while capture": {begun, final, "try again"},
	} {
		if _, err := c.order.Fulfil(c.request); !errors.Is(err, ErrNotFulfillable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ErrNotFulfillable that says %q", name, err, c.want)
		}
	}
	if _, f := fulfil(t, captured(begun, 350, true), final); !f.Final || f.Released != pounds(667) {
		t.Errorf("final after a partial capture: got %+v, want final with 6.67 released", f)
	}
	var invalid *events.InvalidError
	wrong := sent("f", units("MUG", 2), units("MUG", 2), units("HAT", 1), units("CUP", 0))
	if _, err := paid.Fulfil(wrong); !errors.As(err, &invalid) || len(invalid.Faults) != 3 || invalid.Faults[0].Field != "lines[1].quantity" {
		t.Errorf("wrong lines: got %v, want three faults, the first in lines[1].quantity", err)
	}
}
