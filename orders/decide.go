package orders

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tillstream/events"
)

var (
	// ErrKeyReused is returned when an Idempotency-Key comes with another order than the first time.
	ErrKeyReused = errors.New("this Idempotency-Key was used for another order")
	// ErrNotCancellable is returned when an order is past the point where it can be called off.
	ErrNotCancellable = errors.New("this order can no longer be cancelled")
)

// Priced is one item as orders know it: from their own fold of inventory's items.
type Priced struct {
	Title string
	Price events.Money
}

// Terms are what the shop adds to an order and demands of it.
type Terms struct {
	Charges  events.ChargeLimits // which totals can be paid
	HoldFor  time.Duration       // how long stock waits for the money
	Shipping ShippingFees
}

// Price makes an order of a placement, at the prices that lookup knows. It returns an [*InvalidError] for an unknown
// item, mixed currencies or a total that overflows.
func Price(id string, p Placement, hash string, lookup func(sku string) (Priced, bool), terms Terms, placedAt time.Time) (events.OrderPlaced, error) {
	lines := make([]events.OrderLine, 0, len(p.Lines))
	var subtotal events.Money
	for i, line := range p.Lines {
		at := func(field string) string { return fmt.Sprintf("body.lines[%d].%s", i, field) }
		item, ok := lookup(line.SKU)
		if !ok {
			return events.OrderPlaced{}, &InvalidError{Faults: []Fault{{at("sku"), "there is no such item", line.SKU}}}
		}
		total, err := item.Price.Times(line.Quantity)
		if err == nil {
			subtotal.Currency = item.Price.Currency
			if i > 0 && lines[0].UnitPrice.Currency != item.Price.Currency {
				err = fmt.Errorf("is sold in %s, the first item in %s", item.Price.Currency, lines[0].UnitPrice.Currency)
			} else {
				subtotal, err = subtotal.Add(total)
			}
		}
		if err != nil {
			return events.OrderPlaced{}, &InvalidError{Faults: []Fault{{at("quantity"), err.Error(), line.Quantity}}}
		}
		lines = append(lines, events.OrderLine{SKU: line.SKU, Title: item.Title, Quantity: line.Quantity, UnitPrice: item.Price, Total: total})
	}
	delivery, err := terms.Shipping.For(subtotal.Currency)
	total := subtotal
	if err == nil {
		total, err = subtotal.Add(delivery)
	}
	if err == nil {
		err = terms.Charges.Check(total)
	}
	if err != nil {
		message := strings.TrimPrefix(err.Error(), events.ErrMoney.Error()+": ")
		return events.OrderPlaced{}, &InvalidError{Faults: []Fault{{"body.lines", message, len(p.Lines)}}}
	}
	return events.OrderPlaced{
		OrderID: id, Number: NumberFor(id), Customer: p.Customer, ShipTo: p.ShipTo, Lines: lines, Subtotal: subtotal, Shipping: delivery,
		Tax: events.Money{Currency: subtotal.Currency}, Total: total, ExpiresAt: placedAt.Add(terms.HoldFor), RequestHash: hash,
	}, nil
}

// Place records an order unless it is there already; then the same request is fine and another one is [ErrKeyReused].
func (o Order) Place(p events.OrderPlaced) ([]events.Payload, error) {
	switch {
	case !o.Exists():
		return []events.Payload{p}, nil
	case o.RequestHash == p.RequestHash:
		return nil, nil
	}
	return nil, ErrKeyReused
}

// Held: inventory holds every line, because of the event cause.
func (o Order) Held(cause string) []events.Payload {
	if cause != o.HoldCause {
		return nil
	}
	switch {
	case o.Status == Placed:
		return []events.Payload{events.OrderAwaitingPayment{OrderID: o.ID, PaymentID: events.FirstPaymentID(o.ID), Number: o.Number, Amount: o.Total, ExpiresAt: o.ExpiresAt}}
	case o.Status == PaidLate && o.Captured && o.RefundedTotal().Amount >= o.Total.Amount: // staff sent it back meanwhile
		return []events.Payload{events.OrderCancelled{OrderOutcome: o.outcome(), Reason: events.CancelRefunded}}
	case o.Status == PaidLate && o.Captured:
		return []events.Payload{o.confirmed()}
	case o.Status == PaidLate:
		return []events.Payload{events.OrderPaymentAccepted{OrderID: o.ID, PaymentID: o.PaymentID, Amount: o.Total}}
	}
	return nil
}

