package invariants

import (
	"strings"
	"time"

	"tillstream/events"
)

// dispute is a payment that the shopper's bank disputes.
type dispute struct {
	id     string
	status string // that Stripe answered
	booked string // that the order has
	amount int64
	due    time.Time
}

// dispute returns the dispute with an id, and adds it if it is new.
func (p *payment) dispute(id string) *dispute {
	for i := range p.disputes {
		if p.disputes[i].id == id {
			return &p.disputes[i]
		}
	}
	p.disputes = append(p.disputes, dispute{id: strings.Clone(id)})
	return &p.disputes[len(p.disputes)-1]
}

func (p *payment) addDispute(e events.PaymentDisputeUpdated) {
	d := p.dispute(e.Dispute)
	d.status, d.amount, d.due = strings.Clone(e.Status), e.Amount.Amount, e.EvidenceDue
}

// lost is the sum of what the bank has taken back.
func (p *payment) lost() (total int64) {
	for _, d := range p.disputes {
		if d.status == events.DisputeLost {
			total += d.amount
		}
	}
	return total
}

// lessLost returns what is due of an amount that was due before the bank has taken back what was lost; kept is what is left. If nothing
// was due and the money was refunded as well, the shop has paid it twice.
func lessLost(due, kept, lost int64) int64 {
	switch {
	case lost == 0:
		return due
	case due > 0:
		return due - lost
	}
	return min(due, kept)
}

// checkDisputes is the part of I5 about disputes: the order knows what Stripe answered. One that is not closed is an open item.
func (r *rules) checkDisputes() {
	for _, d := range r.o.payment.disputes {
		switch {
		case d.status != d.booked:
			r.find(MoneyForGoods, "dispute %s is %q at its payment and %q at the order", d.id, d.status, d.booked)
		case !events.DisputeClosed(d.status):
			r.open = append(r.open, OpenItem{Subject: "order " + r.id, Detail: r.disputeText(d)})
		}
	}
}

func (r *rules) disputeText(d dispute) string {
	text := "dispute " + d.id + " of " + r.money(d.amount).String() + " is " + d.status
	if !d.due.IsZero() {
		text += ", evidence is due by " + d.due.UTC().Format(time.DateOnly)
	}
	return text
}
