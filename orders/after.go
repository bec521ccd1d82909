package orders

import (
	"fmt"
	"slices"
	"time"

	"tillstream/events"
)

// The functions of this file fold the events that do not change the status of an order: about its deadline, deliveries, refunds and
// disputes.

// refundable are the states in which a payment may have been captured and can be refunded.
var refundable = []Status{Confirmed, Rejected, Cancelled, Expired, PaidLate}

// RefundState is the state of a refund.
type RefundState string

// The states of a refund. One that succeeded can still fail: a bank can return the money days later.
const (
	RefundRequested RefundState = "requested"
	RefundSucceeded RefundState = "succeeded"
	RefundFailed    RefundState = "failed"
)

// Refund is an amount that goes back to the shopper.
type Refund struct {
	ID       string              `json:"id"`
	Amount   events.Money        `json:"amount"`
	State    RefundState         `json:"state"`
	Lines    []events.RefundLine `json:"lines,omitempty"`
	Shipping events.Money        `json:"shipping,omitzero"`
	Reason   string              `json:"reason,omitempty"`   // why it was requested
	Failure  string              `json:"failure,omitempty"`  // why it failed
	Replaces string              `json:"replaces,omitempty"` // the failed refund that it makes good

	RequestedAt time.Time `json:"requested_at,omitzero"`
	RequestedBy string    `json:"requested_by,omitempty"` // the actor
	RequestHash string    `json:"request_hash,omitempty"`
}

// Dispute is a payment that the shopper's bank disputes.
type Dispute struct {
	ID          string       `json:"id"`
	Status      string       `json:"status"` // one of the Dispute constants of package events
	Reason      string       `json:"reason"`
	Amount      events.Money `json:"amount"`
	EvidenceDue time.Time    `json:"evidence_due,omitzero"`
	ReportedAt  time.Time    `json:"reported_at,omitzero"` // when payments recorded it
}

// Holds reports whether nothing may be sent because of the dispute.
func (d Dispute) Holds() bool {
	return d.Status != events.DisputeWon && d.Status != events.DisputeWarningClosed
}

// applyAfter folds an event that does not change the status of the order.
func (o Order) applyAfter(e events.Event) (next Order, err error) {
	switch p := e.Payload.(type) {
	case events.OrderDeadlineChanged:
		o = o.changeDeadline(p, e.CausationID)
	case events.OrderPaymentCaptured:
		o = o.take(true, p.Amount)
		o.TakesMore = p.More
	case events.OrderAuthorizationLost:
		o.TakesMore, o.Released = false, p.Released
		o.Lost = &Lost{Lines: p.Lines, Unpaid: p.Unpaid}
	case events.OrderFulfilmentCreated:
		o.Released = p.Released
		o.Fulfilments = append(slices.Clip(o.Fulfilments), newFulfilment(p, e.Time))
	case events.OrderRefundRequested:
		o, err = o.setRefund(Refund{ID: p.RefundID, Amount: p.Amount, State: RefundRequested, Lines: p.Lines, Shipping: p.Shipping, Reason: p.Reason,
			Replaces: p.Replaces, RequestedAt: e.Time, RequestedBy: e.Actor, RequestHash: p.RequestHash})
	case events.OrderRefunded:
		o, err = o.endRefund(p.RefundID, p.Amount, RefundSucceeded, "")
	case events.OrderRefundFailed:
		o, err = o.endRefund(p.RefundID, p.Amount, RefundFailed, p.Reason)
	case events.OrderDisputed:
		o = o.setDispute(Dispute{ID: p.Dispute, Status: p.Status, Reason: p.Reason, Amount: p.Amount, EvidenceDue: p.EvidenceDue, ReportedAt: p.ReportedAt})
	case events.OrderDisputeClosed:
		o = o.setDispute(Dispute{ID: p.Dispute, Status: p.Status, Reason: p.Reason, Amount: p.Amount, ReportedAt: p.ReportedAt})
	default:
		return o, fmt.Errorf("apply %s: not an event of an order", e.Type)
	}
	if !o.Exists() {
		return o, fmt.Errorf("apply %s: the order was never placed", e.Type)
	}
	o.ChangedAt, o.Payment, o.Fulfilment = e.Time, o.paymentStatus(), o.fulfilmentStatus()
	return o, err
}

// take records what is captured.
func (o Order) take(captured bool, amount events.Money) Order {
	o.Captured = captured
	if captured {
		o.Taken = amount
	}
	return o
}

