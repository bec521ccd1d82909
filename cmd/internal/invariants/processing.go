package invariants

import (
	"strings"
	"time"

	"tillstream/events"
)

// processing is a payment that the shopper's bank processes for days. It is zero before and after that, and with methods that end at
// once.
type processing struct {
	method string    // Stripe's type of the payment method, such as "sepa_debit"
	until  time.Time // when the bank must have answered
}

// processingOf returns the processing that an event begins. Events of earlier releases name no method, and were about cards.
func processingOf(e events.Event, p events.PaymentProcessing) processing {
	takes := events.ProcessingTime(p.Method)
	if p.Method == "" || takes == 0 {
		return processing{}
	}
	return processing{method: strings.Clone(p.Method), until: e.Time.Add(takes)}
}

// checkDeadline is the part of I1 about the deadline of an order that awaits payment: its stock is held for days exactly while a bank
// processes its payment. Otherwise goods would be held for nothing, or sold to others before the bank has answered.
func (r *rules) checkDeadline() {
	switch bank := r.o.payment.bank; {
	case r.o.holdsForBank == (bank.method != ""):
	case r.o.holdsForBank:
		r.find(OrdersEnd, "is held until %s for a bank, but no bank processes its payment", date(r.o.expires))
	default:
		r.find(OrdersEnd, "is held until %s, but a bank may process its payment by %s until %s", date(r.o.expires), bank.method, date(bank.until))
	}
}

// checkClosed requires that the payment of an order which has ended without a sale is closed. Stripe cannot cancel one that a bank
// processes: it is an open item until the bank must have answered. Then it is refunded or cancelled.
func (r *rules) checkClosed() {
	o := r.o
	bank := o.payment.bank
	switch {
	case !o.payment.requested || o.payment.closed:
	case bank.method != "" && r.now.Before(bank.until):
		r.openItem("is %s, and the bank may still pay by %s until %s", o.status, bank.method, date(bank.until))
	default:
		r.find(OrdersEnd, "is %s, but its payment is still open", o.status)
	}
}

func date(at time.Time) string { return at.UTC().Format(time.DateOnly) }
