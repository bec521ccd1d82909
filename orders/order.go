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
	Refunded        Status = "refunded"
	PartlyRefunded  Status = "partly_refunded"
)

// transitions is what may follow what. An event that is not in it is refused when it is decided, so none is ever stored.
var transitions = map[Status][]Status{
	"":              {Placed},
	Placed:          {AwaitingPayment, Rejected, Expired, Cancelled},
	AwaitingPayment: {Capturing, Confirmed, Rejected, Expired, Cancelled},
	Capturing:       {Confirmed, Cancelled},
	Confirmed:       {Refunded, PartlyRefunded},
	PartlyRefunded:  {Refunded, PartlyRefunded},
	Refunded:        {Refunded},
	Rejected:        {Rejected},  // a refund of a rejected order leaves it rejected
	Cancelled:       {Cancelled}, // the same
	Expired:         {PaidLate, Expired},
	PaidLate:        {PaidLate, Capturing, Confirmed, PartlyRefunded, Rejected, Cancelled},
}

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
	Reason      string            `json:"reason,omitempty"` // why it was rejected: one of the events.Rejected constants
	Short       []events.Shortage `json:"short,omitempty"`
	CancelledBy string            `json:"cancelled_by,omitempty"`
	Refunds     []Refund          `json:"refunds,omitempty"`
}

// Exists reports whether the order was placed.
func (o Order) Exists() bool { return o.Status != "" }

// Apply folds one event. It returns an error for an event that cannot follow the state.
func (o Order) Apply(e events.Event) (Order, error) {
	from := o.Status
	switch p := e.Payload.(type) {
	case events.OrderPlaced:
		o = Order{ID: p.OrderID, Number: p.Number, Status: Placed, Customer: p.Customer, ShipTo: p.ShipTo, Lines: p.Lines,
			Subtotal: p.Subtotal, Shipping: p.Shipping, Tax: p.Tax, Total: p.Total, PlacedAt: e.Time, ExpiresAt: p.ExpiresAt,
			RequestHash: p.RequestHash, HoldCause: e.ID}
	case events.OrderAwaitingPayment:
		o.Status = AwaitingPayment
	case events.OrderPaymentAccepted:
		o.Status = Capturing
	case events.OrderConfirmed:
		o.Status, o.Captured = Confirmed, true
		if len(o.Refunds) > 0 {
			o.Status = o.afterRefund()
		}
	case events.OrderRejected:
		o.Status, o.Reason, o.Short = Rejected, p.Reason, p.Short
	case events.OrderExpired:
		o.Status = Expired
	case events.OrderCancelled:
		o.Status, o.CancelledBy = Cancelled, p.By
	case events.OrderPaidLate:
		if from != PaidLate {
			o.HoldCause = e.ID
		}
		o.Status, o.Captured = PaidLate, p.Captured
	case events.OrderRefunded:
		if _, err := o.RefundedTotal().Add(p.Amount); err != nil {
			return o, fmt.Errorf("refund %s: %w", p.RefundID, err)
		}
		o.Refunds = append(slices.Clip(o.Refunds), Refund{ID: p.RefundID, Amount: p.Amount})
		o.Status = o.afterRefund()
	default:
		return o, fmt.Errorf("order cannot take %s", e.Type)
	}
	o.ChangedAt = e.Time
	if !slices.Contains(transitions[from], o.Status) {
		return o, fmt.Errorf("order cannot go from %q to %q by %s", from, o.Status, e.Type)
	}
	return o, nil
}

// RefundedTotal is how much went back. Apply takes no refund that does not fit in.
func (o Order) RefundedTotal() events.Money {
	total := events.Money{Currency: o.Total.Currency}
	for _, r := range o.Refunds {
		total.Amount += r.Amount.Amount
	}
	return total
}

// afterRefund: only an order that was confirmed changes its state by a refund; the others ended already.
func (o Order) afterRefund() Status {
	switch o.Status {
	case Confirmed, PartlyRefunded, Refunded:
		if o.RefundedTotal().Amount >= o.Total.Amount {
			return Refunded
		}
		return PartlyRefunded
	}
	return o.Status
}

// outcome is what the order's last events share. Whoever needs more reads the order's first event.
func (o Order) outcome() events.OrderOutcome {
	return events.OrderOutcome{OrderID: o.ID, Number: o.Number, Customer: o.Customer}
}
