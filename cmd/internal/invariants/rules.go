package invariants

import (
	"fmt"
	"time"

	"tillstream/events"
)

// verdict is what the rules say about one order as it was read. Findings may only mean that it is on its way; what is firm
// cannot come right any more.
type verdict struct {
	findings    []Finding
	firm        []Finding
	open        []OpenItem
	progressing bool // not final, and nothing is wrong with that
}

// rules carries what the rules on one order share.
type rules struct {
	verdict
	id     string
	o      *order
	now    time.Time
	settle time.Duration
}

// judge applies the rules on one order: I1, I2, I5, and of I3 that its goods are those that were ordered.
func judge(id string, o *order, now time.Time, settle time.Duration) verdict {
	r := rules{id: id, o: o, now: now, settle: settle}
	r.ends()
	r.charges()
	r.reserves()
	if o.status >= confirmed {
		r.keeps()
	}
	return r.verdict
}

func (r *rules) find(invariant, format string, args ...any) {
	r.findings = append(r.findings, r.finding(invariant, format, args...))
}

func (r *rules) finding(invariant, format string, args ...any) Finding {
	return Finding{Invariant: invariant, Subject: "order " + r.id, Detail: fmt.Sprintf(format, args...)}
}

// ends is I1. An order waits for its shopper until its deadline; for anything else in the shop, such as to hear that the
// shopper has paid, it does not wait long.
func (r *rules) ends() {
	o := r.o
	switch o.status {
	case unknown:
		r.find(OrdersEnd, "is not in the log, but %s", o.traces())
	case awaitingPayment:
		if o.payment.paid {
			r.find(OrdersEnd, "still waits for payment, was paid, and has not moved for %s", r.now.Sub(o.moved).Round(time.Second))
		} else if late := r.now.Sub(o.expires); late > r.settle {
			r.find(OrdersEnd, "still waits for payment, %s after its deadline", late.Round(time.Second))
		} else {
			r.progressing = true
		}
	case placed, capturing, paidLate:
		r.find(OrdersEnd, "is %s and has not moved for %s", o.status, r.now.Sub(o.moved).Round(time.Second))
	case confirmed:
		if o.reservation != committed {
			r.find(OrdersEnd, "is confirmed, but its reservation is %s", o.reservation)
		}
	default:
		r.lets()
	}
}

// lets sees that an order which ended without a sale has let go of stock and card.
func (r *rules) lets() {
	o := r.o
	if o.reservation != released && o.reservation != refused {
		r.find(OrdersEnd, "is %s, but its reservation is %s", o.status, o.reservation)
	}
	if o.payment.asked && !o.payment.closed {
		r.find(OrdersEnd, "is %s, but its payment is still open", o.status)
	}
}

// traces says what there is of an order that was never placed.
func (o *order) traces() string {
	switch {
	case o.payment.captured > 0:
		return "money was captured for it"
	case o.payment.asked || o.payment.intent != "":
		return "it has a payment"
	case o.reservation != neverAsked:
		return "it has a reservation"
	}
	return "a mail is about it"
}

// charges is I2 on the whole order; a second capture or intent is found where it is folded.
func (r *rules) charges() {
	p := &r.o.payment
	if r.o.status == unknown {
		return // said already
	}
	if p.captured > r.o.total.Amount {
		r.firm = append(r.firm, r.finding(CapturedOnce, "captured %s, its total is %s", r.money(p.captured), r.o.total))
	}
	if p.currency != "" && p.currency != r.o.total.Currency {
		r.firm = append(r.firm, r.finding(CapturedOnce, "is in %s, its money moves in %s", r.o.total.Currency, p.currency))
	}
}

// reserves is the part of I3 that is about one order: what is held for it, or was sold, is what its customer ordered.
func (r *rules) reserves() {
	o := r.o
	if has := o.reservation == held || o.reservation == committed; has && o.status != unknown && o.reserved != o.ordered {
		r.firm = append(r.firm, r.finding(StockAddsUp, "its reservation is %s, and not for the goods that were ordered", o.reservation))
	}
}

// keeps is I5: what is kept of the money is what the goods cost that were not taken back.
func (r *rules) keeps() {
	o, p := r.o, &r.o.payment
	back := p.sum(refundDone)
	kept, due := p.captured-back, int64(0)
	if o.status == confirmed {
		due = o.total.Amount - p.booked
	}
	for _, refund := range p.refunds {
		if refund.state != refundDone {
			r.open = append(r.open, OpenItem{Subject: "order " + r.id, Detail: r.refundText(refund)})
		}
	}
	pending := p.sum(refundAsked) + p.sum(refundFailed)
	switch {
	case back > p.captured:
		r.find(MoneyForGoods, "sent %s back, captured only %s", r.money(back), r.money(p.captured))
	case kept < due:
		r.find(MoneyForGoods, "is %s and keeps %s for goods of %s", o.status, r.money(kept), r.money(due))
	case kept > due+pending:
		r.find(MoneyForGoods, "is %s and keeps %s for goods of %s, with refunds of %s on their way", o.status, r.money(kept), r.money(due), r.money(pending))
	}
}

func (r *rules) refundText(refund refund) string {
	if refund.state == refundFailed {
		return fmt.Sprintf("refund %s of %s failed: %s", refund.id, r.money(refund.amount), refund.reason)
	}
	return fmt.Sprintf("refund %s of %s is asked for and not done: %s", refund.id, r.money(refund.amount), refund.reason)
}

func (r *rules) money(amount int64) events.Money {
	return events.Money{Amount: amount, Currency: r.o.total.Currency}
}
