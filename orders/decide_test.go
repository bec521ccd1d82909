package orders

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tillstream/events"
)

var (
	start    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	deadline = start.Add(30 * time.Minute)
	tenPound = events.Money{Amount: 1000, Currency: "GBP"}
)

func placed() events.OrderPlaced {
	return events.OrderPlaced{OrderID: "o1", Number: "AAAAA-BBBBB", Customer: events.Customer{Email: "a@example.com", Name: "A", Locale: "en"},
		Lines: []events.OrderLine{{SKU: "MUG", Title: "Mug", Quantity: 1, UnitPrice: tenPound, Total: tenPound}},
		Total: tenPound, Subtotal: tenPound, ExpiresAt: deadline, RequestHash: "h"}
}

// fold applies events whose ids are "e<n>" from n on, so the placement is e1.
func fold(t interface{ Fatal(...any) }, o Order, n int, facts ...events.Payload) Order {
	for i, fact := range facts {
		var err error
		if o, err = o.Apply(events.Event{ID: fmt.Sprintf("e%d", n+i), Type: fact.EventType(), Time: start, Payload: fact}); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// states returns an order in every state, by name.
func states(t *testing.T) map[string]Order {
	out := func() events.OrderOutcome { return events.OrderOutcome{OrderID: "o1"} }
	base := fold(t, Order{}, 1, placed())
	waiting := fold(t, base, 2, events.OrderAwaitingPayment{})
	expired := fold(t, waiting, 3, events.OrderExpired{OrderOutcome: out()})
	late := fold(t, expired, 4, events.OrderPaidLate{})
	return map[string]Order{
		"none": {}, "placed": base, "awaiting": waiting, "expired": expired, "late": late,
		"late captured": fold(t, expired, 4, events.OrderPaidLate{Captured: true}),
		"capturing":     fold(t, waiting, 3, events.OrderPaymentAccepted{}),
		"confirmed":     fold(t, waiting, 3, events.OrderConfirmed{}),
		"rejected":      fold(t, base, 2, events.OrderRejected{Reason: events.RejectedNoStock}),
		"cancelled":     fold(t, waiting, 3, events.OrderCancelled{Reason: events.CancelRequested}),
	}
}

func TestDecisionOfEveryEventInEveryState(t *testing.T) {
	t.Parallel()
	decisions := map[string]func(Order) []events.Payload{
		"held":             func(o Order) []events.Payload { return o.ReservationHeld(o.HoldCause) },
		"held, old":        func(o Order) []events.Payload { return o.ReservationHeld("older") },
		"refused":          func(o Order) []events.Payload { return o.ReservationRefused(o.HoldCause, nil) },
		"refused, old":     func(o Order) []events.Payload { return o.ReservationRefused("older", nil) },
		"authorized":       func(o Order) []events.Payload { return o.PaymentAuthorized(events.CaptureAtConfirmation) },
		"captured":         func(o Order) []events.Payload { return o.PaymentCaptured(tenPound, false) },
		"intent cancelled": func(o Order) []events.Payload { return o.PaymentCancelled("abandoned") },
		"declined":         func(o Order) []events.Payload { return o.PaymentCancelled(events.CancelDeclinedTooOften) },
		"payment failed":   Order.PaymentFailed,
		"early":            func(o Order) []events.Payload { return o.Expire(deadline.Add(-time.Second)) },
		"due":              func(o Order) []events.Payload { return o.Expire(deadline) },
		"refunded":         func(o Order) []events.Payload { return o.PaymentRefunded("r1", tenPound) },
	}
	const (
		rejected, cancelled, accepted, confirmed = "orders.rejected", "orders.cancelled", "orders.payment_accepted", "orders.confirmed"
		late, expired, awaiting, refunded        = "orders.paid_late", "orders.expired", "orders.awaiting_payment", "orders.refunded"
	)
	want := map[string]map[string]string{ // pairs that are not listed decide no event
		"placed":        {"held": awaiting, "refused": rejected, "payment failed": rejected, "due": expired, "refunded": refunded},
		"awaiting":      {"authorized": accepted, "captured": confirmed, "intent cancelled": cancelled, "declined": cancelled, "payment failed": rejected, "due": expired, "refunded": refunded},
		"expired":       {"authorized": late, "captured": late, "refunded": refunded},
		"late":          {"held": accepted, "refused": rejected, "captured": late, "intent cancelled": cancelled, "declined": cancelled, "refunded": refunded},
		"late captured": {"held": confirmed, "refused": rejected, "intent cancelled": cancelled, "declined": cancelled, "refunded": refunded},
		"capturing":     {"captured": confirmed, "intent cancelled": cancelled, "declined": cancelled, "refunded": refunded},
		"confirmed":     {"refunded": refunded},
		"rejected":      {"refunded": refunded},
		"cancelled":     {"refunded": refunded},
	}
	for state, order := range states(t) {
		for name, decide := range decisions {
			facts := decide(order)
			got := ""
			if len(facts) > 0 {
				got = facts[0].EventType()
			}
			if got != want[state][name] || len(facts) > 1 {
				t.Errorf("%s, %s: got %q, want %q", state, name, got, want[state][name])
			}
		}
	}
}

// Only an order that waited for its payment was cancelled because of declined cards.
func TestDeclinedTooOftenIsTheReasonOfAnUnpaidOrder(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{"awaiting": events.CancelDeclinedTooOften, "capturing": events.CancelPaymentCancelled, "late": events.CancelPaymentCancelled} {
		facts := states(t)[state].PaymentCancelled(events.CancelDeclinedTooOften)
		if got := facts[0].(events.OrderCancelled).Reason; got != want {
			t.Errorf("%s: got reason %q, want %q", state, got, want)
		}
	}
}

// Row 72 of the fault matrix: the end of a guest's order says whether anything was authorized. Nothing is mailed if not.
func TestTheEndOfAnOrderNamesUnpaidGuests(t *testing.T) {
	t.Parallel()
	decisions := []func(Order) []events.Payload{
		func(o Order) []events.Payload { return o.ReservationRefused(o.HoldCause, nil) },
		func(o Order) []events.Payload { return o.PaymentCancelled("") },
		Order.PaymentFailed,
		func(o Order) []events.Payload { return o.Expire(deadline) },
		func(o Order) []events.Payload { f, _ := o.Cancel(false); return f },
		func(o Order) []events.Payload { return o.PaymentRefunded("r1", tenPound) },
	}
	for state, order := range states(t) {
		for _, customer := range []string{"", "c1"} {
			order.CustomerID = customer
			unpaid := state == "placed" || state == "awaiting"
			for _, decide := range decisions {
				for _, fact := range decide(order) {
					outcome, ends := outcomeOf(fact)
					if want := ends && unpaid && customer == ""; outcome.UnpaidGuest != want {
						t.Errorf("%s of customer %q, %s: got unpaid guest %t, want %t", fact.EventType(), customer, state, outcome.UnpaidGuest, want)
					}
				}
			}
		}
	}
}

// outcomeOf returns the outcome of an event, and whether the event ends an order that is not confirmed.
func outcomeOf(fact events.Payload) (outcome events.OrderOutcome, ends bool) {
	switch p := fact.(type) {
	case events.OrderRejected:
		return p.OrderOutcome, true
	case events.OrderExpired:
		return p.OrderOutcome, true
	case events.OrderCancelled:
		return p.OrderOutcome, true
	case events.OrderRefunded:
		return p.OrderOutcome, false
	}
	return events.OrderOutcome{}, false
}

// The timer reads exactly the events after which an order no longer waits for its payment, and ends the deadline with them; besides those
// that change the deadline.
func TestTheTimerReadsTheEventsThatEndTheWait(t *testing.T) {
	t.Parallel()
	timer := (&Service{}).deadlines()
	waits := func(o Order) bool { return o.Status == Placed || o.Status == AwaitingPayment }
	for state, order := range states(t) {
		if !waits(order) {
			continue
		}
		for _, d := range events.Definitions() {
			e := events.Event{ID: "e9", Type: d.Type, Time: start, Subject: events.PrefixOrder + "o1", Payload: d.Zero}
			after, err := order.Apply(e)
			if err != nil {
				continue // cannot follow
			}
			read := slices.ContainsFunc(timer.Types, func(p events.Payload) bool { return p.EventType() == d.Type })
			if d.Type == (events.OrderDeadlineChanged{}).EventType() {
				continue
			}
			if read == waits(after) {
				t.Errorf("%s, %s leads to %s: got read %t, want %t", state, d.Type, after.Status, read, !waits(after))
			}
			if id, at := timer.At(e); id != "o1" || !at.IsZero() {
				t.Errorf("%s: got deadline %s of %q, want none of o1", d.Type, at, id)
			}
		}
	}
	if id, at := timer.At(events.Event{Subject: events.PrefixOrder + "o1", Payload: placed()}); id != "o1" || !at.Equal(deadline) {
		t.Errorf("placed: got deadline %s of %q, want %s of o1", at, id, deadline)
	}
}

func TestOnlyUnpaidOrdersCanBeCancelled(t *testing.T) {
	t.Parallel()
	want := map[string]string{"placed": "cancels", "awaiting": "cancels", "cancelled": "nothing"}
	for state, order := range states(t) {
		facts, err := order.Cancel(false)
		got := "refuses"
		if err == nil {
			got = map[bool]string{true: "nothing", false: "cancels"}[len(facts) == 0]
		} else if !errors.Is(err, ErrNotCancellable) {
			t.Errorf("%s: got %v, want ErrNotCancellable", state, err)
		}
		w, listed := want[state]
		if !listed {
			w = "refuses"
		}
		if got != w {
			t.Errorf("%s: got %s, want %s", state, got, w)
		}
	}
}

func TestARefundCountsOnceAndLeavesAConfirmedOrderConfirmed(t *testing.T) {
	t.Parallel()
	o := states(t)["confirmed"]
	half := events.Money{Amount: 500, Currency: "GBP"}
	o = fold(t, o, 10, o.PaymentRefunded("r1", half)...)
	if o.Status != Confirmed || o.Payment != PartlyRefunded {
		t.Errorf("after half: got %s, %s; want confirmed, partly_refunded", o.Status, o.Payment)
	}
	if facts := o.PaymentRefunded("r1", half); facts != nil {
		t.Errorf("the same refund again: got %v, want no event", facts)
	}
	o = fold(t, o, 11, o.PaymentRefunded("r2", half)...)
	if o.Status != Confirmed || o.Payment != Refunded || o.RefundedTotal() != tenPound {
		t.Errorf("after both halves: got %s, %s, %s; want confirmed, refunded, %s", o.Status, o.Payment, o.RefundedTotal(), tenPound)
	}
}

// Row 30 of the fault matrix: staff capture a late payment by hand and refund it before inventory has answered. A shopper who
// was refunded in full gets no goods.
func TestAnOrderRefundedBeforeItsStockIsHeldIsCancelled(t *testing.T) {
	t.Parallel()
	late := states(t)["late captured"]
	o := fold(t, late, 10, late.PaymentRefunded("r1", tenPound)...)
	o = fold(t, o, 11, o.ReservationHeld(o.HoldCause)...)
	if o.Status != Cancelled || o.Reason != events.CancelRefunded || o.Payment != Refunded {
		t.Errorf("refunded in full, then held: got %s, %q, %s; want cancelled, %q, refunded", o.Status, o.Reason, o.Payment, events.CancelRefunded)
	}
	o = fold(t, late, 10, late.PaymentRefunded("r1", events.Money{Amount: 400, Currency: "GBP"})...)
	o = fold(t, o, 11, o.ReservationHeld(o.HoldCause)...)
	if o.Status != Confirmed || o.Payment != PartlyRefunded {
		t.Errorf("refunded in part, then held: got %s, %s; want confirmed, partly_refunded", o.Status, o.Payment)
	}
}

// In any sequence of events, every decided event can be applied, the same event again decides nothing, and an order that has
// ended does not change its status.
func TestAnySequenceOfEventsKeepsTheInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := fold(t, Order{}, 0, placed())
		now := start
		for i := range 40 {
			decide := rapid.SampledFrom([]func(Order) []events.Payload{
				func(o Order) []events.Payload { return o.ReservationHeld(o.HoldCause) },
				func(o Order) []events.Payload { return o.ReservationHeld("older") },
				func(o Order) []events.Payload { return o.ReservationRefused(o.HoldCause, nil) },
				func(o Order) []events.Payload { return o.PaymentAuthorized(events.CaptureAtConfirmation) },
				func(o Order) []events.Payload { return o.PaymentCaptured(o.Total, false) }, func(o Order) []events.Payload { return o.PaymentCancelled("") }, Order.PaymentFailed,
				func(o Order) []events.Payload { return o.Expire(now) },
				func(o Order) []events.Payload { f, _ := o.Cancel(false); return f },
			}).Draw(t, "decision")
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
			before := o
			o = fold(t, o, 1+i, decide(o)...)
			if again := decide(o); len(again) > 0 && before.Status == o.Status {
				t.Fatalf("the same event again in status %s: got %s, want no event", o.Status, again[0].EventType())
			}
			ended := []Status{Confirmed, Rejected, Cancelled}
			if slices.Contains(ended, before.Status) && before.Status != o.Status {
				t.Fatalf("status after %s: got %s, want it unchanged", before.Status, o.Status)
			}
		}
	})
}

