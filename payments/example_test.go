package payments_test

import (
	"fmt"
	"time"

	"tillstream/events"
	"tillstream/payments"
)

// Stripe reports a capture after the order was cancelled. The capture is recorded, and the same commit requests a refund.
func ExampleRecordIntent() {
	amount := events.Money{Amount: 1250, Currency: "GBP"}
	var p payments.Payment
	for _, fact := range []events.Payload{
		events.PaymentRequested{OrderID: "o1", PaymentID: "p1", Amount: amount},
		events.PaymentIntentCreated{OrderID: "o1", PaymentID: "p1", PaymentIntent: "pi_1", Amount: amount},
		events.PaymentCancelRequested{OrderID: "o1", PaymentID: "p1", Force: true, Reason: "orders.cancelled"},
	} {
		var err error
		if p, err = p.Apply(events.Event{Type: fact.EventType(), Time: time.Unix(0, 0), Payload: fact}); err != nil {
			fmt.Println(err)
			return
		}
	}
	intent := payments.Intent{ID: "pi_1", PaymentID: "p1", OrderID: "o1", Amount: amount, Received: 1250, Status: payments.IntentSucceeded}
	facts, err := payments.RecordIntent(p, intent, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, fact := range facts {
		fmt.Println(fact.EventType())
	}
	// Output:
	// payments.captured
	// payments.refund_requested
}