// Refund returns the refund with an id.
func (o Order) Refund(id string) (Refund, bool) {
	at := slices.IndexFunc(o.Refunds, func(r Refund) bool { return r.ID == id })
	if at < 0 {
		return Refund{}, false
	}
	return o.Refunds[at], true
}

// endRefund records the result of a refund, which staff may have made in Stripe's dashboard.
func (o Order) endRefund(id string, amount events.Money, state RefundState, failure string) (Order, error) {
	refund, _ := o.Refund(id)
	refund.ID, refund.Amount, refund.State, refund.Failure = id, amount, state, failure
	return o.setRefund(refund)
}

func (o Order) setRefund(refund Refund) (Order, error) {
	if !slices.Contains(refundable, o.Status) {
		return o, fmt.Errorf("apply refund %s: an order that is %q has no payment to refund", refund.ID, o.Status)
	}
	others := slices.DeleteFunc(slices.Clone(o.Refunds), func(r Refund) bool { return r.ID == refund.ID })
	o.Refunds = append(others, refund)
	sum := events.Money{Currency: o.Total.Currency}
	for _, r := range o.Refunds {
		var err error
		if sum, err = sum.Add(r.Amount); err != nil {
			return o, fmt.Errorf("apply refund %s: %w", refund.ID, err)
		}
	}
	return o, nil
}

// RefundedTotal is the sum of the refunds that succeeded. Apply refuses a refund with which it would overflow.
func (o Order) RefundedTotal() events.Money {
	return o.sumRefunds(func(r Refund) bool { return r.State == RefundSucceeded })
}

func (o Order) sumRefunds(counts func(Refund) bool) events.Money {
	total := events.Money{Currency: o.Total.Currency}
	for _, r := range o.Refunds {
		if counts(r) {
			total.Amount += r.Amount.Amount
		}
	}
	return total
}

func (o Order) setDispute(d Dispute) Order {
	disputes := slices.Clone(o.Disputes)
	at := slices.IndexFunc(disputes, func(known Dispute) bool { return known.ID == d.ID })
	if at < 0 {
		o.Disputes = append(disputes, d)
		return o
	}
	if d.Reason == "" { // the end of a dispute does not repeat it
		d.Reason = disputes[at].Reason
	}
	disputes[at] = d
	o.Disputes = disputes
	return o
}

// Held reports whether nothing may be sent, because a dispute is open or lost.
func (o Order) Held() bool { return slices.ContainsFunc(o.Disputes, Dispute.Holds) }

// Unsent returns how many units of each SKU are still to be sent: those that were ordered and are neither sent nor cancelled nor
// refunded instead. When a refund fails, its units are to be sent again unless they were returned to stock.
func (o Order) Unsent() map[string]int64 {
	left := map[string]int64{}
	for _, l := range o.Lines {
		left[l.SKU] += l.Quantity
	}
	if o.Lost != nil {
		for _, l := range o.Lost.Lines {
			left[l.SKU] -= l.Quantity
		}
	}
	for _, f := range o.Fulfilments {
		for _, l := range slices.Concat(f.Lines, f.Cancelled) {
			left[l.SKU] -= l.Quantity
		}
	}
	for _, r := range o.Refunds {
		for _, l := range r.Lines {
			if r.State == RefundFailed {
				left[l.SKU] -= l.Restock
			} else {
				left[l.SKU] -= l.Unsent
			}
		}
	}
	return left
}

func (o Order) fulfilmentStatus() FulfilmentStatus {
	if len(o.Fulfilments) == 0 {
		return Unfulfilled
	}
	var left int64
	for _, units := range o.Unsent() {
		left += units
	}
	if left > 0 {
		return PartlyFulfilled
	}
	return Fulfilled
}

// paymentStatus derives the payment status from captures, refunds and disputes.
func (o Order) paymentStatus() PaymentStatus {
	refunded, taken := o.RefundedTotal().Amount, o.Taken.Amount
	if !o.Captured {
		taken = o.Total.Amount // of an order that ended before the capture, and whose late payment was refunded
	}
	switch {
	case o.Held():
		return Disputed
	case refunded > 0 && refunded >= taken:
		return Refunded
	case refunded > 0:
		return PartlyRefunded
	case o.Captured:
		return Paid
	case o.Status == Capturing, o.Status == PaidLate, o.Status == Confirmed && o.Lost == nil:
		return Authorized
	}
	return Unpaid
}