// Refused: inventory holds nothing, because of the event cause.
func (o Order) Refused(cause string, short []events.Shortage) []events.Payload {
	if cause != o.HoldCause {
		return nil
	}
	switch o.Status {
	case Placed:
		return []events.Payload{events.OrderRejected{OrderOutcome: o.outcome(), Reason: events.RejectedNoStock, Short: short}}
	case PaidLate:
		return []events.Payload{events.OrderRejected{OrderOutcome: o.outcome(), Reason: events.RejectedPaidLate, Short: short}}
	}
	return nil
}

// Authorized: the money is reserved. An order that still waits takes it up, even if its deadline passed a moment ago;
// one that has expired tries to get its stock back.
func (o Order) Authorized() []events.Payload {
	switch o.Status {
	case AwaitingPayment:
		return []events.Payload{events.OrderPaymentAccepted{OrderID: o.ID, PaymentID: o.PaymentID, Amount: o.Total}}
	case Expired:
		return []events.Payload{o.paidLate(false)}
	}
	return nil
}

// PaymentCaptured: the money is ours.
func (o Order) PaymentCaptured() []events.Payload {
	switch {
	case o.Status == AwaitingPayment || o.Status == Capturing:
		return []events.Payload{o.confirmed()}
	case o.Status == Expired || (o.Status == PaidLate && !o.Captured):
		return []events.Payload{o.paidLate(true)}
	}
	return nil
}

// PaymentCancelled: the intent is void. When the order has not ended by itself it was done at Stripe, or the
// authorisation ran out before it was captured.
func (o Order) PaymentCancelled() []events.Payload {
	switch o.Status {
	case AwaitingPayment, Capturing, PaidLate:
		return []events.Payload{events.OrderCancelled{OrderOutcome: o.outcome(), Reason: events.CancelPaymentCancelled}}
	}
	return nil
}

// PaymentFailed: Stripe does not take the payment up at all.
func (o Order) PaymentFailed() []events.Payload {
	switch o.Status {
	case Placed, AwaitingPayment:
		return []events.Payload{events.OrderRejected{OrderOutcome: o.outcome(), Reason: events.RejectedPaymentFailed}}
	}
	return nil
}

// PaymentRefunded: money went back. Each refund counts once.
func (o Order) PaymentRefunded(refundID string, amount events.Money) []events.Payload {
	for _, r := range o.Refunds {
		if r.ID == refundID {
			return nil
		}
	}
	if !o.Exists() {
		return nil
	}
	return []events.Payload{events.OrderRefunded{OrderOutcome: o.outcome(), RefundID: refundID, Amount: amount}}
}

// Cancel calls an unpaid order off. It returns [ErrNotCancellable] once it is paid or has ended otherwise.
func (o Order) Cancel() ([]events.Payload, error) {
	switch o.Status {
	case Placed, AwaitingPayment:
		return []events.Payload{events.OrderCancelled{OrderOutcome: o.outcome(), Reason: events.CancelRequested}}, nil
	case Cancelled:
		return nil, nil
	}
	return nil, fmt.Errorf("%w: it is %s", ErrNotCancellable, o.Status)
}

// Expire ends an unpaid order whose deadline has passed. Whoever asks, and however often: the deadline decides.
func (o Order) Expire(now time.Time) []events.Payload {
	if (o.Status == Placed || o.Status == AwaitingPayment) && !now.Before(o.ExpiresAt) {
		return []events.Payload{events.OrderExpired{OrderOutcome: o.outcome()}}
	}
	return nil
}

func (o Order) confirmed() events.OrderConfirmed {
	return events.OrderConfirmed{OrderOutcome: o.outcome()}
}

func (o Order) paidLate(captured bool) events.OrderPaidLate {
	return events.OrderPaidLate{OrderID: o.ID, Lines: o.Lines, Amount: o.Total, Captured: captured}
}
