package orders

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tillstream/events"
)

func gbp(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }

// paid are the events of an order of three mugs and two cups with delivery, 43.50 in all.
func paid() []events.Payload {
	o := placed()
	o.Lines = []events.OrderLine{{SKU: "MUG", Title: "Mug", Quantity: 3, UnitPrice: gbp(1000), Total: gbp(3000)}, {SKU: "CUP", Title: "Cup", Quantity: 2, UnitPrice: gbp(500), Total: gbp(1000)}}
	o.Subtotal, o.Shipping, o.Total = gbp(4000), gbp(350), gbp(4350)
	return []events.Payload{o, events.OrderAwaitingPayment{}, events.OrderConfirmed{}}
}

// paidOrder is the order of paid after more events.
func paidOrder(t interface{ Fatal(...any) }, more ...events.Payload) Order {
	return fold(t, Order{}, 1, append(paid(), more...)...)
}

func sentMugs(units int64) events.Payload {
	return events.OrderFulfilmentCreated{FulfilmentID: "f1", Lines: []events.ReservedLine{{SKU: "MUG", Quantity: units}}}
}

func refundOf(id string, amount int64, lines ...events.RefundLine) events.OrderRefundRequested {
	return events.OrderRefundRequested{RefundID: id, Amount: gbp(amount), Lines: lines}
}

// Row 48 of the fault matrix: more than what was captured, more units than are left, and units that were sent are refused.
func TestARefundStaysWithinWhatIsLeft(t *testing.T) {
	t.Parallel()
	line := func(sku string, quantity, restock int64) []events.RefundLine {
		return []events.RefundLine{{SKU: sku, Quantity: quantity, Restock: restock}}
	}
	for name, tc := range map[string]struct {
		before []events.Payload
		ask    RefundRequest
		amount int64  // 0: refused
		field  string // of the refusal
	}{
		"Full":                   {nil, RefundRequest{Full: true}, 4350, ""},
		"FullAfterPart":          {[]events.Payload{refundOf("r0", 4000)}, RefundRequest{Full: true}, 350, ""},
		"Part":                   {nil, RefundRequest{Amount: gbp(1)}, 1, ""},
		"MoreThanCaptured":       {nil, RefundRequest{Amount: gbp(4351)}, 0, "amount"},
		"MoreThanLeft":           {[]events.Payload{refundOf("r0", 4000)}, RefundRequest{Amount: gbp(351)}, 0, "amount"},
		"AfterAFailedOne":        {[]events.Payload{refundOf("r0", 4000), events.OrderRefundFailed{RefundID: "r0", Amount: gbp(4000)}}, RefundRequest{Amount: gbp(4350)}, 4350, ""},
		"MoreThanPartCaptured":   {[]events.Payload{events.OrderPaymentCaptured{Amount: gbp(1000)}}, RefundRequest{Amount: gbp(1001)}, 0, "amount"},
		"Nothing":                {nil, RefundRequest{}, 0, "amount"},
		"OtherCurrency":          {nil, RefundRequest{Amount: events.Money{Amount: 1, Currency: "EUR"}}, 0, "amount"},
		"Lines":                  {nil, RefundRequest{Lines: line("MUG", 3, 3)}, 3000, ""},
		"LinesAndDelivery":       {nil, RefundRequest{Lines: line("MUG", 1, 0), Shipping: gbp(350)}, 1350, ""},
		"MoreDelivery":           {nil, RefundRequest{Shipping: gbp(351)}, 0, "shipping"},
		"LinesAndMore":           {nil, RefundRequest{Lines: line("MUG", 1, 0), Amount: gbp(1200)}, 1200, ""},
		"LessThanTheLines":       {nil, RefundRequest{Lines: line("MUG", 1, 0), Amount: gbp(900)}, 0, "amount"},
		"LineOfOtherAmount":      {nil, RefundRequest{Lines: []events.RefundLine{{SKU: "MUG", Quantity: 1, Amount: gbp(900)}}}, 900, ""},
		"MoreUnitsThanOrdered":   {nil, RefundRequest{Lines: line("MUG", 4, 0)}, 0, "lines[0].quantity"},
		"MoreUnitsThanLeft":      {[]events.Payload{refundOf("r0", 2000, line("MUG", 2, 0)...)}, RefundRequest{Lines: line("MUG", 2, 0)}, 0, "lines[0].quantity"},
		"NotOrdered":             {nil, RefundRequest{Lines: line("HAT", 1, 0)}, 0, "lines[0].sku"},
		"NamedTwice":             {nil, RefundRequest{Lines: append(line("MUG", 1, 0), line("MUG", 1, 0)...)}, 0, "lines[1].sku"},
		"RestockOfUnsent":        {[]events.Payload{sentMugs(2)}, RefundRequest{Lines: line("MUG", 3, 1)}, 3000, ""},
		"RestockOfSent":          {[]events.Payload{sentMugs(2)}, RefundRequest{Lines: line("MUG", 3, 2)}, 0, "lines[0].restock"},
		"RestockMoreThanRefund":  {nil, RefundRequest{Lines: line("MUG", 1, 2)}, 0, "lines[0].restock"},
		"RestockedByAFailedOne":  {[]events.Payload{refundOf("r0", 3000, events.RefundLine{SKU: "MUG", Quantity: 3, Unsent: 3, Restock: 3}), events.OrderRefundFailed{RefundID: "r0", Amount: gbp(3000)}}, RefundRequest{Lines: line("MUG", 3, 1)}, 0, "lines[0].restock"},
		"CancelledByALastParcel": {[]events.Payload{events.OrderFulfilmentCreated{FulfilmentID: "f1", Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 2}}, Final: true, Cancelled: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}}}, RefundRequest{Lines: line("MUG", 3, 0)}, 0, "lines[0].quantity"},
	} {
		o := paidOrder(t, tc.before...)
		tc.ask.ID, tc.ask.Seen = "r1", o.Refundable()
		facts, err := o.RequestRefund(tc.ask)
		var invalid *events.InvalidError
		switch {
		case tc.field != "":
			if !errors.As(err, &invalid) || invalid.Faults[0].Field != tc.field {
				t.Errorf("%s: got %v, want a fault of %s", name, err, tc.field)
			}
		case err != nil || len(facts) != 1 || facts[0].(events.OrderRefundRequested).Amount != gbp(tc.amount):
			t.Errorf("%s: got %v, %v; want a refund of %d", name, facts, err, tc.amount)
		}
	}
}

