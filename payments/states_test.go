package payments

import (
	"strings"
	"testing"
	"time"

	"tillstream/events"
)

const (
	order  = "0190b3c0-1111-7000-8000-000000000001"
	intent = "pi_1"
)

var (
	payment = events.FirstPaymentID(order)
	gbp1250 = events.Money{Amount: 1250, Currency: "GBP"}
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

	awaiting = events.OrderAwaitingPayment{OrderID: order, PaymentID: payment, Number: "8F3K2-MQD7A", Amount: gbp1250, ExpiresAt: noon.Add(time.Hour)}

	// One fact of each type.
	factRequested       = events.PaymentRequested{OrderID: order, PaymentID: payment, Number: awaiting.Number, Amount: gbp1250, ExpiresAt: awaiting.ExpiresAt}
	factIntent          = events.PaymentIntentCreated{OrderID: order, PaymentID: payment, PaymentIntent: intent, Amount: gbp1250}
	factAction          = events.PaymentActionRequired{OrderID: order, PaymentID: payment, PaymentIntent: intent}
	factProcessing      = events.PaymentProcessing{OrderID: order, PaymentID: payment, PaymentIntent: intent}
	factDeclined        = events.PaymentDeclined{OrderID: order, PaymentID: payment, PaymentIntent: intent, Fact: "ch_no", Code: "card_declined", DeclineCode: "generic_decline", Message: "No."}
	factAuthorized      = events.PaymentAuthorized{OrderID: order, PaymentID: payment, PaymentIntent: intent, Charge: "ch_1", Amount: gbp1250}
	factCaptured        = events.PaymentCaptured{OrderID: order, PaymentID: payment, PaymentIntent: intent, Charge: "ch_1", Amount: gbp1250}
	factCancel          = events.PaymentCancelRequested{OrderID: order, PaymentID: payment, Reason: "orders.expired"}
	factForce           = events.PaymentCancelRequested{OrderID: order, PaymentID: payment, Force: true, Reason: "orders.cancelled"}
	factCancelled       = events.PaymentCancelled{OrderID: order, PaymentID: payment, PaymentIntent: intent}
	factCancelledBefore = events.PaymentCancelled{OrderID: order, PaymentID: payment, Reason: "orders.expired"}
	factFailed          = events.PaymentFailed{OrderID: order, PaymentID: payment, Code: "amount_too_small", Message: "too small"}
)

// histories are the facts that lead to each state of a payment, by the name of the state.
var histories = map[string][]events.Payload{
	"none":            {},
	"requested":       {factRequested},
	"intent":          {factRequested, factIntent},
	"action":          {factRequested, factIntent, factAction},
	"processing":      {factRequested, factIntent, factProcessing},
	"declined":        {factRequested, factIntent, factDeclined},
	"authorized":      {factRequested, factIntent, factAuthorized},
	"captured":        {factRequested, factIntent, factAuthorized, factCaptured},
	"cancelRequested": {factRequested, factIntent, factCancel},
	"forceRequested":  {factRequested, factIntent, factForce},
	"cancelled":       {factRequested, factIntent, factCancel, factCancelled},
	"cancelledBefore": {factRequested, factCancel, factCancelledBefore},
	"failed":          {factRequested, factFailed},
	"refundPending": {factRequested, factIntent, factForce, factCaptured,
		events.PaymentRefundRequested{OrderID: order, PaymentID: payment, RefundID: payment + "-void", Amount: gbp1250}},
	"refunded": {factRequested, factIntent, factCaptured,
		events.PaymentRefunded{OrderID: order, PaymentID: payment, RefundID: "re_1", StripeRefund: "re_1", Amount: gbp1250}},
}

func fold(t testing.TB, facts ...events.Payload) Payment {
	t.Helper()
	p, err := foldOn(Payment{}, facts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func foldOn(p Payment, facts ...events.Payload) (Payment, error) {
	for _, fact := range facts {
		var err error
		if p, err = p.Apply(events.Event{Type: fact.EventType(), Time: noon, Payload: fact}); err != nil {
			return p, err
		}
	}
	return p, nil
}

// snapshot returns the intent in a status.
func snapshot(status IntentStatus) Intent {
	in := Intent{ID: intent, PaymentID: payment, OrderID: order, Amount: gbp1250, Status: status}
	switch status {
	case IntentRequiresCapture:
		in.Charge, in.Capturable = "ch_1", 1250
	case IntentSucceeded:
		in.Charge, in.Received = "ch_1", 1250
	}
	return in
}

func snapshotDeclined() Intent {
	in := snapshot(IntentRequiresPaymentMethod)
	in.LastError = &Attempt{Fact: "ch_no", Decline: Decline{Code: "card_declined", DeclineCode: "generic_decline", Message: "No."}}
	return in
}

// types renders facts by their types, without the domain's prefix.
func types(facts []events.Payload) string {
	var names []string
	for _, fact := range facts {
		names = append(names, strings.TrimPrefix(fact.EventType(), "payments."))
	}
	return strings.Join(names, " ")
}
