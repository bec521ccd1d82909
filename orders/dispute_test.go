package orders

import (
	"testing"
	"time"

	"tillstream/events"
)

// Row 51 of the fault matrix: while a dispute is open or lost, the order is disputed and nothing is sent; a won one changes nothing in
// the end. A repeated report and an older one add nothing.
func TestDisputeHoldsTheOrder(t *testing.T) {
	t.Parallel()
	due := start.Add(7 * 24 * time.Hour)
	type report struct {
		status string
		due    time.Time
		minute int // when payments recorded it
	}
	const disputed, closed = "orders.disputed", "orders.dispute_closed"
	for name, tc := range map[string]struct {
		before  []report
		now     report
		want    string // type of the event; "" for none
		payment PaymentStatus
		held    bool
	}{
		"Inquiry":       {nil, report{events.DisputeWarningNeedsResponse, due, 1}, disputed, Disputed, true},
		"InquiryClosed": {[]report{{events.DisputeWarningNeedsResponse, due, 1}}, report{events.DisputeWarningClosed, due, 2}, closed, Paid, false},
		"Escalated":     {[]report{{events.DisputeWarningClosed, due, 1}}, report{events.DisputeNeedsResponse, due, 2}, disputed, Disputed, true},
		"Opened":        {nil, report{events.DisputeNeedsResponse, due, 1}, disputed, Disputed, true},
		"OnlyMoney":     {[]report{{events.DisputeNeedsResponse, due, 1}}, report{events.DisputeNeedsResponse, due, 2}, "", Disputed, true},
		"MoreTime":      {[]report{{events.DisputeNeedsResponse, due, 1}}, report{events.DisputeNeedsResponse, due.Add(time.Hour), 2}, disputed, Disputed, true},
		"Answered":      {[]report{{events.DisputeNeedsResponse, due, 1}}, report{events.DisputeUnderReview, due, 2}, disputed, Disputed, true},
		"Won":           {[]report{{events.DisputeUnderReview, due, 1}}, report{events.DisputeWon, due, 2}, closed, Paid, false},
		"Lost":          {[]report{{events.DisputeUnderReview, due, 1}}, report{events.DisputeLost, due, 2}, closed, Disputed, true},
		"LostAtOnce":    {nil, report{events.DisputeLost, due, 1}, closed, Disputed, true},
		"LostAgain":     {[]report{{events.DisputeLost, due, 1}}, report{events.DisputeLost, due, 2}, "", Disputed, true},
		"Redelivered":   {[]report{{events.DisputeNeedsResponse, due, 1}, {events.DisputeWon, due, 2}}, report{events.DisputeNeedsResponse, due, 1}, "", Paid, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := states(t)["confirmed"]
			decide := func(r report) []events.Payload {
				p := events.PaymentDisputeUpdated{OrderID: o.ID, Dispute: "dp_1", Status: r.status, Reason: "fraudulent", Amount: tenPound, EvidenceDue: r.due}
				return o.DisputeUpdated(p, start.Add(time.Duration(r.minute)*time.Minute))
			}
			for _, r := range tc.before {
				o = fold(t, o, 4, decide(r)...)
			}
			facts := decide(tc.now)
			got := ""
			if len(facts) == 1 {
				got = facts[0].EventType()
			}
			o = fold(t, o, 9, facts...)
			if got != tc.want || o.Payment != tc.payment || o.Held() != tc.held {
				t.Errorf("got %q, payment %s, held %t; want %q, %s, %t", got, o.Payment, o.Held(), tc.want, tc.payment, tc.held)
			}
		})
	}
}

// The list keeps the payment status of a disputed order when other events follow.
func TestListKeepsTheDispute(t *testing.T) {
	t.Parallel()
	r := row{}
	var err error
	for i, fact := range []events.Payload{placed(), events.OrderAwaitingPayment{}, events.OrderConfirmed{}, events.OrderDisputed{Dispute: "dp_1", Status: events.DisputeNeedsResponse},
		events.OrderRefunded{RefundID: "r1", Amount: events.Money{Amount: 1, Currency: "GBP"}}} {
		if r, err = r.apply(events.Event{ID: string(rune('a' + i)), Type: fact.EventType(), Time: start, Payload: fact}); err != nil {
			t.Fatal(err)
		}
	}
	if r.payment != Disputed {
		t.Errorf("payment status in the list: got %s, want %s", r.payment, Disputed)
	}
}
