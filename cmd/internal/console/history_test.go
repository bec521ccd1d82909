package console

import (
	"fmt"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// hostile is text that would run a script, break out of an attribute or turn the writing direction if a page took it as markup.
const hostile = `"><img src=x onerror=alert(1)><script>alert(2)</script>{{.}}` + "\u202e"

func pounds(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }

// purchase appends the events of a confirmed order, and returns the sequence of the first.
func (w *world) purchase(id string, at time.Time) (placed uint64) {
	w.t.Helper()
	put := func(n int, subject, actor string, payload events.Payload) uint64 {
		cause := ""
		if n > 1 {
			cause = fmt.Sprintf("%s-%d", id, n-1)
		}
		return w.publish(events.Event{ID: fmt.Sprintf("%s-%d", id, n), Subject: subject, Time: at.Add(time.Duration(n) * time.Millisecond), Actor: actor,
			CorrelationID: id, CausationID: cause, Payload: payload})
	}
	order, payment, number := events.PrefixOrder+id, events.PrefixPayment+events.FirstPaymentID(id), "8F3K2-MQD7A"
	placed = put(1, order, events.ActorGuest, events.OrderPlaced{OrderID: id, Number: number, Total: pounds(4395), ExpiresAt: at.Add(time.Hour),
		Customer: events.Customer{Email: "ada@example.com", Name: "Ada Lovelace"}, Lines: []events.OrderLine{{SKU: "MUG", Title: "Harbour Mug", Quantity: 2, UnitPrice: pounds(1250)}}})
	put(2, order, "", events.OrderAwaitingPayment{OrderID: id, Amount: pounds(4395), ExpiresAt: at.Add(time.Hour)})
	put(3, payment, "", events.PaymentRequested{OrderID: id, PaymentID: events.FirstPaymentID(id), Number: number, Amount: pounds(4395)})
	put(4, payment, events.ActorStripe, events.PaymentAuthorized{OrderID: id, PaymentID: events.FirstPaymentID(id), PaymentIntent: "pi_1", Amount: pounds(4395)})
	put(5, payment, events.ActorStripe, events.PaymentCaptured{OrderID: id, PaymentID: events.FirstPaymentID(id), PaymentIntent: "pi_1", Amount: pounds(4395)})
	put(6, order, "", events.OrderConfirmed{OrderOutcome: events.OrderOutcome{OrderID: id}})
	put(7, events.PrefixNotification+id, "", events.MessageSent{OrderID: id, MessageID: id + "@example.com"})
	return placed
}

// troubles appends what the overview has to show first: a dead letter, a mail and a refund that failed, with hostile texts.
func (w *world) troubles(id string) {
	w.t.Helper()
	w.publish(events.Event{ID: id + "-mail", Subject: events.PrefixNotification + id, CorrelationID: id,
		Payload: events.MessageFailed{OrderID: id, MessageID: id + ".failed@example.com", Error: hostile}})
	w.publish(events.Event{ID: id + "-refund", Subject: events.PrefixPayment + events.FirstPaymentID(id), CorrelationID: id,
		Payload: events.PaymentRefundFailed{OrderID: id, PaymentID: events.FirstPaymentID(id), RefundID: "re_1", Amount: pounds(100), Reason: hostile}})
	w.publish(events.Event{ID: id + "-letter", Subject: events.PrefixDeadLetter + "orders.1",
		Payload: events.DeadLettered{Worker: "orders", Sequence: 1, Subject: events.PrefixOrder + id, Type: "orders.placed", Error: hostile, Fingerprint: "abc123", Attempt: 1}})
}

// lane writes the checkpoint and, with a holder, takes the lease of a lane, as a worker does.
func (w *world) lane(name, holder string, position uint64) {
	w.t.Helper()
	if err := w.Log.SaveCheckpoint(w.t.Context(), &eventlog.Checkpoint{Lane: name, Position: position, Read: position}); err != nil {
		w.t.Fatal(err)
	}
	if holder == "" {
		return
	}
	if _, ok, err := w.Log.Acquire(w.t.Context(), name, holder); err != nil || !ok {
		w.t.Fatalf("acquire %s: got %v, %v; want the lease", name, ok, err)
	}
}

// allLanes writes the checkpoints of the lanes of a whole shop, all at the end of the log.
func (w *world) allLanes(holder string) {
	w.t.Helper()
	last, err := w.Reader.Last(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range []string{"orders", "inventory", "payments", "notifications", "orders.projection", "payments.projection", "archive", "payments.stripe", "notifications.mail", "orders.timers"} {
		w.lane(name, holder, last)
	}
}
