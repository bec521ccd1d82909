package orders

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tillstream/events"
)

var (
	// ErrKeyReused is returned when a request repeats an Idempotency-Key with another order.
	ErrKeyReused = errors.New("this Idempotency-Key was used for another order")
	// ErrNotCancellable is returned when an order is paid, is being paid or has ended otherwise.
	ErrNotCancellable = errors.New("this order can no longer be cancelled")
)

// Priced is an item in the price list: what orders needs to know of an item of inventory.
type Priced struct {
	Title string
	Price events.Money
}

// Terms are the shop's terms for every order.
type Terms struct {
	Charges  events.ChargeLimits // which totals can be paid
	HoldFor  time.Duration       // how long stock is held for this order while it is unpaid
	Shipping ShippingFees
}

// Price returns the event that places an order, with the prices that lookup returns. It returns an [*events.InvalidError] for an
// unknown item, mixed currencies, a total that overflows or cannot be paid, and a currency without a shipping fee.
func Price(id string, p Placement, hash string, lookup func(sku string) (Priced, bool), terms Terms, placedAt time.Time) (events.OrderPlaced, error) {
	lines := make([]events.OrderLine, 0, len(p.Lines))
	var subtotal events.Money
	for i, line := range p.Lines {
		at := func(field string) string { return fmt.Sprintf("lines[%d].%s", i, field) }
		item, ok := lookup(line.SKU)
		if !ok {
			return events.OrderPlaced{}, invalid(at("sku"), "there is no such item", line.SKU)
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
			return events.OrderPlaced{}, invalid(at("quantity"), err.Error(), line.Quantity)
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
		return events.OrderPlaced{}, invalid("lines", message, len(p.Lines))
	}
	return events.OrderPlaced{
		OrderID: id, Number: NumberFor(id), Customer: p.Customer, ShipTo: p.ShipTo, Lines: lines, Subtotal: subtotal, Shipping: delivery,
		Tax: events.Money{Currency: subtotal.Currency}, Total: total, ExpiresAt: placedAt.Add(terms.HoldFor), RequestHash: hash,
	}, nil
}

func invalid(field, message string, value any) error {
	return &events.InvalidError{Faults: []events.Fault{{Field: field, Message: message, Value: value}}}
}

// Place places an order. Placing it again changes nothing when the request is the same, and is [ErrKeyReused] otherwise.
func (o Order) Place(p events.OrderPlaced) ([]events.Payload, error) {
	switch {
	case !o.Exists():
		return []events.Payload{p}, nil
	case o.RequestHash == p.RequestHash:
		return nil, nil
	}
	return nil, ErrKeyReused
}

// ReservationHeld returns the events that follow when inventory holds every line. cause is the id of the event that inventory
// answers: an answer to an older one decides nothing.
func (o Order) ReservationHeld(cause string) []events.Payload {
	if cause != o.HoldCause {
		return nil
	}
	switch {
	case o.Status == Placed:
		return []events.Payload{events.OrderAwaitingPayment{OrderID: o.ID, PaymentID: events.FirstPaymentID(o.ID), Number: o.Number, Amount: o.Total, ExpiresAt: o.ExpiresAt, Shopper: o.shopper()}}
	case o.Status == PaidLate && o.Captured && o.Refundable().IsZero(): // staff have refunded it in the meantime
		return []events.Payload{events.OrderCancelled{OrderOutcome: o.ended(), Reason: events.CancelRefunded}}
	case o.Status == PaidLate && o.Captured:
		return []events.Payload{o.confirmed()}
	case o.Status == PaidLate && o.Capture == events.CaptureAtFulfilment:
		return []events.Payload{o.confirmedAuthorized()}
	case o.Status == PaidLate:
		return []events.Payload{events.OrderPaymentAccepted{OrderID: o.ID, PaymentID: o.PaymentID, Amount: o.Total}}
	}
	return nil
}

// ReservationRefused returns the events that follow when inventory holds nothing, because some lines are short. cause is as in
// ReservationHeld.
func (o Order) ReservationRefused(cause string, short []events.Shortage) []events.Payload {
	if cause != o.HoldCause {
		return nil
	}
	switch o.Status {
	case Placed:
		return []events.Payload{events.OrderRejected{OrderOutcome: o.ended(), Reason: events.RejectedNoStock, Short: short}}
	case PaidLate:
		return []events.Payload{events.OrderRejected{OrderOutcome: o.ended(), Reason: events.RejectedPaidLate, Short: short}}
	}
	return nil
}

// PaymentAuthorized returns the events that follow when the amount is authorized. An order that has not expired yet accepts the
// payment, even if its deadline has passed. An expired order asks for its stock again. If the money is captured at fulfilment, the
// authorization confirms the order.
func (o Order) PaymentAuthorized(capture string) []events.Payload {
	switch {
	case o.Status == AwaitingPayment && capture == events.CaptureAtFulfilment:
		return []events.Payload{o.confirmedAuthorized()}
	case o.Status == AwaitingPayment:
		return []events.Payload{events.OrderPaymentAccepted{OrderID: o.ID, PaymentID: o.PaymentID, Amount: o.Total}}
	case o.Status == Expired:
		late := o.paidLate(false)
		late.Capture = capture
		return []events.Payload{late}
	}
	return nil
}

// PaymentCaptured returns the events that follow when an amount is captured, in all captures together. more is as in
// [events.PaymentCaptured].
func (o Order) PaymentCaptured(amount events.Money, more bool) []events.Payload {
	switch {
	case o.Status == AwaitingPayment && amount.Amount < o.Total.Amount: // staff captured a part in Stripe's dashboard
		return []events.Payload{o.confirmedAuthorized(), o.paymentCaptured(amount, more)}
	case o.Status == AwaitingPayment || o.Status == Capturing:
		return []events.Payload{o.confirmed()}
	case o.Status == Expired || (o.Status == PaidLate && !o.Captured):
		return []events.Payload{o.paidLate(true)}
	case o.Status == Confirmed && o.Capture == events.CaptureAtFulfilment:
		return o.capturedMore(amount, more)
	}
	return nil
}

// PaymentCancelled returns the events that follow when the payment is cancelled. If the order has not ended yet, the payment was
// cancelled at Stripe or its authorization expired before the capture; or it was declined too often, which reason says.
func (o Order) PaymentCancelled(reason string) []events.Payload {
	if reason != events.CancelAuthorizationExpired && (reason != events.CancelDeclinedTooOften || o.Status != AwaitingPayment) {
		reason = events.CancelPaymentCancelled
	}
	switch {
	case o.Status == AwaitingPayment, o.Status == Capturing, o.Status == PaidLate:
		return []events.Payload{events.OrderCancelled{OrderOutcome: o.ended(), Reason: reason}}
	case o.voidable():
		return []events.Payload{o.void(reason)}
	case o.Status == Confirmed && !o.Captured:
		return o.authorizationLost(events.Money{Currency: o.Total.Currency})
	}
	return nil
}

// PaymentFailed returns the events that follow when Stripe refuses to create the payment.
func (o Order) PaymentFailed() []events.Payload {
	switch o.Status {
	case Placed, AwaitingPayment:
		return []events.Payload{events.OrderRejected{OrderOutcome: o.ended(), Reason: events.RejectedPaymentFailed}}
	}
	return nil
}

// PaymentRefunded returns the events that follow when an amount is refunded. Each refund counts once.
func (o Order) PaymentRefunded(refundID string, amount events.Money) []events.Payload {
	if known, _ := o.Refund(refundID); known.State == RefundSucceeded || known.State == RefundFailed || !o.Exists() {
		return nil
	}
	return []events.Payload{events.OrderRefunded{OrderOutcome: o.outcome(), RefundID: refundID, Amount: amount}}
}

// Cancel cancels an unpaid order; for staff also a confirmed one of which nothing was captured or sent. It returns
// [ErrNotCancellable] for one that is paid, is being paid or has ended otherwise.
func (o Order) Cancel(staff bool) ([]events.Payload, error) {
	switch {
	case o.Status == Placed, o.Status == AwaitingPayment:
		return []events.Payload{events.OrderCancelled{OrderOutcome: o.ended(), Reason: events.CancelRequested}}, nil
	case o.Status == Cancelled:
		return nil, nil
	case staff && o.voidable():
		return []events.Payload{o.void(events.CancelRequested)}, nil
	}
	return nil, fmt.Errorf("%w: it is %s", ErrNotCancellable, o.Status)
}

// Expire ends an unpaid order whose deadline has passed. Before the deadline, and the second time, it decides nothing.
func (o Order) Expire(now time.Time) []events.Payload {
	if (o.Status == Placed || o.Status == AwaitingPayment) && !now.Before(o.ExpiresAt) {
		return []events.Payload{events.OrderExpired{OrderOutcome: o.ended()}}
	}
	return nil
}

func (o Order) confirmed() events.OrderConfirmed {
	return events.OrderConfirmed{OrderOutcome: o.outcome()}
}

func (o Order) paidLate(captured bool) events.OrderPaidLate {
	return events.OrderPaidLate{OrderID: o.ID, Lines: o.Lines, Amount: o.Total, Captured: captured}
}