// A refund of everything returns what is not sent to stock, and nothing is left to send.
func TestAFullRefundReturnsUnsentGoodsToStock(t *testing.T) {
	t.Parallel()
	o := paidOrder(t, sentMugs(2))
	facts, err := o.RequestRefund(RefundRequest{ID: "r1", Full: true, Seen: gbp(4350)})
	if err != nil {
		t.Fatal(err)
	}
	want := []events.RefundLine{{SKU: "MUG", Quantity: 3, Amount: gbp(3000), Unsent: 1, Restock: 1}, {SKU: "CUP", Quantity: 2, Amount: gbp(1000), Unsent: 2, Restock: 2}}
	requested := facts[0].(events.OrderRefundRequested)
	if diff := cmp.Diff(want, requested.Lines); diff != "" || requested.Shipping != gbp(350) {
		t.Errorf("lines, and delivery %s (-want +got):\n%s", requested.Shipping, diff)
	}
	o = fold(t, o, 10, facts...)
	if left := o.Unsent(); left["MUG"]+left["CUP"] != 0 || o.Fulfilment != Fulfilled {
		t.Errorf("got %v unsent, %s; want none, fulfilled", left, o.Fulfilment)
	}
	o = fold(t, o, 11, o.PaymentRefundFailed("r1", gbp(4350), "lost_or_stolen_card")...)
	if left := o.Unsent(); left["MUG"]+left["CUP"] != 0 {
		t.Errorf("after the refund failed: got %v unsent, want none: the goods are back in stock", left)
	}
}

