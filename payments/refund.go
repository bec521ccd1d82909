package payments

import (
	"cmp"
	"errors"
	"fmt"

	"tillstream/events"
)

// The functions of this file decide about refunds. A refund has the shop's id, which it keeps at Stripe in its metadata; one that was
// made in Stripe's dashboard has Stripe's. It is requested, then perhaps pending for days, then succeeded or failed. A bank can return
// the money of one that succeeded: it has failed then, and a new refund has a new id.

// refundable returns the captured amount less all refunds that have not failed and all disputes that are open or lost. It is
// negative if the bank disputes an amount of which a part was refunded.
func (p Payment) refundable() (events.Money, error) {
	refunds, err := p.refunding()
	if err != nil {
		return events.Money{}, err
	}
	disputed, err := p.Disputed()
	if err != nil {
		return events.Money{}, err
	}
	left, err := events.Money{Amount: p.Captured.Amount, Currency: p.Amount.Currency}.Sub(refunds)
	if err != nil {
		return events.Money{}, err
	}
	return left.Sub(disputed)
}

// RequestRefund requests a refund under an id, which identifies it from then on. Repeating the request changes nothing. It
// returns [ErrRefundConflict], [ErrRefundTooLarge] or [events.ErrBadID].
func RequestRefund(p Payment, refundID string, amount events.Money, reason string) ([]events.Payload, error) {
	if known, ok := p.Refunds[refundID]; ok {
		if known.Amount != amount {
			return nil, fmt.Errorf("%w: refund %s has amount %s", ErrRefundConflict, refundID, known.Amount)
		}
		return nil, nil
	}
	if err := events.CheckID(refundID); err != nil {
		return nil, err
	}
	if p.Captured.IsZero() || amount.Amount <= 0 || amount.Currency != p.Amount.Currency {
		return nil, fmt.Errorf("%w: %s of order %s, of which %s was captured", ErrRefundTooLarge, amount, p.OrderID, p.Captured)
	}
	left, err := p.refundable()
	if err != nil {
		return nil, err
	}
	if amount.Amount > left.Amount {
		return nil, fmt.Errorf("%w: %s of order %s, of which %s is left", ErrRefundTooLarge, amount, p.OrderID, left)
	}
	return []events.Payload{events.PaymentRefundRequested{OrderID: p.OrderID, PaymentID: p.ID, RefundID: refundID, Amount: amount, Reason: reason}}, nil
}

// AcceptRefund is RequestRefund for a refund that the order has requested. It knows less than the payment: a refund in Stripe's dashboard,
// or that of a payment which arrived after the end of the order, may have taken the money in the meantime. The refund has then failed.
func AcceptRefund(p Payment, r events.OrderRefundRequested) ([]events.Payload, error) {
	facts, err := RequestRefund(p, r.RefundID, r.Amount, r.Reason)
	switch {
	case errors.Is(err, ErrRefundTooLarge):
		return []events.Payload{events.PaymentRefundFailed{OrderID: p.OrderID, PaymentID: p.ID, RefundID: r.RefundID, Amount: r.Amount, Reason: err.Error(), Replaces: r.Replaces}}, nil
	case err != nil || len(facts) == 0:
		return facts, err
	}
	requested, _ := facts[0].(events.PaymentRefundRequested)
	requested.Replaces = r.Replaces
	return []events.Payload{requested}, nil
}

// RecordRefund returns the facts that one refund at Stripe adds to a payment. A refund without the shop's id was made in
// Stripe's dashboard and is recorded under Stripe's id. Without a capture it adds nothing, because Stripe also reports a
// released authorization as a refund, and the part of it that was not captured, too. A refund that waits for the bank, or for the shopper to say where to send the money, is pending.
func RecordRefund(p Payment, r StripeRefund) ([]events.Payload, error) {
	if p.Captured.IsZero() || r.Release {
		return nil, nil
	}
	id := r.RefundID
	if id == "" {
		id = r.ID
	}
	known, exists := p.Refunds[id]
	if exists && known.Amount != r.Amount || r.Amount.Currency != p.Amount.Currency {
		return nil, fmt.Errorf("%w: refund %s (%s) has amount %s, recorded is %s", ErrMismatch, r.ID, id, r.Amount, known.Amount)
	}
	switch r.Status {
	case RefundPending, RefundRequiresAction:
		if known.Pending || known.Succeeded || known.Failed {
			return nil, nil
		}
		return []events.Payload{events.PaymentRefundPending{OrderID: p.OrderID, PaymentID: p.ID, RefundID: id, StripeRefund: r.ID, Charge: r.Charge, Amount: r.Amount}}, nil
	case RefundSucceeded:
		return refunded(p, id, r)
	case RefundFailed, RefundCanceled:
		if known.Failed {
			return nil, nil
		}
		return []events.Payload{events.PaymentRefundFailed{OrderID: p.OrderID, PaymentID: p.ID, RefundID: id, Amount: r.Amount,
			Reason: cmp.Or(r.Failure, string(r.Status)), StripeRefund: r.ID}}, nil
	}
	return nil, fmt.Errorf("%w: refund %s has status %.40q", ErrUnknownStatus, r.ID, r.Status)
}

// RecordRefunds is RecordRefund for all refunds that a payment has at Stripe.
func RecordRefunds(p Payment, refunds []StripeRefund) (facts []events.Payload, err error) {
	for _, r := range refunds {
		added, err := RecordRefund(p, r)
		if err != nil {
			return nil, err
		}
		for _, fact := range added {
			if p, err = p.Apply(events.Event{Type: fact.EventType(), Time: p.UpdatedAt, Payload: fact}); err != nil {
				return nil, err
			}
		}
		facts = append(facts, added...)
	}
	return facts, nil
}

func refunded(p Payment, id string, r StripeRefund) ([]events.Payload, error) {
	if known := p.Refunds[id]; known.Succeeded || known.Failed {
		return nil, nil
	}
	sum, err := p.Refunded()
	if err == nil {
		sum, err = sum.Add(r.Amount)
	}
	if err != nil {
		return nil, err
	}
	if sum.Amount > p.Captured.Amount {
		return nil, fmt.Errorf("%w: with refund %s it is %s of %s", ErrRefundTooLarge, r.ID, sum, p.Captured)
	}
	return []events.Payload{events.PaymentRefunded{OrderID: p.OrderID, PaymentID: p.ID, RefundID: id, StripeRefund: r.ID, Charge: r.Charge, Amount: r.Amount}}, nil
}

// FailRefund ends a refund that Stripe refuses.
func FailRefund(p Payment, refundID, reason string) []events.Payload {
	known, ok := p.Refunds[refundID]
	if !ok || known.Pending || known.Succeeded || known.Failed {
		return nil
	}
	return []events.Payload{events.PaymentRefundFailed{OrderID: p.OrderID, PaymentID: p.ID, RefundID: refundID, Amount: known.Amount, Reason: reason}}
}

// Replaced reports whether another refund makes a failed one good.
func (p Payment) Replaced(refundID string) bool {
	for _, refund := range p.Refunds {
		if refund.Replaces == refundID {
			return true
		}
	}
	return false
}
