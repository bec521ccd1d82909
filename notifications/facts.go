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
	TemplateShortened = "order_shortened"
)

// Facts are the values of an outcome that notifications.queued stores. Later events of the order do not change them. The mail
// takes goods, totals and address from the first event of the order. Fields may be added but never removed, so that a newer
// release can render a message that an older one queued.
type Facts struct {
	OrderID string    `json:"order_id"`
	Number  string    `json:"number"`
	At      time.Time `json:"at"` // when the outcome was decided

	Reason   string            `json:"reason,omitempty"`    // of a rejected or cancelled order: one of the Rejected or Cancel constants of package events
	Short    []events.Shortage `json:"short,omitempty"`     // of an order that is out of stock
	Actor    string            `json:"actor,omitempty"`     // who cancelled the order, as in [events.Event]
	RefundID string            `json:"refund_id,omitempty"` // of a refund
	Amount   *events.Money     `json:"amount,omitempty"`    // of a refund or a dispute, or what the shopper does not pay

	Authorized bool                  `json:"authorized,omitzero"` // of a confirmed order: its money is captured when goods are sent; of a cancelled one: it was only authorized
	NotSent    []events.ReservedLine `json:"not_sent,omitempty"`  // goods that are not sent any more
	Dispute    *DisputeFacts         `json:"dispute,omitempty"`   // of a dispute
}

// Outcome is the outcome of an order as its mail needs it: a template and the values for it. The recipient is in the first event
// of the order.
type Outcome struct {
	Template string
	Facts    Facts
}

// outcomeOf returns an outcome with the values that all outcomes have.
func outcomeOf(template string, o events.OrderOutcome, at time.Time) Outcome {
	return Outcome{Template: template, Facts: Facts{OrderID: o.OrderID, Number: o.Number, At: at}}
}

// Confirmed is the outcome of an order that is paid, or whose payment is authorized.
func Confirmed(p events.OrderConfirmed, at time.Time) Outcome {
	o := outcomeOf(TemplateConfirmed, p.OrderOutcome, at)
	o.Facts.Authorized = p.Authorized
	return o
}

// Shortened is the outcome of an order whose authorization ended when a part of it was sent: the rest is not sent.
func Shortened(p events.OrderAuthorizationLost, at time.Time) Outcome {
	o := outcomeOf(TemplateShortened, p.OrderOutcome, at)
	o.Facts.NotSent, o.Facts.Amount = p.Lines, &p.Released
	return o
}

// Rejected is the outcome of an order that the shop cannot deliver.
func Rejected(p events.OrderRejected, at time.Time) Outcome {
	o := outcomeOf(TemplateRejected, p.OrderOutcome, at)
	o.Facts.Reason, o.Facts.Short = p.Reason, p.Short
	return o
}

// Expired is the outcome of an order that was not paid in time.
func Expired(p events.OrderExpired, at time.Time) Outcome {
	return outcomeOf(TemplateExpired, p.OrderOutcome, at)
}

// Cancelled is the outcome of an order that an actor cancelled.
func Cancelled(p events.OrderCancelled, actor string, at time.Time) Outcome {
	o := outcomeOf(TemplateCancelled, p.OrderOutcome, at)
	o.Facts.Reason, o.Facts.Actor, o.Facts.Authorized = p.Reason, actor, len(p.Restock) > 0
	return o
}

// Refunded is the outcome of a refund.
func Refunded(p events.OrderRefunded, at time.Time) Outcome {
	o := outcomeOf(TemplateRefunded, p.OrderOutcome, at)
	o.Facts.RefundID, o.Facts.Amount = p.RefundID, &p.Amount
	return o
}
