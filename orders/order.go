package orders

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"tillstream/events"
)

// Status is where an order stands.
type Status string

// The states of an order; see the package comment for how they follow each other.
const (
	Placed          Status = "placed"
	AwaitingPayment Status = "awaiting_payment"
	Capturing       Status = "capturing"
	Confirmed       Status = "confirmed"
	Rejected        Status = "rejected"
	Expired         Status = "expired"
	Cancelled       Status = "cancelled"
	PaidLate        Status = "paid_late"
)

// PaymentStatus is where the money of an order stands.
type PaymentStatus string

// The states of an order's money.
const (
	Unpaid         PaymentStatus = "unpaid"
	Authorized     PaymentStatus = "authorized" // reserved on the shopper's card
	Paid           PaymentStatus = "paid"
	PartlyRefunded PaymentStatus = "partly_refunded"
	Refunded       PaymentStatus = "refunded"
)

// PaymentStatuses lists all that an order's money can have.
func PaymentStatuses() []PaymentStatus {
	return []PaymentStatus{Unpaid, Authorized, Paid, PartlyRefunded, Refunded}
}

// FulfilmentStatus is where the goods of an order stand.
type FulfilmentStatus string

// Unfulfilled: nothing was sent yet.
const Unfulfilled FulfilmentStatus = "unfulfilled"

// transitions is what may follow what. An event that is not in it is refused when it is decided, so none is ever stored.
// A refund changes no status of the order: see refundable.
var transitions = map[Status][]Status{
	"":              {Placed},
	Placed:          {AwaitingPayment, Rejected, Expired, Cancelled},
	AwaitingPayment: {Capturing, Confirmed, Rejected, Expired, Cancelled},
	Capturing:       {Confirmed, Cancelled},
	Confirmed:       {},
	Rejected:        {},
	Cancelled:       {},
	Expired:         {PaidLate},
	PaidLate:        {PaidLate, Capturing, Confirmed, Rejected, Cancelled},
}

// refundable are the states in which money may have come in and can go back.
var refundable = []Status{Confirmed, Rejected, Cancelled, Expired, PaidLate}

// Statuses lists all that an order can have, in alphabetical order.
func Statuses() []Status {
	all := maps.Clone(transitions)
	delete(all, "") // an order that is not placed yet
	return slices.Sorted(maps.Keys(all))
}

// Refund is money that went back.
type Refund struct {
	ID     string       `json:"id"`
	Amount events.Money `json:"amount"`
}

// Order is the fold of an order's events.
type Order struct {
	ID          string             `json:"id"`
	Number      string             `json:"number"`
	Status      Status             `json:"status"`
	Payment     PaymentStatus      `json:"payment_status"`
	Fulfilment  FulfilmentStatus   `json:"fulfilment_status"`
	PaymentID   string             `json:"payment_id,omitempty"`  // "" until a payment is asked for
	CustomerID  string             `json:"customer_id,omitempty"` // of the account that ordered; a guest has none
	Customer    events.Customer    `json:"customer"`
	ShipTo      events.Address     `json:"ship_to"`
	Lines       []events.OrderLine `json:"lines"`
	Subtotal    events.Money       `json:"subtotal"`
	Shipping    events.Money       `json:"shipping"`
	Tax         events.Money       `json:"tax"`
	Total       events.Money       `json:"total"`
	PlacedAt    time.Time          `json:"placed_at"`
	ExpiresAt   time.Time          `json:"expires_at"`
	ChangedAt   time.Time          `json:"changed_at"`
	RequestHash string             `json:"request_hash"`

	// HoldCause is the event that asked for the stock: the placement, or the late payment. An answer of inventory to
	// any other event is an old one that was delivered again.
	HoldCause   string            `json:"hold_cause"`
	Captured    bool              `json:"captured"`         // the money is ours
	Reason      string            `json:"reason,omitempty"` // why it was rejected or cancelled: one of the constants of package events
	Short       []events.Shortage `json:"short,omitempty"`
	CancelledBy string            `json:"cancelled_by,omitempty"` // the actor
	Refunds     []Refund          `json:"refunds,omitempty"`
}

// Exists reports whether the order was placed.
func (o Order) Exists() bool { return o.Status != "" }

// Apply folds one event. It returns an error for an event that cannot follow the state.
func (o Order) Apply(e events.Event) (Order, error) {
	from := o.Status
	switch p := e.Payload.(type) {
	case events.OrderPlaced:
		o = Order{ID: p.OrderID, Number: p.Number, Status: Placed, Fulfilment: Unfulfilled, CustomerID: p.CustomerID, Customer: p.Customer, ShipTo: p.ShipTo, Lines: p.Lines,
			Subtotal: p.Subtotal, Shipping: p.Shipping, Tax: p.Tax, Total: p.Total, PlacedAt: e.Time, ExpiresAt: p.ExpiresAt,
			RequestHash: p.RequestHash, HoldCause: e.ID}
	case events.OrderAwaitingPayment:
		o.Status, o.PaymentID = AwaitingPayment, p.PaymentID
	case events.OrderPaymentAccepted:
		o.Status = Capturing
	case events.OrderConfirmed:
		o.Status, o.Captured = Confirmed, true
	case events.OrderRejected:
		o.Status, o.Reason, o.Short = Rejected, p.Reason, p.Short
	case events.OrderExpired:
		o.Status = Expired
	case events.OrderCancelled:
		o.Status, o.Reason, o.CancelledBy = Cancelled, p.Reason, e.Actor
	case events.OrderPaidLate:
		if from != PaidLate {
			o.HoldCause = e.ID
		}
		o.Status, o.Captured = PaidLate, p.Captured
	case events.OrderRefunded:
		return o.refund(p, e.Time)
	default:
		return o, fmt.Errorf("order cannot take %s", e.Type)
	}
	o.ChangedAt, o.Payment = e.Time, o.paymentStatus()
	if !slices.Contains(transitions[from], o.Status) {
		return o, fmt.Errorf("order cannot go from %q to %q by %s", from, o.Status, e.Type)
	}
	return o, nil
}

func (o Order) refund(p events.OrderRefunded, at time.Time) (Order, error) {
	if !slices.Contains(refundable, o.Status) {
		return o, fmt.Errorf("refund %s: an order that is %q has no money to send back", p.RefundID, o.Status)
	}
	if _, err := o.RefundedTotal().Add(p.Amount); err != nil {
		return o, fmt.Errorf("refund %s: %w", p.RefundID, err)
	}
	o.Refunds = append(slices.Clip(o.Refunds), Refund{ID: p.RefundID, Amount: p.Amount})
	o.ChangedAt, o.Payment = at, o.paymentStatus()
	return o, nil
}

// paymentStatus is the furthest that the money has come.
func (o Order) paymentStatus() PaymentStatus {
	switch refunded := o.RefundedTotal().Amount; {
	case len(o.Refunds) > 0 && refunded >= o.Total.Amount:
		return Refunded
	case refunded > 0:
		return PartlyRefunded
	case o.Captured:
		return Paid
	case o.Status == Capturing || o.Status == PaidLate:
		return Authorized
	}
	return Unpaid
}

// RefundedTotal is how much went back. Apply takes no refund that does not fit in.
func (o Order) RefundedTotal() events.Money {
	total := events.Money{Currency: o.Total.Currency}
	for _, r := range o.Refunds {
		total.Amount += r.Amount.Amount
	}
	return total
}

// outcome is what the order's last events share. Whoever needs more reads the order's first event.
func (o Order) outcome() events.OrderOutcome {
	return events.OrderOutcome{OrderID: o.ID, PaymentID: o.PaymentID, Number: o.Number}
}
