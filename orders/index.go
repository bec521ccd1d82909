package orders

import (
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unique"

	"tillstream/events"
	"tillstream/events/index"
	"tillstream/events/lookup"
)

// newIndex returns the list in which staff find orders.
func newIndex(logger *slog.Logger) *index.Index[row] {
	return index.New(logger, func(r *row) index.Place { return index.Place{Began: r.placed, ID: r.id} },
		index.Fold[row]{Prefix: events.PrefixOrder, Apply: row.apply},
		index.Fold[row]{Prefix: events.PrefixPayment, Row: func(e events.Event) string { return e.CorrelationID }, Apply: row.addExternal})
}

// row is an order in the index: what the list shows, and what is searched.
type row struct {
	id, number, email, name string
	place                   string // city and country
	text                    string // folded: see searchText
	skus                    []unique.Handle[string]
	external                []uint64 // hashes of the ids that Stripe uses: intent, charges, refunds, events
	status                  Status
	payment                 PaymentStatus
	fulfilment              FulfilmentStatus
	captured, sent, lost    bool  // sent: it has a fulfilment; lost: its authorization
	taken                   int64 // captured so far
	unsent                  int64 // units that were ordered and are neither sent nor cancelled; a refund does not change it
	total                   events.Money
	placed, changed         time.Time
	exceptions              *exceptions // nil for most orders
}

// exceptions are the refunds and disputes of an order.
type exceptions struct {
	refunds  []Refund
	disputes []Dispute
}

// apply applies one event of an order with the rules of [Order.Apply], which need only a part of the state: of the lines and
// fulfilments, how many units are still to be sent.
func (r row) apply(e events.Event) (row, error) {
	o, err := r.part().Apply(e)
	if err != nil {
		return r, err
	}
	changed := r
	switch p := e.Payload.(type) {
	case events.OrderPlaced:
		changed = newRow(o)
	case events.OrderFulfilmentCreated:
		changed.sent = true
		for _, l := range slices.Concat(p.Lines, p.Cancelled) {
			changed.unsent -= l.Quantity
		}
	case events.OrderAuthorizationLost:
		changed.lost = true
		for _, l := range p.Lines {
			changed.unsent -= l.Quantity
		}
	}
	changed.status, changed.payment, changed.fulfilment, changed.captured = o.Status, o.Payment, o.Fulfilment, o.Captured
	changed.taken, changed.changed = o.Taken.Amount, o.ChangedAt
	if len(o.Refunds)+len(o.Disputes) > 0 {
		changed.exceptions = &exceptions{o.Refunds, o.Disputes}
	}
	return changed, nil
}

// part returns the state of the order as far as the row has it.
func (r row) part() Order {
	o := Order{ID: r.id, Status: r.status, Payment: r.payment, Fulfilment: r.fulfilment, Captured: r.captured, Total: r.total,
		Taken: events.Money{Amount: r.taken, Currency: r.total.Currency}, Lines: []events.OrderLine{{Quantity: r.unsent}}}
	if r.sent {
		o.Fulfilments = []Fulfilment{{}}
	}
	if r.lost {
		o.Lost = &Lost{}
	}
	if r.exceptions != nil {
		o.Refunds, o.Disputes = r.exceptions.refunds, r.exceptions.disputes
	}
	return o
}

// newRow returns the parts of a row that do not change.
func newRow(o Order) row {
	o.Total.Currency = unique.Make(o.Total.Currency).Value()
	r := row{id: o.ID, number: o.Number, email: o.Customer.Email, name: o.Customer.Name, place: o.ShipTo.City + " " + o.ShipTo.Country, total: o.Total, placed: o.PlacedAt}
	r.text = searchText(o)
	for _, l := range o.Lines {
		r.skus = append(r.skus, unique.Make(lookup.Fold(l.SKU)))
		r.unsent += l.Quantity
	}
	return r
}

// searchText returns the text in which the words of a search are looked for.
func searchText(o Order) string {
	return lookup.Fold(strings.Join([]string{o.Customer.Name, o.Customer.Email, o.Number, o.ShipTo.Line1, o.ShipTo.City, o.ShipTo.PostalCode, o.ShipTo.Country}, " "))
}

// addExternal records the ids of Stripe in an event of a payment of the order.
func (r row) addExternal(e events.Event) (row, error) {
	for _, id := range externalIDs(e.Payload) {
		if h := hashed(id); id != "" && !slices.Contains(r.external, h) {
			r.external = append(r.external, h)
		}
	}
	return r, nil
}

// externalIDs returns the ids of Stripe in an event.
func externalIDs(payload events.Payload) []string {
	switch p := payload.(type) {
	case events.PaymentIntentCreated:
		return []string{p.PaymentIntent}
	case events.PaymentAuthorized:
		return []string{p.PaymentIntent, p.Charge}
	case events.PaymentCaptured:
		return []string{p.PaymentIntent, p.Charge}
	case events.PaymentDeclined:
		return []string{p.PaymentIntent, p.Fact}
	case events.PaymentRefundPending:
		return []string{p.StripeRefund, p.Charge}
	case events.PaymentRefunded:
		return []string{p.StripeRefund, p.Charge}
	case events.PaymentRefundFailed:
		return []string{p.StripeRefund}
	case events.PaymentDisputeUpdated:
		return []string{p.Dispute, p.Charge}
	case events.WebhookReceived:
		return []string{p.StripeEvent}
	}
	return nil
}

// hashed returns a hash of an id, which takes a fifth of its memory. Two ids of a million have the same with a probability of one in
// thirty million.
func hashed(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	return h.Sum64()
}
