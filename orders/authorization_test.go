package orders

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tillstream/events"
)

// What every event of a payment does to an order whose money is captured when goods are sent.
func TestPaymentEventsOfAnAuthorizedOrder(t *testing.T) {
	t.Parallel()
	waiting := fold(t, Order{}, 1, threeMugs(), events.OrderAwaitingPayment{PaymentID: "p1"})
	late := fold(t, waiting, 5, events.OrderExpired{OrderOutcome: waiting.outcome()})
	late = fold(t, late, 6, late.PaymentAuthorized(events.CaptureAtFulfilment)...)
	confirmed := confirmedOrder(t, true)
	begun, _ := fulfil(t, confirmed, sent("f1", units("CUP", 1)))
	partly := fold(t, begun, 30, begun.PaymentCaptured(pounds(350), true)...)
	out := waiting.outcome()
	lost := func(unpaid int64) events.OrderAuthorizationLost {
		return events.OrderAuthorizationLost{OrderOutcome: out, Lines: []events.ReservedLine{units("MUG", 3)}, Released: pounds(1000), Unpaid: pounds(unpaid)}
	}
	captured := func(amount int64, more bool) events.OrderPaymentCaptured {
		return events.OrderPaymentCaptured{OrderOutcome: out, Amount: pounds(amount), More: more}
	}
	for name, c := range map[string]struct{ got, want []events.Payload }{
		"authorized":                       {waiting.PaymentAuthorized(events.CaptureAtFulfilment), []events.Payload{events.OrderConfirmed{OrderOutcome: out, Authorized: true}}},
		"authorized late, stock held":      {late.ReservationHeld(late.HoldCause), []events.Payload{events.OrderConfirmed{OrderOutcome: out, Authorized: true}}},
		"authorized late, stock sold":      {late.ReservationRefused(late.HoldCause, nil), []events.Payload{events.OrderRejected{OrderOutcome: out, Reason: events.RejectedPaidLate}}},
		"authorized twice":                 {confirmed.PaymentAuthorized(events.CaptureAtFulfilment), nil},
		"expired before confirmation":      {late.PaymentCancelled(events.CancelAuthorizationExpired), []events.Payload{events.OrderCancelled{OrderOutcome: out, Reason: events.CancelAuthorizationExpired}}},
		"expired, nothing sent":            {confirmed.PaymentCancelled(events.CancelAuthorizationExpired), []events.Payload{events.OrderCancelled{OrderOutcome: out, Reason: events.CancelAuthorizationExpired, Restock: []events.ReservedLine{units("CUP", 1), units("MUG", 3)}}}},
		"cancelled at Stripe":              {confirmed.PaymentCancelled("abandoned"), []events.Payload{events.OrderCancelled{OrderOutcome: out, Reason: events.CancelPaymentCancelled, Restock: []events.ReservedLine{units("CUP", 1), units("MUG", 3)}}}},
		"expired, a parcel sent":           {begun.PaymentCancelled(events.CancelAuthorizationExpired), []events.Payload{lost(350)}},
		"expired, a parcel paid":           {partly.PaymentCaptured(pounds(350), false), []events.Payload{captured(350, false), lost(0)}},
		"a part captured":                  {begun.PaymentCaptured(pounds(350), true), []events.Payload{captured(350, true)}},
		"captured again":                   {partly.PaymentCaptured(pounds(350), true), nil},
		"all captured with the first":      {begun.PaymentCaptured(pounds(1350), false), []events.Payload{captured(1350, false)}},
		"more captured than was sent":      {begun.PaymentCaptured(pounds(500), false), []events.Payload{captured(500, false)}},
		"captured in Stripe's dashboard":   {confirmed.PaymentCaptured(pounds(500), false), []events.Payload{captured(500, false)}},
		"captured before it was confirmed": {waiting.PaymentCaptured(pounds(1350), false), []events.Payload{events.OrderConfirmed{OrderOutcome: out}}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s, want-, got+:\n%s", name, diff)
		}
	}
}

