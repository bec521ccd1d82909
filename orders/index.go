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
	captured                bool
	refunded                int64
	disputes                []Dispute
	total                   events.Money
	placed, changed         time.Time
}

// apply applies one event of an order with the rules of [Order.Apply], which need only a part of the state.
func (r row) apply(e events.Event) (row, error) {
	part := Order{ID: r.id, Status: r.status, Payment: r.payment, Fulfilment: r.fulfilment, Captured: r.captured, Total: r.total, Disputes: r.disputes}
	if r.refunded > 0 {
		part.Refunds = []Refund{{Amount: events.Money{Amount: r.refunded, Currency: r.total.Currency}}}
	}
	o, err := part.Apply(e)
	if err != nil {
		return r, err
	}
	changed := r
	if _, placed := e.Payload.(events.OrderPlaced); placed {
		changed = newRow(o)
	}
	changed.status, changed.payment, changed.fulfilment, changed.captured = o.Status, o.Payment, o.Fulfilment, o.Captured
	changed.refunded, changed.changed, changed.disputes = o.RefundedTotal().Amount, o.ChangedAt, o.Disputes
	return changed, nil
}

// newRow returns the parts of a row that do not change.
func newRow(o Order) row {
	o.Total.Currency = unique.Make(o.Total.Currency).Value()
	r := row{id: o.ID, number: o.Number, email: o.Customer.Email, name: o.Customer.Name, place: o.ShipTo.City + " " + o.ShipTo.Country, total: o.Total, placed: o.PlacedAt}
	r.text = searchText(o)
	for _, l := range o.Lines {
		r.skus = append(r.skus, unique.Make(lookup.Fold(l.SKU)))
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