// Row 47 of the fault matrix: the second click makes no refund; another request under the same key is refused, and so is one of an
// operator who does not know the first refund.
func TestTheSameRefundIsMadeOnce(t *testing.T) {
	t.Parallel()
	o := paidOrder(t)
	ask := RefundRequest{ID: "r1", Hash: "h", Seen: gbp(4350), Amount: gbp(1000)}
	facts, err := o.RequestRefund(ask)
	if err != nil {
		t.Fatal(err)
	}
	o = fold(t, o, 10, facts...)
	if again, err := o.RequestRefund(ask); err != nil || again != nil {
		t.Errorf("again: got %v, %v; want no event", again, err)
	}
	other := ask
	other.Hash = "another"
	if _, err := o.RequestRefund(other); !errors.Is(err, ErrRefundKeyReused) {
		t.Errorf("another request under the same key: got %v, want %v", err, ErrRefundKeyReused)
	}
	second := ask
	second.ID = "r2"
	var changed *RefundableChangedError
	if _, err := o.RequestRefund(second); !errors.As(err, &changed) || changed.Now != gbp(3350) {
		t.Errorf("another operator: got %v, want that 33.50 GBP is left", err)
	}
}

// Row 49 of the fault matrix: the money of a refund that failed after it succeeded can be refunded again, once.
func TestAFailedRefundIsReplacedOnce(t *testing.T) {
	t.Parallel()
	o := paidOrder(t, refundOf("r1", 1000, events.RefundLine{SKU: "MUG", Quantity: 1, Amount: gbp(1000), Unsent: 1, Restock: 1}))
	o = fold(t, o, 10, o.PaymentRefunded("r1", gbp(1000))...)
	o = fold(t, o, 11, o.PaymentRefundFailed("r1", gbp(1000), "expired_or_canceled_card")...)
	if failed, _ := o.Refund("r1"); failed.State != RefundFailed || failed.Failure != "expired_or_canceled_card" || o.Payment != Paid || o.Refundable() != gbp(4350) {
		t.Fatalf("got %+v, %s, %s; want failed, paid, 43.50 GBP", failed, o.Payment, o.Refundable())
	}
	if again := o.PaymentRefundFailed("r1", gbp(1000), "again"); again != nil {
		t.Errorf("failed again: got %v, want no event", again)
	}
	if late := o.PaymentRefunded("r1", gbp(1000)); late != nil {
		t.Errorf("an old report of success: got %v, want no event", late)
	}
	facts, err := o.RequestRefund(RefundRequest{ID: "r2", Replaces: "r1", Seen: gbp(4350)})
	if err != nil {
		t.Fatal(err)
	}
	if got := facts[0].(events.OrderRefundRequested); got.Amount != gbp(1000) || len(got.Lines) != 1 || got.Lines[0].Restock != 0 {
		t.Errorf("got %+v, want the same refund without restocking again", got)
	}
	o = fold(t, o, 12, facts...)
	if _, err := o.RequestRefund(RefundRequest{ID: "r3", Replaces: "r1", Seen: gbp(3350)}); !errors.Is(err, ErrNotFailed) {
		t.Errorf("replaced a second time: got %v, want %v", err, ErrNotFailed)
	}
}

func TestOnlyCapturedMoneyIsRefunded(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Order{
		"awaiting payment": states(t)["awaiting"],
		"only authorized":  fold(t, states(t)["awaiting"], 3, events.OrderConfirmed{Authorized: true}),
	} {
		if _, err := o.RequestRefund(RefundRequest{ID: "r1", Full: true, Seen: o.Refundable()}); !errors.Is(err, ErrNothingCaptured) {
			t.Errorf("%s: got %v, want %v", name, err, ErrNothingCaptured)
		}
	}
	disputed := paidOrder(t, events.OrderDisputed{Dispute: "dp_1", Status: events.DisputeNeedsResponse, Amount: gbp(4350)})
	if _, err := disputed.RequestRefund(RefundRequest{ID: "r1", Full: true, Seen: disputed.Refundable()}); !errors.Is(err, ErrChargedBack) {
		t.Errorf("disputed: got %v, want %v", err, ErrChargedBack)
	}
	if err := paidOrder(t).refundBlocked(); err != nil {
		t.Errorf("paid: got %v, want none", err)
	}
}

