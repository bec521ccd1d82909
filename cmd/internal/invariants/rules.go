package invariants

import (
	"fmt"
	"time"

	"tillstream/events"
)

// verdict is the result of the rules for one order.
type verdict struct {
	findings    []Finding // may only mean that the order is on its way
	firm        []Finding // later events cannot correct them
	open        []OpenItem
	progressing bool // not final, and nothing is wrong
}

// rules applies the rules to one order.
type rules struct {
	verdict
	id     string
	o      *order
	now    time.Time
	settle time.Duration
}

// judge applies the rules on single orders: I1, I2, I5, and of I3 that the reservation is for the goods that were ordered.
func judge(id string, o *order, now time.Time, settle time.Duration) verdict {
	r := rules{id: id, o: o, now: now, settle: settle}
	r.checkStatus()
	r.checkCharges()
	r.checkReservation()
	r.checkDisputes()
	if o.status >= confirmed {
		r.checkMoney()
	}
	return r.verdict
}

func (r *rules) find(invariant, format string, args ...any) {
	r.findings = append(r.findings, r.finding(invariant, format, args...))
}

func (r *rules) findFirm(invariant, format string, args ...any) {
	r.firm = append(r.firm, r.finding(invariant, format, args...))
}

func (r *rules) finding(invariant, format string, args ...any) Finding {
	return Finding{Invariant: invariant, Subject: "order " + r.id, Detail: fmt.Sprintf(format, args...)}
}

// checkStatus is I1. An order may wait for its shopper until the deadline. Every other wait is for a part of the shop and
// ends within the settling time.
func (r *rules) checkStatus() {
	o := r.o
	switch o.status {
	case unknown:
		r.find(OrdersEnd, "is not in the log, but %s", o.traces())
	case awaitingPayment:
		if o.payment.paid {
			r.find(OrdersEnd, "still awaits payment although it was paid, and has not moved for %s", r.now.Sub(o.moved).Round(time.Second))
		} else if late := r.now.Sub(o.expires); late > r.settle {
			r.find(OrdersEnd, "still awaits payment %s after its deadline", late.Round(time.Second))
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
		r.checkReleased()
	}
}

// checkReleased requires that an order which ended without a sale holds neither stock nor money.
func (r *rules) checkReleased() {
	o := r.o
	if o.reservation != released && o.reservation != refused {
		r.find(OrdersEnd, "is %s, but its reservation is %s", o.status, o.reservation)
	}
	if o.payment.requested && !o.payment.closed {
		r.find(OrdersEnd, "is %s, but its payment is still open", o.status)
	}
}

// traces describes what the log has about an order that was never placed.
func (o *order) traces() string {
	switch {
	case o.payment.captured > 0:
		return "money was captured for it"
	case o.payment.requested || o.payment.intent != "":
		return "it has a payment"
	case o.reservation != notRequested:
		return "it has a reservation"
	}
	return "a mail is about it"
}

// checkCharges is I2 for the whole order. A second capture or PaymentIntent is found when it is folded.
func (r *rules) checkCharges() {
	p := &r.o.payment
	if r.o.status == unknown {
		return // I1 has reported it
	}
	if p.captured > r.o.total.Amount {
		r.findFirm(CapturedOnce, "captured %s of a total of %s", r.money(p.captured), r.o.total)
	}
	if p.currency != "" && p.currency != r.o.total.Currency {
		r.findFirm(CapturedOnce, "its total is in %s, its payment in %s", r.o.total.Currency, p.currency)
	}
}

// checkReservation is the part of I3 about one order: the goods that are held or sold are those that were ordered.
func (r *rules) checkReservation() {
	o := r.o
	if has := o.reservation == held || o.reservation == committed; has && o.status != unknown && o.reserved != o.ordered {
		r.findFirm(StockAddsUp, "its reservation is %s, but not for the goods that were ordered", o.reservation)
	}
}

// checkMoney is I5: the money kept is the price of the goods that were not returned. What the bank has taken back in a lost dispute is
// neither kept nor due.
func (r *rules) checkMoney() {
	o, p := r.o, &r.o.payment
	refunded := p.sum(refundDone)
	kept, due := p.captured-refunded, int64(0)
	if o.status == confirmed {
		due = o.total.Amount - p.booked
	}
	kept, due = lessDisputed(kept, due, p.lost())
	for _, refund := range p.refunds {
		if refund.state != refundDone {
			r.open = append(r.open, OpenItem{Subject: "order " + r.id, Detail: r.refundText(refund)})
		}
	}
	pending := p.sum(refundRequested) + p.sum(refundFailed)
	switch {
	case refunded > p.captured:
		r.find(MoneyForGoods, "refunded %s, but captured only %s", r.money(refunded), r.money(p.captured))
	case kept < due:
		r.find(MoneyForGoods, "is %s and keeps %s for goods of %s", o.status, r.money(kept), r.money(due))
	case kept > due+pending:
		r.find(MoneyForGoods, "is %s and keeps %s for goods of %s, with pending refunds of %s", o.status, r.money(kept), r.money(due), r.money(pending))
	}
}

func (r *rules) refundText(refund refund) string {
	if refund.state == refundFailed {
		return fmt.Sprintf("refund %s of %s failed: %s", refund.id, r.money(refund.amount), refund.reason)
	}
	return fmt.Sprintf("refund %s of %s is requested and not done yet: %s", refund.id, r.money(refund.amount), refund.reason)
}

func (r *rules) money(amount int64) events.Money {
	return events.Money{Amount: amount, Currency: r.o.total.Currency}
}
