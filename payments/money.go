package payments

import (
	"cmp"
	"maps"
	"time"

	"tillstream/events"
)

// The functions of this file fold the events about money that has been captured: captures, refunds, disputes, and what Stripe has
// booked.

// Dispute is a charge that the shopper's bank disputes, as Stripe returned it last. A dispute that is closed stays closed.
type Dispute struct {
	Status      string       `json:"status"` // one of the Dispute constants of package events
	Reason      string       `json:"reason"`
	Amount      events.Money `json:"amount"`
	EvidenceDue time.Time    `json:"evidence_due,omitzero"`
	Withdrawn   events.Money `json:"withdrawn,omitzero"` // in the currency of the account
	Fee         events.Money `json:"fee,omitzero"`       // in the currency of the account
	Bookings    int          `json:"bookings,omitempty"` // how often Stripe has taken or returned money
}

// BalanceEntry is an amount that Stripe has booked on the shop's account, in the account's currency.
type BalanceEntry struct {
	Kind   string       `json:"kind"`
	Amount events.Money `json:"amount"`
	Fee    events.Money `json:"fee"`
	Net    events.Money `json:"net"`
}

// addCapture records what is captured so far. An older report, which has less, may arrive later.
func (p Payment) addCapture(fact events.PaymentCaptured) Payment {
	next := p.endAttempts(fact.Charge)
	if p.Authorized.IsZero() {
		next.Authorized = p.Amount // the report of the authorization has not arrived yet
	}
	if fact.Amount.Amount >= p.Captured.Amount {
		next.CaptureMore = fact.More && (p.CaptureMore || fact.Amount.Amount > p.Captured.Amount)
		next.Captured = fact.Amount
	}
	return next
}

func (p Payment) applyRefund(e events.Event) (Payment, error) {
	refunds := maps.Clone(p.Refunds)
	if refunds == nil {
		refunds = map[string]Refund{}
	}
	switch fact := e.Payload.(type) {
	case events.PaymentRefundRequested:
		refund := refunds[fact.RefundID]
		refund.Amount, refund.Reason, refund.Replaces = fact.Amount, fact.Reason, fact.Replaces
		refunds[fact.RefundID] = refund
	case events.PaymentRefundPending:
		refund := refunds[fact.RefundID]
		refund.Amount, refund.StripeRefund, refund.Pending = fact.Amount, fact.StripeRefund, !refund.Succeeded && !refund.Failed
		refunds[fact.RefundID] = refund
	case events.PaymentRefunded:
		refund := refunds[fact.RefundID]
		refund.Amount, refund.StripeRefund, refund.Pending, refund.Succeeded = fact.Amount, fact.StripeRefund, false, !refund.Failed
		refunds[fact.RefundID] = refund
	case events.PaymentRefundFailed:
		refund := refunds[fact.RefundID]
		refund.Amount, refund.Pending, refund.Succeeded, refund.Failed, refund.Reason = fact.Amount, false, false, true, fact.Reason
		refund.StripeRefund = cmp.Or(fact.StripeRefund, refund.StripeRefund)
		refund.Replaces = cmp.Or(fact.Replaces, refund.Replaces)
		refunds[fact.RefundID] = refund
	}
	p.Refunds, p.UpdatedAt = refunds, e.Time
	_, err := p.refunding()
	return p, err
}

func (p Payment) addDispute(fact events.PaymentDisputeUpdated) Payment {
	disputes := maps.Clone(p.Disputes)
	if disputes == nil {
		disputes = map[string]Dispute{}
	}
	disputes[fact.Dispute] = Dispute{Status: fact.Status, Reason: fact.Reason, Amount: fact.Amount, EvidenceDue: fact.EvidenceDue,
		Withdrawn: fact.Withdrawn, Fee: fact.Fee, Bookings: fact.Bookings}
	p.Disputes = disputes
	return p
}

func (p Payment) addBalance(fact events.PaymentBalanceRecorded) Payment {
	balance := maps.Clone(p.Balance)
	if balance == nil {
		balance = map[string]BalanceEntry{}
	}
	balance[fact.Transaction] = BalanceEntry{Kind: fact.Kind, Amount: fact.Amount, Fee: fact.Fee, Net: fact.Net}
	p.Balance = balance
	return p
}
