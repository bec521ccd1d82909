package invariants

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/events"
)

// payment is the payment of one order. Amounts are in minor units of its currency.
type payment struct {
	intent    string
	currency  string // of the first event with an amount
	captured  int64  // in all captures together
	captures  uint8  // number of capture events
	more      bool   // the rest of the authorization can still be captured
	paid      bool   // authorized or captured
	closed    bool   // cancelled, failed or captured
	requested bool
	until     time.Time // when the bank releases the authorization; zero if unknown
	bank      processing
	refunds   []refund
	disputes  []dispute
}

type refund struct {
	id     string
	amount int64
	state  refundState
	reason string

	replaced bool // another refund makes this failed one good
}

type refundState uint8

const (
	refundRequested refundState = iota
	refundPending               // Stripe has accepted it, the bank has not paid it yet
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
	case events.PaymentProcessing:
		o.payment.bank = processingOf(e, p)
	case events.PaymentDeclined, events.PaymentActionRequired:
		o.payment.bank = processing{}
	case events.PaymentAuthorized:
		o.payment.paid, o.payment.until = true, p.ExpiresAt
	case events.PaymentCaptured:
		l.addCapture(id, o, e, p)
	case events.PaymentCancelled, events.PaymentFailed:
		o.payment.paid, o.payment.closed = o.payment.captured > 0, true
	case events.PaymentRefundRequested:
		refundOf(&o.payment.refunds, p.RefundID).request(p.Amount.Amount, p.Reason)
		o.payment.replace(p.Replaces)
		l.addCurrency(id, o, e, p.Amount)
	case events.PaymentRefundPending:
		refundOf(&o.payment.refunds, p.RefundID).pend(p.Amount.Amount)
		l.addCurrency(id, o, e, p.Amount)
	case events.PaymentRefunded:
		refundOf(&o.payment.refunds, p.RefundID).done(p.Amount.Amount)
		l.addCurrency(id, o, e, p.Amount)
	case events.PaymentRefundFailed:
		refundOf(&o.payment.refunds, p.RefundID).fail(p.Amount.Amount, p.Reason)
		o.payment.replace(p.Replaces)
	case events.PaymentDisputeUpdated:
		o.payment.addDispute(p)
	}
}

// replace records that another refund makes a failed one good, if it names one.
func (p *payment) replace(failed string) {
	if failed != "" {
		refundOf(&p.refunds, failed).replaced = true
	}
}

// addCapture folds a capture, whose amount includes those before it. After a capture that leaves nothing to capture there is no other
// one.
func (l *ledger) addCapture(id string, o *order, e events.Event, p events.PaymentCaptured) {
	pay := &o.payment
	adds := pay.captures == 0 || pay.more && (p.Amount.Amount > pay.captured || !p.More)
	if pay.captures++; !adds {
		l.find(CapturedOnce, "order "+id, fmt.Sprintf("is captured a second time at sequence %d", e.Sequence))
	}
	pay.captured, pay.more = max(pay.captured, p.Amount.Amount), p.More
	pay.paid, pay.closed = true, true
	l.addIntent(id, o, p.PaymentIntent)
	l.addCurrency(id, o, e, p.Amount)
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

// refundOf returns the refund with an id, and adds it if it is new.
func refundOf(refunds *[]refund, id string) *refund {
	at := slices.IndexFunc(*refunds, func(r refund) bool { return r.id == id })
	if at < 0 {
		*refunds, at = append(*refunds, refund{id: strings.Clone(id)}), len(*refunds)
	}
	return &(*refunds)[at]
}

func (r *refund) request(amount int64, reason string) {
	if r.state == refundRequested {
		r.amount, r.reason = amount, strings.Clone(reason)
	}
}

func (r *refund) pend(amount int64) {
	if r.state == refundRequested {
		r.amount, r.state = amount, refundPending
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

// sum adds up the refunds in some states.
func sum(refunds []refund, states ...refundState) (total int64) {
	for _, r := range refunds {
		if slices.Contains(states, r.state) {
			total += r.amount
		}
	}
	return total
}
