package invariants

import (
	"cmp"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// ledger is a fold of the log. A shop has millions of events, so it keeps only what the rules need.
type ledger struct {
	orders     map[string]*order
	stock      map[string]*stock
	sold       map[string]int64  // SKU → units of all committed reservations, less those that were returned
	skus       map[string]string // by themselves: the orders share them
	payments   map[string]string // payment id → order id
	intents    map[string]string // PaymentIntent id → order id
	mails      map[uint64]*mail  // by the hash of the Message-ID
	findings   []Finding
	entries    int // number of events of stock and reservations
	unreadable int
	histories  histories
}

// order is the state of one order.
type order struct {
	status       status
	total        events.Money
	expires      time.Time
	holdsForBank bool      // expires is in days, because a bank processes the payment
	moved        time.Time // when its last event was stored

	reservation reservation
	held        []events.ReservedLine // while the reservation is held
	ordered     goods                 // of the order's lines
	reserved    goods                 // of the latest reservation
	returned    goods                 // to stock, after they were sold
	back        goods                 // that refunds, the last parcel and the end of an authorization return to stock
	delivery    delivery

	payment    payment
	authorized bool     // confirmed before the money was captured
	taken      int64    // captured according to the order's own events
	refunds    []refund // according to the order's own events
	queued     []uint64 // hashes of (template, fact) of queued mails
}

// goods is a hash of SKUs and quantities: the sum of quantity × hash(SKU), which does not depend on the order of the lines. An
// order can have hundreds of lines, and the rules only compare two lists of goods.
type goods uint64

func (g *goods) add(sku string, quantity int64) { *g += goods(hash(sku) * uint64(quantity)) }

func (g *goods) addLines(lines []events.ReservedLine) {
	for _, line := range lines {
		g.add(line.SKU, line.Quantity)
	}
}

// status is the status of an order.
type status uint8

const (
	unknown status = iota // the log has no event of the order itself
	placed
	awaitingPayment
	capturing
	paidLate
	confirmed
	rejected
	expired
	cancelled
)

var statusNames = [...]string{"unknown", "placed", "awaiting_payment", "capturing", "paid_late", "confirmed", "rejected", "expired", "cancelled"}

func (s status) String() string { return statusNames[s] }

// reservation is the status of an order's reservation.
type reservation uint8

const (
	notRequested reservation = iota
	held
	refused
	released
	committed
)

var reservationNames = [...]string{"missing", "held", "refused", "released", "committed"}

func (r reservation) String() string { return reservationNames[r] }

func newLedger() *ledger {
	return &ledger{orders: map[string]*order{}, stock: map[string]*stock{}, sold: map[string]int64{}, skus: map[string]string{},
		intents: map[string]string{}, payments: map[string]string{}, mails: map[uint64]*mail{}, histories: newHistories()}
}

// add folds one message. A message that is not an event of the shop is only counted: it becomes a dead letter, which I8
// reports.
func (l *ledger) add(m replay.Message) {
	read := m.Event
	if m.Type() == (events.WebhookReceived{}).EventType() {
		// The rules do not need these bodies, which are the largest.
		read = func() (events.Event, error) { return events.DecodeEnvelope(m.Subject, m.Header) }
	}
	e, err := read()
	l.histories.add(l, m, e, err)
	if m.Voided() {
		return // every process skips it
	}
	if err != nil {
		l.unreadable++
		return
	}
	if sku, ok := events.ParseSubject(events.PrefixStock, m.Subject); ok {
		l.entries++
		l.addStock(sku, e)
		return
	}
	id, ok := l.orderOf(m.Subject, e)
	if !ok {
		return
	}
	o := l.order(id)
	if m.Stored.After(o.moved) {
		o.moved = m.Stored
	}
	switch {
	case strings.HasPrefix(m.Subject, events.PrefixOrder):
		l.addOrder(id, o, e)
	case strings.HasPrefix(m.Subject, events.PrefixReservation):
		l.entries++
		l.addReservation(o, e.Payload)
	case strings.HasPrefix(m.Subject, events.PrefixPayment):
		l.addPayment(id, o, e)
	default:
		l.addMail(id, o, e.Payload)
	}
}

// orderOf returns the order that an event is about, and false if it is about none.
func (l *ledger) orderOf(subject string, e events.Event) (id string, ok bool) {
	if subject == events.SubjectWebhooks {
		return "", false
	}
	for _, prefix := range []string{events.PrefixOrder, events.PrefixReservation, events.PrefixNotification} {
		if id, ok = events.ParseSubject(prefix, subject); ok {
			return id, true
		}
	}
	payment, ok := events.ParseSubject(events.PrefixPayment, subject)
	if requested, first := e.Payload.(events.PaymentRequested); ok && first {
		l.payments[strings.Clone(payment)] = strings.Clone(requested.OrderID)
	}
	return cmp.Or(l.payments[payment], e.CorrelationID, payment), ok
}

func (l *ledger) order(id string) *order {
	o, ok := l.orders[id]
	if !ok {
		o, id = &order{}, strings.Clone(id)
		l.orders[id], l.payments[events.FirstPaymentID(id)] = o, id
	}
	return o
}

func (l *ledger) find(invariant, subject, detail string) {
	l.findings = append(l.findings, Finding{Invariant: invariant, Subject: subject, Detail: detail})
}

// addOrder folds an event of an order.
func (l *ledger) addOrder(id string, o *order, e events.Event) {
	switch p := e.Payload.(type) {
	case events.OrderPlaced:
		o.status, o.total, o.expires = placed, p.Total, p.ExpiresAt
		o.total.Currency = strings.Clone(p.Total.Currency)
		o.ordered = 0
		for _, line := range p.Lines {
			o.ordered.add(line.SKU, line.Quantity)
			o.delivery.of(l, line.SKU).ordered += line.Quantity
		}
	case events.OrderAwaitingPayment:
		o.status, o.expires = awaitingPayment, p.ExpiresAt
	case events.OrderDeadlineChanged:
		o.expires, o.holdsForBank = p.ExpiresAt, p.Reason == events.DeadlineProcessing
	case events.OrderPaymentAccepted:
		o.status = capturing
	case events.OrderPaidLate:
		o.status = paidLate
	case events.OrderConfirmed:
		o.status, o.authorized = confirmed, p.Authorized
	case events.OrderRejected:
		o.status = rejected
	case events.OrderExpired:
		o.status = expired
	case events.OrderCancelled:
		o.status = cancelled
	case events.OrderPaymentCaptured:
		o.taken = p.Amount.Amount
	case events.OrderFulfilmentCreated:
		l.addFulfilment(id, o, e, p)
		o.back.addLines(p.Cancelled)
	case events.OrderAuthorizationLost:
		l.addLost(id, o, e, p)
		o.back.addLines(p.Lines)
	case events.OrderRefundRequested:
		refundOf(&o.refunds, p.RefundID).request(p.Amount.Amount, p.Reason)
		for _, line := range p.Lines {
			o.back.add(line.SKU, line.Restock)
		}
	case events.OrderRefunded:
		refundOf(&o.refunds, p.RefundID).done(p.Amount.Amount)
	case events.OrderRefundFailed:
		refundOf(&o.refunds, p.RefundID).fail(p.Amount.Amount, p.Reason)
	case events.OrderDisputed:
		o.payment.dispute(p.Dispute).booked = strings.Clone(p.Status)
	case events.OrderDisputeClosed:
		o.payment.dispute(p.Dispute).booked = strings.Clone(p.Status)
	}
}

// addReservation folds the reservation of an order. Its lines are sold when it is committed.
func (l *ledger) addReservation(o *order, p events.Payload) {
	switch p := p.(type) {
	case events.ReservationHeld:
		o.reservation, o.held, o.reserved = held, p.Lines, 0
		for _, line := range p.Lines {
			o.reserved.add(line.SKU, line.Quantity)
		}
	case events.ReservationRefused:
		o.reservation, o.held = refused, nil
	case events.ReservationReleased:
		o.reservation, o.held = released, nil
	case events.ReservationCommitted:
		for _, line := range o.held {
			l.sold[strings.Clone(line.SKU)] += line.Quantity
		}
		o.reservation, o.held = committed, nil
	case events.ReservationReturned:
		o.returned.addLines(p.Lines)
		for _, line := range p.Lines {
			l.sold[strings.Clone(line.SKU)] -= line.Quantity
		}
	}
}