func priceOf(sku string) (Priced, bool) {
	items := map[string]Priced{
		"MUG":  {Title: "Mug", Price: events.Money{Amount: 1250, Currency: "GBP"}},
		"CUP":  {Title: "Cup", Price: events.Money{Amount: 99, Currency: "GBP"}},
		"EURO": {Title: "Euro cup", Price: events.Money{Amount: 99, Currency: "EUR"}},
		"MOON": {Title: "The moon", Price: events.Money{Amount: 1 << 60, Currency: "GBP"}},
	}
	item, ok := items[sku]
	return item, ok
}

func TestPriceAddsUpLinesAndShipping(t *testing.T) {
	t.Parallel()
	lines := []events.ReservedLine{{SKU: "MUG", Quantity: 2}, {SKU: "CUP", Quantity: 3}}
	got, err := Price("o1", Placement{Lines: lines}, "h", priceOf, Terms{Shipping: ShippingFees{"GBP": 350}, HoldFor: time.Hour}, start)
	if err != nil {
		t.Fatal(err)
	}
	gbp := func(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }
	want := []events.Money{gbp(2797), gbp(350), gbp(0), gbp(3147)}
	if diff := cmp.Diff(want, []events.Money{got.Subtotal, got.Shipping, got.Tax, got.Total}); diff != "" {
		t.Errorf("subtotal, shipping, tax, total (-want +got):\n%s", diff)
	}
	if !got.ExpiresAt.Equal(start.Add(time.Hour)) || got.Number != NumberFor("o1") {
		t.Errorf("got expiry %s, number %s; want %s, %s", got.ExpiresAt, got.Number, start.Add(time.Hour), NumberFor("o1"))
	}
}

