package orders

import (
	"slices"
	"time"

	"tillstream/events"
)

// PaymentProcessing returns the events that follow when the bank processes the payment. With a method for which it needs days, the
// stock is held for as long as it may take. cause is the id of the event that orders handles: the same one changes nothing again.
func (o Order) PaymentProcessing(cause, method string, now time.Time) []events.Payload {
	takes := events.ProcessingTime(method)
	if method == "" || takes == 0 || o.Status != AwaitingPayment || o.Deadline == events.DeadlineProcessing || slices.Contains(o.DeadlineCauses, cause) {
		return nil // earlier releases recorded no method, and had only cards
	}
	return []events.Payload{events.OrderDeadlineChanged{OrderID: o.ID, ExpiresAt: now.Add(takes), Reason: events.DeadlineProcessing}}
}

// ProcessingFailed returns the events that follow when the shopper must pay in another way after the bank has processed the payment for
// days. The stock is held for as long as for a new order. cause is as in PaymentProcessing.
func (o Order) ProcessingFailed(cause string, now time.Time, holdFor time.Duration) []events.Payload {
	if o.Status != AwaitingPayment || o.Deadline != events.DeadlineProcessing || slices.Contains(o.DeadlineCauses, cause) {
		return nil
	}
	return []events.Payload{events.OrderDeadlineChanged{OrderID: o.ID, ExpiresAt: now.Add(holdFor), Reason: events.DeadlineProcessingFailed}}
}

// changeDeadline folds an [events.OrderDeadlineChanged].
func (o Order) changeDeadline(changed events.OrderDeadlineChanged, cause string) Order {
	o.ExpiresAt, o.Deadline = changed.ExpiresAt, changed.Reason
	o.DeadlineCauses = append(slices.Clip(o.DeadlineCauses), cause)
	return o
}
