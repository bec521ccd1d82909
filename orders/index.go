package orders

import (
	"cmp"
	"errors"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	"tillstream/events"
	"tillstream/events/lookup"
	"tillstream/events/worker"
)

// errLoading is returned by the list of orders until it has read the log up to its end. The same request may succeed later.
var errLoading = errors.New("the list of orders is still being read")

// index holds every order in memory, in the form in which staff list and search orders. It is computed from the log alone, so staff
// find orders while MongoDB is down.
//
// The projection has the same orders, but searches in it do not meet what staff expect: FerretDB on SQLite reads the whole collection
// for a filter by e-mail address or number, and no database has an index for parts of names without their accents. A scan of
// this index costs less than a millisecond per 10,000 orders. deploy/PERFORMANCE.md has its size per order.
type index struct {
	logger *slog.Logger
	mu     sync.RWMutex
	rows   map[string]*row // by id
	sorted []*row          // the oldest first: see byPlaced
	loaded chan struct{}   // closed when the log is read up to its end
	once   sync.Once
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
	total                   events.Money
	placed, changed         time.Time
}

func newIndex(logger *slog.Logger) *index {
	return &index{logger: logger, rows: map[string]*row{}, loaded: make(chan struct{})}
}

// allTime is longer than any shop exists.
const allTime = 100 * 365 * 24 * time.Hour

// watch reads the events of all orders and payments from the beginning, and then every new one.
func (x *index) watch() worker.Watch {
	return worker.Watch{Prefixes: []string{events.PrefixOrder, events.PrefixPayment}, Since: allTime, Handle: x.handle,
		Ready: func() { x.once.Do(func() { close(x.loaded) }) }}
}

// handle applies one event. One that does not fit the state of its order is logged and skipped.
func (x *index) handle(e events.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !strings.HasPrefix(e.Subject, events.PrefixOrder) {
		x.addExternal(e)
		return
	}
	id, ok := events.ParseSubject(events.PrefixOrder, e.Subject)
	if !ok || e.Revision == 0 { // not an event of an order: published by hand
		return
	}
	r := x.rows[id]
	if r == nil {
		r = &row{}
	}
	changed, err := r.apply(e)
	if err != nil {
		x.logger.Warn("event skipped by the list of orders", "subject", e.Subject, "sequence", e.Sequence, "error", err)
		return
	}
	if _, known := x.rows[id]; known {
		*r = changed // its place in the order does not change
		return
	}
	x.rows[id] = &changed
	at, _ := slices.BinarySearchFunc(x.sorted, &changed, byPlaced)
	x.sorted = slices.Insert(x.sorted, at, &changed)
}

// byPlaced sorts the oldest order first; of orders placed at the same time the greatest id, so that backwards it is the smallest.
func byPlaced(a, b *row) int { return cmp.Or(a.placed.Compare(b.placed), cmp.Compare(b.id, a.id)) }

// apply applies one event of an order with the rules of [Order.Apply], which need only a part of the state.
func (r *row) apply(e events.Event) (row, error) {
	part := Order{ID: r.id, Status: r.status, Payment: r.payment, Fulfilment: r.fulfilment, Captured: r.captured, Total: r.total}
	if r.refunded > 0 {
		part.Refunds = []Refund{{Amount: events.Money{Amount: r.refunded, Currency: r.total.Currency}}}
	}
	o, err := part.Apply(e)
	if err != nil {
		return *r, err
	}
	changed := *r
	if _, placed := e.Payload.(events.OrderPlaced); placed {
		changed = newRow(o)
	}
	changed.status, changed.payment, changed.fulfilment, changed.captured = o.Status, o.Payment, o.Fulfilment, o.Captured
	changed.refunded, changed.changed = o.RefundedTotal().Amount, o.ChangedAt
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

// addExternal records the ids of Stripe in an event of a payment.
func (x *index) addExternal(e events.Event) {
	r := x.rows[e.CorrelationID]
	if r == nil {
		return
	}
	for _, id := range externalIDs(e.Payload) {
		if h := hashed(id); id != "" && !slices.Contains(r.external, h) {
			r.external = append(r.external, h)
		}
	}
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
