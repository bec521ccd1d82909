package invariants

import (
	"cmp"
	"fmt"
	"strings"

	"tillstream/events"
)

// payment is the payment of one order. Amounts are in minor units of its currency.
type payment struct {
	intent    string
	currency  string // of the first event with an amount
	captured  int64
	captures  uint8 // number of capture events
	paid      bool  // authorized or captured
	closed    bool  // cancelled, failed or captured
	requested bool
	refunds   []refund
	booked    int64 // refunded according to the order's own events
	disputes  []dispute
}

type refund struct {
	id     string
	amount int64
	state  refundState
	reason string
}

type refundState uint8

const (
	refundRequested refundState = iota
	refundDone
	refundFailed // also after refundDone: a bank can return the money days later
)

// addPayment folds an event of a payment, and finds what is wrong with the payment alone.
func (l *ledger) addPayment(id string, o *order, e events.Event) {
	switch p := e.Payload.(type) {
	case events.PaymentRequested:
		o.payment.requested = true
	case events.PaymentIntentCreated:
		l.addIntent(id, o, p.PaymentIntent)
	case events.PaymentAuthorized:
		o.payment.paid = true
	case events.PaymentCaptured:
		o.payment.captured += p.Amount.Amount
		o.payment.paid, o.payment.closed = true, true
		if o.payment.captures++; o.payment.captures == 2 {
			l.find(CapturedOnce, "order "+id, fmt.Sprintf("is captured a second time at sequence %d", e.Sequence))
		}
		l.addIntent(id, o, p.PaymentIntent)
		l.addCurrency(id, o, e, p.Amount)
	case events.PaymentCancelled, events.PaymentFailed:
		o.payment.paid, o.payment.closed = o.payment.captured > 0, true
	case events.PaymentRefundRequested:
		o.payment.refund(p.RefundID).request(p.Amount.Amount, p.Reason)
		l.addCurrency(id, o, e, p.Amount)
	case events.PaymentRefunded:
		o.payment.refund(p.RefundID).done(p.Amount.Amount)
		l.addCurrency(id, o, e, p.Amount)
	case events.PaymentRefundFailed:
		o.payment.refund(p.RefundID).fail(p.Amount.Amount, p.Reason)
	case events.PaymentDisputeUpdated:
		o.payment.addDispute(p)
	}
}

// addIntent records the PaymentIntent of an order. A second one could take the money a second time.
func (l *ledger) addIntent(id string, o *order, intent string) {
	switch {
	case intent == "" || intent == o.payment.intent:
		return
	case o.payment.intent != "":
		l.find(CapturedOnce, "order "+id, fmt.Sprintf("has two PaymentIntents, %s and %s", o.payment.intent, intent))
		return
	}
	if other, taken := l.intents[intent]; taken && other != id {
		l.find(CapturedOnce, "order "+id, fmt.Sprintf("shares PaymentIntent %s with order %s", intent, other))
	}
	o.payment.intent = strings.Clone(intent)
	l.intents[o.payment.intent] = id
}

// addCurrency requires one currency in all events of a payment. The rules compare it with the order's.
func (l *ledger) addCurrency(id string, o *order, e events.Event, m events.Money) {
	if o.payment.currency == "" {
		o.payment.currency = strings.Clone(m.Currency)
	}
	if m.Currency != o.payment.currency {
		l.find(CapturedOnce, "order "+id, fmt.Sprintf("its payment is in %s, but %s at sequence %d is about %s", o.payment.currency, e.Type, e.Sequence, m))
	}
}

// refund returns the refund with an id, and adds it if it is new.
func (p *payment) refund(id string) *refund {
	for i := range p.refunds {
		if p.refunds[i].id == id {
			return &p.refunds[i]
		}
	}
	p.refunds = append(p.refunds, refund{id: strings.Clone(id)})
	return &p.refunds[len(p.refunds)-1]
}

func (r *refund) request(amount int64, reason string) {
	if r.state == refundRequested {
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

// capturedMoney returns the captured amount with its currency.
func (o *order) capturedMoney() events.Money {
	return events.Money{Amount: o.payment.captured, Currency: cmp.Or(o.payment.currency, o.total.Currency)}
}

// sum adds up the refunds in a state.
func (p *payment) sum(state refundState) (total int64) {
	for _, r := range p.refunds {
		if r.state == state {
			total += r.amount
		}
	}
	return total
}
