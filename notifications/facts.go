package notifications

import (
	"time"

	"tillstream/events"
)

// The templates, one per outcome of an order.
const (
	TemplateConfirmed = "order_confirmed"
	TemplateRejected  = "order_rejected"
	TemplateExpired   = "order_expired"
	TemplateCancelled = "order_cancelled"
	TemplateRefunded  = "order_refunded"
)

// Facts is what an outcome decided, frozen into the queued event of its mail: later events of the order do not change what
// was said. The goods, the totals and the address are not among them: the mail takes them from the order's first event.
// Fields are only ever added, so that a message queued by older code can be renderOutcome by newer.
type Facts struct {
	OrderID string    `json:"order_id"`
	Number  string    `json:"number"`
	At      time.Time `json:"at"` // when the outcome was decided

	Reason   string            `json:"reason,omitempty"`    // of a rejected or cancelled order: one of the Rejected or Cancel constants of package events
	Short    []events.Shortage `json:"short,omitempty"`     // of one rejected for want of stock
	Actor    string            `json:"actor,omitempty"`     // who cancelled, as in [events.Event]
	RefundID string            `json:"refund_id,omitempty"` // of a refund
	Amount   *events.Money     `json:"amount,omitempty"`    // of a refund
}

// Outcome is an order's outcome as something to tell: which template, with what. Whom to tell stands in the order's first
// event.
type Outcome struct {
	Template string
	Facts    Facts
}

// outcomeOf takes what all outcomes share.
func outcomeOf(template string, o events.OrderOutcome, at time.Time) Outcome {
	return Outcome{Template: template, Facts: Facts{OrderID: o.OrderID, Number: o.Number, At: at}}
}

// Confirmed tells that an order is paid and on its way.
func Confirmed(p events.OrderConfirmed, at time.Time) Outcome {
	return outcomeOf(TemplateConfirmed, p.OrderOutcome, at)
}

// Rejected tells that the shop cannot keep its promise, and why.
func Rejected(p events.OrderRejected, at time.Time) Outcome {
	o := outcomeOf(TemplateRejected, p.OrderOutcome, at)
	o.Facts.Reason, o.Facts.Short = p.Reason, p.Short
	return o
}

// Expired tells that nobody paid in time.
func Expired(p events.OrderExpired, at time.Time) Outcome {
	return outcomeOf(TemplateExpired, p.OrderOutcome, at)
}

// Cancelled tells that an order was called off, why and by whom.
func Cancelled(p events.OrderCancelled, actor string, at time.Time) Outcome {
	o := outcomeOf(TemplateCancelled, p.OrderOutcome, at)
	o.Facts.Reason, o.Facts.Actor = p.Reason, actor
	return o
}

// Refunded tells that money went back.
func Refunded(p events.OrderRefunded, at time.Time) Outcome {
	o := outcomeOf(TemplateRefunded, p.OrderOutcome, at)
	o.Facts.RefundID, o.Facts.Amount = p.RefundID, &p.Amount
	return o
}
