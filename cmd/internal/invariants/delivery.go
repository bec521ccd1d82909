package invariants

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/events"
)

// delivery is what is sent of an order, and what will not be.
type delivery struct {
	units    []units
	parcels  int
	price    int64 // of the parcels, minor units
	released int64 // of the total, which the shopper does not pay
	unpaid   int64 // of the parcels, because the authorization ended
}

// units are the units of one SKU of an order.
type units struct {
	sku     string
	ordered int64
	gone    int64 // sent, or cancelled by the last parcel or the end of the authorization
}

// of returns the units of a SKU, and adds them if they are new. Copies of the SKUs are shared by all orders.
func (d *delivery) of(l *ledger, sku string) *units {
	at := slices.IndexFunc(d.units, func(u units) bool { return u.sku == sku })
	if at < 0 {
		shared, ok := l.skus[sku]
		if !ok {
			shared = strings.Clone(sku)
			l.skus[shared] = shared
		}
		d.units, at = append(d.units, units{sku: shared}), len(d.units)
	}
	return &d.units[at]
}

// addFulfilment folds a parcel. Goods are sent only for a confirmed order, and never more than were ordered.
func (l *ledger) addFulfilment(id string, o *order, e events.Event, p events.OrderFulfilmentCreated) {
	if o.status != confirmed {
		l.find(MoneyForGoods, "order "+id, fmt.Sprintf("is %s, but goods were sent at sequence %d", o.status, e.Sequence))
	}
	l.addGone(id, o, e, slices.Concat(p.Lines, p.Cancelled))
	d := &o.delivery
	d.parcels++
	d.price += p.Amount.Amount
	if p.Final {
		d.released = p.Released.Amount
	}
}

// addLost folds the end of an authorization after which goods are not sent any more, or were sent and are not paid.
func (l *ledger) addLost(id string, o *order, e events.Event, p events.OrderAuthorizationLost) {
	l.addGone(id, o, e, p.Lines)
	o.delivery.released, o.delivery.unpaid = p.Released.Amount, p.Unpaid.Amount
}

func (l *ledger) addGone(id string, o *order, e events.Event, lines []events.ReservedLine) {
	for _, line := range lines {
		u := o.delivery.of(l, line.SKU)
		if u.gone += line.Quantity; u.gone > u.ordered && u.gone-line.Quantity <= u.ordered {
			l.find(StockAddsUp, "order "+id, fmt.Sprintf("%d of SKU %s were ordered, but %d are sent or cancelled at sequence %d", u.ordered, u.sku, u.gone, e.Sequence))
		}
	}
}

// warnBefore is how long before the end of an authorization it is an open item.
const warnBefore = 24 * time.Hour

// checkAuthorization is about an order that was confirmed with an authorization: the order knows what is captured, and the bank has
// not released the amount.
func (r *rules) checkAuthorization() {
	o, p := r.o, &r.o.payment
	if o.status != confirmed || !o.authorized {
		return
	}
	if o.taken != p.captured {
		r.find(OrdersEnd, "takes %s for captured, but its payment has captured %s", r.money(o.taken), r.money(p.captured))
	}
	if o.delivery.unpaid > 0 {
		r.openItem("%s of what was sent is not paid, because the authorization ended", r.money(o.delivery.unpaid))
	}
	left, until := p.until.Sub(r.now), p.until.UTC().Format(time.RFC3339)
	switch {
	case p.captured > 0 && o.delivery.parcels == 0:
		r.openItem("%s is captured, and nothing is sent yet", r.money(p.captured))
	case p.captured > 0 || p.until.IsZero() || left > warnBefore:
	case left < -warnBefore:
		r.find(OrdersEnd, "is confirmed, but the bank released its money on %s", until)
	case left < 0:
		r.openItem("nothing is captured, and the bank released its money on %s", until)
	default:
		r.openItem("nothing is captured yet, and the bank releases its money on %s", until)
	}
}

// due returns the least and the most that the shop may keep of the money for an order. What is only authorized is captured when goods
// are sent.
func (o *order) due() (least, most int64) {
	if o.status != confirmed {
		return 0, 0
	}
	most = o.total.Amount - o.delivery.released - o.delivery.unpaid
	least = most
	if o.authorized {
		least = min(o.delivery.price-o.delivery.unpaid, most)
	}
	refunded := sum(o.refunds, refundDone)
	return least - refunded, most - refunded
}