func TestStaffVoidAnAuthorizedOrder(t *testing.T) {
	t.Parallel()
	o := confirmedOrder(t, true)
	if _, err := o.Cancel(false); !errors.Is(err, ErrNotCancellable) {
		t.Errorf("by the shopper: got %v, want ErrNotCancellable", err)
	}
	facts, err := o.Cancel(true)
	if err != nil || len(facts) != 1 {
		t.Fatalf("by staff: got %v, %v; want one event", facts, err)
	}
	if got := fold(t, o, 9, facts...); got.Status != Cancelled || got.Payment != Unpaid {
		t.Errorf("order: got %s, %s; want cancelled, unpaid", got.Status, got.Payment)
	}
	begun, _ := fulfil(t, o, sent("f1", units("CUP", 1)))
	captured := fold(t, o, 9, events.OrderPaymentCaptured{OrderOutcome: o.outcome(), Amount: pounds(10), More: true})
	for name, sold := range map[string]Order{"paid": confirmedOrder(t, false), "sent": begun, "captured": captured} {
		if _, err := sold.Cancel(true); !errors.Is(err, ErrNotCancellable) {
			t.Errorf("%s, by staff: got %v, want ErrNotCancellable", name, err)
		}
	}
}

// In any sequence of parcels, captures and the end of the authorization, repeated in any way: no unit is sent twice or both sent and
// returned to stock, what is due never exceeds the total, and repeating the sequence changes nothing.
func TestAnySequenceOfParcelsAndCapturesAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o, taken := confirmedOrder(t, true), int64(0)
		listed := listedAs(t, row{}, threeMugs(), events.OrderAwaitingPayment{PaymentID: "p1"}, events.OrderConfirmed{OrderOutcome: o.outcome(), Authorized: true})
		var done []func(Order) []events.Payload
		act := func(rule func(Order) []events.Payload) {
			done = append(done, rule)
			facts := rule(o)
			o, listed = fold(t, o, 10+len(done), facts...), listedAs(t, listed, facts...)
		}
		t.Repeat(map[string]func(*rapid.T){
			"sent": func(t *rapid.T) {
				r := sent(rapid.SampledFrom([]string{"f1", "f2", "f3"}).Draw(t, "id"), units(rapid.SampledFrom([]string{"MUG", "CUP"}).Draw(t, "sku"), rapid.Int64Range(1, 3).Draw(t, "units")))
				r.Final = rapid.Bool().Draw(t, "final")
				act(func(o Order) []events.Payload { facts, _ := o.Fulfil(r); return facts })
			},
			"captured": func(*rapid.T) {
				taken = max(taken, o.due().Amount)
				amount, more := pounds(taken), taken < o.Total.Amount-o.Released.Amount
				if taken > 0 {
					act(func(o Order) []events.Payload { return o.PaymentCaptured(amount, more) })
				}
			},
			"ended": func(*rapid.T) {
				amount := pounds(taken)
				act(func(o Order) []events.Payload {
					if amount.IsZero() {
						return o.PaymentCancelled(events.CancelAuthorizationExpired)
					}
					return o.PaymentCaptured(amount, false)
				})
			},
			"again": func(*rapid.T) {
				before := o
				for _, rule := range done {
					for _, fact := range rule(o) {
						if _, parcel := fact.(events.OrderFulfilmentCreated); !parcel { // one that was refused before may be possible now
							t.Fatalf("the same event again: got %+v, want no event in %+v", fact, before)
						}
					}
				}
			},
			"": func(t *rapid.T) {
				for sku, left := range o.Unsent() {
					if left < 0 {
						t.Fatalf("%s: got %d units unsent, want 0 or more", sku, left)
					}
				}
				if listed.status != o.Status || listed.payment != o.Payment || listed.fulfilment != o.Fulfilment {
					t.Fatalf("in the list: got %s, %s, %s; want %s, %s, %s", listed.status, listed.payment, listed.fulfilment, o.Status, o.Payment, o.Fulfilment)
				}
				if o.due().Amount+o.Released.Amount > o.Total.Amount {
					t.Fatalf("got %s due and %s released, want at most %s", o.due(), o.Released, o.Total)
				}
			},
		})
	})
}

// listedAs applies events to a row of the list for staff.
func listedAs(t *rapid.T, r row, facts ...events.Payload) row {
	for _, fact := range facts {
		var err error
		if r, err = r.apply(events.Event{ID: "e", Type: fact.EventType(), Time: start, Payload: fact}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}
