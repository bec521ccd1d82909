package invariants

import (
	"fmt"
	"slices"
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
	r.checkAuthorization()
	if o.status >= confirmed {
		r.checkMoney()
		r.checkRefunds()
	}
	return r.verdict
}

func (r *rules) find(invariant, format string, args ...any) {
	r.findings = append(r.findings, r.finding(invariant, format, args...))
}

func (r *rules) findFirm(invariant, format string, args ...any) {
	r.firm = append(r.firm, r.finding(invariant, format, args...))
}

func (r *rules) openItem(format string, args ...any) {
	r.open = append(r.open, OpenItem{Subject: "order " + r.id, Detail: fmt.Sprintf(format, args...)})
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
			r.checkDeadline()
			r.progressing = len(r.findings) == 0
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

// checkReleased requires that an order which ended without a sale holds neither stock nor money. The goods of an order that was
// cancelled after its confirmation were sold, and are returned to stock.
func (r *rules) checkReleased() {
	o := r.o
	if o.authorized && o.reservation == committed {
		if o.returned != o.ordered {
			r.find(OrdersEnd, "is %s, but not all of its goods are in stock again", o.status)
		}
	} else if o.reservation != released && o.reservation != refused {
		r.find(OrdersEnd, "is %s, but its reservation is %s", o.status, o.reservation)
	}
	r.checkClosed()
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

// checkReservation is the part of I3 about one order: the goods that are held or sold are those that were ordered, and those that are
// in stock again are those that the order returns.
func (r *rules) checkReservation() {
	o := r.o
	if has := o.reservation == held || o.reservation == committed; has && o.status != unknown && o.reserved != o.ordered {
		r.findFirm(StockAddsUp, "its reservation is %s, but not for the goods that were ordered", o.reservation)
	}
	if o.status == confirmed && o.reservation == committed && o.returned != o.back {
		r.find(StockAddsUp, "the goods that are in stock again are not those that its refunds, its last parcel and the end of its authorization return")
	}
}

// checkMoney is I5: the money kept is the price of the goods that were not returned. What the bank has taken back in a lost dispute is
// neither kept nor due.
func (r *rules) checkMoney() {
	o, p := r.o, &r.o.payment
	refunded := sum(p.refunds, refundDone)
	kept := p.captured - refunded - p.lost()
	least, most := o.due()
	least, most = lessLost(least, kept, p.lost()), lessLost(most, kept, p.lost())
	pending := sum(p.refunds, refundRequested, refundPending, refundFailed)
	switch {
	case refunded > p.captured:
		r.find(MoneyForGoods, "refunded %s, but captured only %s", r.money(refunded), r.money(p.captured))
	case kept < least:
		r.find(MoneyForGoods, "is %s and keeps %s for goods of %s", o.status, r.money(kept), r.money(least))
	case kept > most+pending:
		r.find(MoneyForGoods, "is %s and keeps %s for goods of %s, with pending refunds of %s", o.status, r.money(kept), r.money(most), r.money(pending))
	}
}

// checkRefunds is the part of I5 about the refunds that an order requests: they are requested of Stripe too, fail there and here, and
// are not more than was captured. Refunds that are not done are open items.
func (r *rules) checkRefunds() {
	o, p := r.o, &r.o.payment
	for _, refund := range p.refunds {
		if refund.state != refundDone && (refund.state != refundFailed || !refund.replaced) {
			r.openItem("%s", r.refundText(refund))
		}
	}
	for _, asked := range o.refunds {
		if asked.state != refundRequested {
			continue
		}
		at := slices.IndexFunc(p.refunds, func(r refund) bool { return r.id == asked.id })
		switch {
		case at < 0:
			r.find(MoneyForGoods, "asks for refund %s of %s, but its payment does not", asked.id, r.money(asked.amount))
		case p.refunds[at].state == refundFailed:
			r.find(MoneyForGoods, "waits for refund %s of %s, which has failed", asked.id, r.money(asked.amount))
		}
	}
	if asked := sum(o.refunds, refundRequested, refundDone); asked > p.captured && p.captured > 0 {
		r.find(MoneyForGoods, "its refunds are %s, but only %s was captured", r.money(asked), r.money(p.captured))
	}
}

func (r *rules) refundText(refund refund) string {
	what := fmt.Sprintf("refund %s of %s", refund.id, r.money(refund.amount))
	switch refund.state {
	case refundFailed:
		return what + " failed: " + refund.reason
	case refundPending:
		return what + " is pending at the bank"
	}
	return what + " is requested and not done yet: " + refund.reason
}

func (r *rules) money(amount int64) events.Money {
	return events.Money{Amount: amount, Currency: r.o.total.Currency}
}
