package invariants

import (
	"cmp"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// ledger is the checker's own fold of the log: as little of each event as the rules need, because a shop has millions of
// them.
type ledger struct {
	orders     map[string]*order
	stock      map[string]*stock
	sold       map[string]int64  // SKU → units of all reservations that were committed
	payments   map[string]string // payment → order
	intents    map[string]string // PaymentIntent → order
	mails      map[uint64]*mail  // by hash of the Message-ID
	findings   []Finding
	entries    int // events of stock and reservations
	unreadable int
}

// order is what the log says about one order.
type order struct {
	status  status
	total   events.Money
	expires time.Time
	moved   time.Time // when its last event was stored

	reservation reservation
	held        []events.ReservedLine // only while it is held
	ordered     goods                 // what the customer was promised
	reserved    goods                 // what was last held for it

	payment payment
	queued  []uint64 // hashes of (template, fact)
}

// goods tells apart what stands in different orders, in whatever order and however often a SKU does: units times the hash
// of their SKU, summed. An order has many lines, and no rule needs more of them than whether they are the same.
type goods uint64

func (g *goods) add(sku string, quantity int64) { *g += goods(hash(sku) * uint64(quantity)) }

// status is where an order stands.
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

// reservation is where an order's stock stands.
type reservation uint8

const (
	neverAsked reservation = iota
	held
	refused
	released
	committed
)

var reservationNames = [...]string{"missing", "held", "refused", "released", "committed"}

func (r reservation) String() string { return reservationNames[r] }

func newLedger() *ledger {
	return &ledger{orders: map[string]*order{}, stock: map[string]*stock{}, sold: map[string]int64{}, intents: map[string]string{}, payments: map[string]string{}, mails: map[uint64]*mail{}}
}

// add folds one message. What is no event of ours is counted: it becomes a dead letter, and I8 sees that.
func (l *ledger) add(m replay.Message) {
	if m.Voided() {
		return // no process takes it into account
	}
	read := m.Event
	if m.Type() == (events.WebhookReceived{}).EventType() || strings.HasPrefix(m.Subject, events.PrefixItem) {
		read = func() (events.Event, error) { return events.DecodeEnvelope(m.Subject, m.Header) } // no rule looks into these bodies, and they are the largest
	}
	e, err := read()
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
		o.addOrder(e.Payload)
	case strings.HasPrefix(m.Subject, events.PrefixReservation):
		l.entries++
		l.addReservation(o, e.Payload)
	case strings.HasPrefix(m.Subject, events.PrefixPayment):
		l.addPayment(id, o, e)
	default:
		l.addMail(id, o, e.Payload)
	}
}

// orderOf tells which order an event is about.
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

func (o *order) addOrder(p events.Payload) {
	switch p := p.(type) {
	case events.OrderPlaced:
		o.status, o.total, o.expires = placed, p.Total, p.ExpiresAt
		o.total.Currency = strings.Clone(p.Total.Currency)
		o.ordered = 0
		for _, line := range p.Lines {
			o.ordered.add(line.SKU, line.Quantity)
		}
	case events.OrderAwaitingPayment:
		o.status, o.expires = awaitingPayment, p.ExpiresAt
	case events.OrderPaymentAccepted:
		o.status = capturing
	case events.OrderPaidLate:
		o.status = paidLate
	case events.OrderConfirmed:
		o.status = confirmed
	case events.OrderRejected:
		o.status = rejected
	case events.OrderExpired:
		o.status = expired
	case events.OrderCancelled:
		o.status = cancelled
	case events.OrderRefunded:
		o.payment.booked += p.Amount.Amount
	}
}

// addReservation folds where the stock of an order stands. What it gives up when it is committed is sold.
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
	}
}
