package invariants

import (
	"fmt"
	"strings"

	"tillstream/events"
)

// payment is the money of one order. Amounts are minor units of its currency.
type payment struct {
	intent   string
	currency string // of the first amount that moved
	captured int64
	captures uint8 // how often the log says so
	paid     bool  // the shopper's card is authorized, or charged
	closed   bool  // cancelled, failed or captured: Stripe has nothing more to say
	asked    bool  // a payment was requested
	refunds  []refund
	booked   int64 // what the order says went back
}

type refund struct {
	id     string
	amount int64
	state  refundState
	reason string
}

type refundState uint8

const (
	refundAsked refundState = iota
	refundDone
	refundFailed // ends refundDone: a bank can send money back days later
)

// addPayment folds a fact about money. What needs no other entity to be seen is found here.
func (l *ledger) addPayment(id string, o *order, e events.Event) {
	switch p := e.Payload.(type) {
	case events.PaymentRequested:
		o.payment.asked = true
	case events.PaymentIntentCreated:
		l.addIntent(id, o, p.PaymentIntent)
	case events.PaymentAuthorized:
		o.payment.paid = true
	case events.PaymentCaptured:
		o.payment.captured += p.Amount.Amount
		o.payment.paid, o.payment.closed = true, true
		if o.payment.captures++; o.payment.captures == 2 {
			l.find(CapturedOnce, "order "+id, fmt.Sprintf("is captured a second time at %d", e.Sequence))
		}
		l.addIntent(id, o, p.PaymentIntent)
		l.addCurrency(id, o, e, p.Amount)
	case events.PaymentCancelled, events.PaymentFailed:
		o.payment.paid, o.payment.closed = o.payment.captured > 0, true
	case events.PaymentRefundRequested:
		o.payment.refund(p.RefundID).ask(p.Amount.Amount, p.Reason)
		l.addCurrency(id, o, e, p.Amount)
	case events.PaymentRefunded:
		o.payment.refund(p.RefundID).done(p.Amount.Amount)
		l.addCurrency(id, o, e, p.Amount)
	case events.PaymentRefundFailed:
		o.payment.refund(p.RefundID).fail(p.Amount.Amount, p.Reason)
	}
}

// addIntent notes which intent an order has. A second one could take the money a second time.
func (l *ledger) addIntent(id string, o *order, intent string) {
	switch {
	case intent == "" || intent == o.payment.intent:
		return
	case o.payment.intent != "":
		l.find(CapturedOnce, "order "+id, fmt.Sprintf("has two intents, %s and %s", o.payment.intent, intent))
		return
	}
	if other, taken := l.intents[intent]; taken && other != id {
		l.find(CapturedOnce, "order "+id, fmt.Sprintf("shares the intent %s with order %s", intent, other))
	}
	o.payment.intent = strings.Clone(intent)
	l.intents[o.payment.intent] = id
}

// addCurrency notes in what currency money moves. It must be one; that it is the order's is seen when all is read.
func (l *ledger) addCurrency(id string, o *order, e events.Event, m events.Money) {
	if o.payment.currency == "" {
		o.payment.currency = strings.Clone(m.Currency)
	}
	if m.Currency != o.payment.currency {
		l.find(CapturedOnce, "order "+id, fmt.Sprintf("moves %s, and %s at %d moves %s", o.payment.currency, e.Type, e.Sequence, m))
	}
}

func (p *payment) refund(id string) *refund {
	for i := range p.refunds {
		if p.refunds[i].id == id {
			return &p.refunds[i]
		}
	}
	p.refunds = append(p.refunds, refund{id: strings.Clone(id)})
	return &p.refunds[len(p.refunds)-1]
}

func (r *refund) ask(amount int64, reason string) {
	if r.state == refundAsked {
		r.amount, r.reason = amount, strings.Clone(reason)
	}
}

func (r *refund) done(amount int64) {
	if r.state != refundFailed {
		r.amount, r.state = amount, refundDone
	}
}

func (r *refund) fail(amount int64, reason string) {
	r.amount, r.state, r.reason = amount, refundFailed, strings.Clone(reason)
}

// sum adds the refunds in a state.
func (p *payment) sum(state refundState) (total int64) {
	for _, r := range p.refunds {
		if r.state == state {
			total += r.amount
		}
	}
	return total
}
