package orders

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"tillstream/events"
)

// Status is the state of an order.
type Status string

// The states of an order. The package comment says how they follow each other.
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

// PaymentStatus is the state of an order's payment.
type PaymentStatus string

// The states of an order's payment.
const (
	Unpaid         PaymentStatus = "unpaid"
	Authorized     PaymentStatus = "authorized" // reserved on the shopper's card
	Paid           PaymentStatus = "paid"
	PartlyRefunded PaymentStatus = "partly_refunded"
	Refunded       PaymentStatus = "refunded"
	Disputed       PaymentStatus = "disputed" // the shopper's bank disputes it, or has taken the money back
)

// PaymentStatuses lists every payment status.
func PaymentStatuses() []PaymentStatus {
	return []PaymentStatus{Unpaid, Authorized, Paid, PartlyRefunded, Refunded, Disputed}
}

// FulfilmentStatus is the state of an order's delivery.
type FulfilmentStatus string

// The states of an order's delivery.
const (
	Unfulfilled     FulfilmentStatus = "unfulfilled"
	PartlyFulfilled FulfilmentStatus = "partly_fulfilled"
	Fulfilled       FulfilmentStatus = "fulfilled" // everything that is not cancelled or refunded was sent
)

// FulfilmentStatuses lists every fulfilment status.
func FulfilmentStatuses() []FulfilmentStatus {
	return []FulfilmentStatus{Unfulfilled, PartlyFulfilled, Fulfilled}
}

// transitions lists the states that may follow each state. Apply refuses any other change, and so does an append, which
// applies what it appends. A refund does not change the status of the order: see refundable.
var transitions = map[Status][]Status{
	"":              {Placed},
	Placed:          {AwaitingPayment, Rejected, Expired, Cancelled},
	AwaitingPayment: {Capturing, Confirmed, Rejected, Expired, Cancelled},
	Capturing:       {Confirmed, Cancelled},
	Confirmed:       {Cancelled}, // while its money is only authorized
	Rejected:        {},
	Cancelled:       {},
	Expired:         {PaidLate},
	PaidLate:        {PaidLate, Capturing, Confirmed, Rejected, Cancelled},
}

// Statuses lists every status of an order, in alphabetical order.
func Statuses() []Status {
	all := maps.Clone(transitions)
	delete(all, "") // an order that is not placed yet
	return slices.Sorted(maps.Keys(all))
}

// Order is the state of an order: its events, applied one after the other.
type Order struct {
	ID          string             `json:"id"`
	Number      string             `json:"number"`
	Status      Status             `json:"status"`
	Payment     PaymentStatus      `json:"payment_status"`
	Fulfilment  FulfilmentStatus   `json:"fulfilment_status"`
	PaymentID   string             `json:"payment_id,omitempty"`  // "" until a payment is requested
	CustomerID  string             `json:"customer_id,omitempty"` // of the account; a guest has none
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

	// Deadline is why ExpiresAt is not that of a new order: one of the Deadline constants of package events, or "".
	Deadline       string   `json:"deadline,omitempty"`
	DeadlineCauses []string `json:"deadline_causes,omitempty"` // ids of the events that have changed ExpiresAt

	// HoldCause is the id of the event that last asked inventory to hold the stock: orders.placed or orders.paid_late. An
	// answer to another event is an old one that was delivered again.
	HoldCause   string            `json:"hold_cause"`
	Captured    bool              `json:"captured"`
	Capture     string            `json:"capture,omitempty"`    // of the accepted authorization: as in [events.PaymentRequested]
	Taken       events.Money      `json:"taken,omitzero"`       // captured so far
	TakesMore   bool              `json:"takes_more,omitempty"` // the rest of the authorization can still be captured
	Released    events.Money      `json:"released,omitzero"`    // of the total, which is never captured because its goods are not sent
	Reason      string            `json:"reason,omitempty"`     // why it was rejected or cancelled: one of the constants of package events
	Short       []events.Shortage `json:"short,omitempty"`
	CancelledBy string            `json:"cancelled_by,omitempty"` // the actor
	Refunds     []Refund          `json:"refunds,omitempty"`
	Disputes    []Dispute         `json:"disputes,omitempty"`
	Fulfilments []Fulfilment      `json:"fulfilments,omitempty"`

	// Lost is what followed when the authorization ended before all that is due was captured; nil if it did not.
	Lost *Lost `json:"lost,omitempty"`
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
		o.Status = Confirmed
		if p.Authorized {
			o.Capture = events.CaptureAtFulfilment
		}
		o = o.take(!p.Authorized, o.Total)
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
		o.Status, o.Capture = PaidLate, p.Capture
		o = o.take(p.Captured, o.Total)
	default:
		return o.applyAfter(e)
	}
	o.ChangedAt, o.Payment = e.Time, o.paymentStatus()
	if !slices.Contains(transitions[from], o.Status) {
		return o, fmt.Errorf("apply %s: an order cannot go from %q to %q", e.Type, from, o.Status)
	}
	return o, nil
}

// outcome returns the fields that every event at the end of an order has.
func (o Order) outcome() events.OrderOutcome {
	return events.OrderOutcome{OrderID: o.ID, PaymentID: o.PaymentID, Number: o.Number}
}

// shopper returns the kind of shopper who placed the order.
func (o Order) shopper() string {
	if o.CustomerID == "" {
		return events.ShopperGuest
	}
	return events.ShopperCustomer
}

// ended is outcome for an order that ends without being confirmed.
func (o Order) ended() events.OrderOutcome {
	outcome := o.outcome()
	outcome.UnpaidGuest = o.CustomerID == "" && o.Payment == Unpaid
	return outcome
}