// Row 48 of the fault matrix: in any sequence of refunds, parcels, results and refunds in Stripe's dashboard, no more money than captured is refunded, no more
// units than ordered are sent or restocked, and the list of orders shows the same statuses as the order.
func TestRefundsNeverExceedTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o, listed, n := Order{}, row{}, 1
		follow := func(facts ...events.Payload) {
			o, n = fold(t, o, n, facts...), n+len(facts)
			for _, fact := range facts {
				var err error
				if listed, err = listed.apply(events.Event{Type: fact.EventType(), Time: start, Payload: fact}); err != nil {
					t.Fatal(err)
				}
			}
		}
		follow(paid()...)
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"refund", "send", "result", "dashboard"}).Draw(t, "step") {
			case "refund":
				facts, _ := o.RequestRefund(drawRefund(t, o, n))
				follow(facts...)
			case "send":
				if sku := rapid.SampledFrom([]string{"MUG", "CUP"}).Draw(t, "sku"); o.Unsent()[sku] > 0 {
					follow(events.OrderFulfilmentCreated{FulfilmentID: fmt.Sprint(n), Lines: []events.ReservedLine{{SKU: sku, Quantity: rapid.Int64Range(1, o.Unsent()[sku]).Draw(t, "sent")}}})
				}
			case "dashboard":
				if left := o.Refundable().Amount; left > 0 {
					follow(o.RefundStarted(fmt.Sprint("re_", n), gbp(rapid.Int64Range(1, left).Draw(t, "amount")), "")...)
				}
			case "result":
				if len(o.Refunds) > 0 {
					r := rapid.SampledFrom(o.Refunds).Draw(t, "which")
					if facts := o.PaymentRefunded(r.ID, r.Amount); rapid.Bool().Draw(t, "succeeded") {
						follow(facts...)
					} else {
						follow(o.PaymentRefundFailed(r.ID, r.Amount, "test")...)
					}
				}
			}
			checkRefunds(t, o)
			if listed.payment != o.Payment || listed.fulfilment != o.Fulfilment {
				t.Fatalf("list: got %s, %s; want %s, %s", listed.payment, listed.fulfilment, o.Payment, o.Fulfilment)
			}
		}
	})
}

func drawRefund(t *rapid.T, o Order, n int) RefundRequest {
	r := RefundRequest{ID: fmt.Sprint("r", n), Hash: fmt.Sprint(n), Seen: o.Refundable(), Full: rapid.Bool().Draw(t, "full")}
	if r.Full {
		return r
	}
	for _, sku := range []string{"MUG", "CUP"} {
		if units := rapid.Int64Range(0, 3).Draw(t, sku); units > 0 {
			r.Lines = append(r.Lines, events.RefundLine{SKU: sku, Quantity: units, Restock: rapid.Int64Range(0, units).Draw(t, "restock")})
		}
	}
	return r
}

func checkRefunds(t *rapid.T, o Order) {
	if refunds := o.sumRefunds(func(r Refund) bool { return r.State != RefundFailed }); refunds.Amount > o.Taken.Amount {
		t.Fatalf("refunds: got %s, want at most %s", refunds, o.Taken)
	}
	gone := map[string]int64{} // sent or back in stock
	for _, f := range o.Fulfilments {
		for _, l := range f.Lines {
			gone[l.SKU] += l.Quantity
		}
	}
	for _, r := range o.Refunds {
		for _, l := range r.Lines {
			gone[l.SKU] += l.Restock
		}
	}
	for _, l := range o.Lines {
		if gone[l.SKU] > l.Quantity || o.Unsent()[l.SKU] < 0 {
			t.Fatalf("%s: got %d sent or restocked and %d unsent of %d", l.SKU, gone[l.SKU], o.Unsent()[l.SKU], l.Quantity)
		}
	}
}