func TestPriceRefusesUnknownItemsMixedCurrenciesAndOverflow(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]events.ReservedLine{
		"unknown item":     {{SKU: "NONE", Quantity: 1}},
		"mixed currencies": {{SKU: "MUG", Quantity: 1}, {SKU: "EURO", Quantity: 1}},
		"line overflow":    {{SKU: "MOON", Quantity: 100}},
		"sum overflow":     {{SKU: "MOON", Quantity: 7}, {SKU: "MUG", Quantity: 1 << 57}},
	} {
		var invalid *events.InvalidError
		if _, err := Price("o1", Placement{Lines: lines}, "h", priceOf, Terms{HoldFor: time.Hour}, start); !errors.As(err, &invalid) {
			t.Errorf("%s: got %v, want an InvalidError", name, err)
		}
	}
}

// The API documents every status of an order, as a filter and in its answers.
func TestTheAPIDocumentsEveryStatus(t *testing.T) {
	t.Parallel()
	for _, body := range []any{listInput{}, OrderBody{}} {
		field, found := reflect.TypeOf(body).FieldByName("Status")
		if !found {
			t.Fatalf("%T: got no field Status, want one", body)
		}
		var named []Status
		for _, name := range strings.Split(field.Tag.Get("enum"), ",") {
			named = append(named, Status(name))
		}
		slices.Sort(named)
		if want := Statuses(); !slices.Equal(named, want) {
			t.Errorf("%T: got %v, want %v", body, named, want)
		}
	}
}
