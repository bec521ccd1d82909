package orders

import (
	"sync"
	"sync/atomic"
	"time"

	"tillstream/events"
	"tillstream/events/worker"
)

// openOrders are the unpaid orders of shoppers, in memory, to count them by e-mail address and client address. A watch of the
// log adds and removes them, so every replica knows the orders of the others, and a process that starts knows the earlier ones.
//
// Client addresses are personal data and are not in the log: a process counts by address only the orders that it has placed
// itself since it started. The watch sees an order a moment after it is placed, so replicas that are used at the same time can
// exceed a limit together, each by at most the limit.
type openOrders struct {
	mu       sync.Mutex
	byID     map[string]*openOrder
	bySource map[string]map[string]struct{} // ids of orders, by e-mail address and by client address
	ready    atomic.Bool                    // the earlier orders are read
}

// openOrder is an unpaid order, or one that is being placed.
type openOrder struct {
	sources   []string
	expiresAt time.Time // it is not counted after it, whether or not its end was read
	stored    bool      // the watch has read it
	requests  int       // that place it at present, or have placed it
}

func newOpenOrders() *openOrders {
	return &openOrders{byID: map[string]*openOrder{}, bySource: map[string]map[string]struct{}{}}
}

// begin counts the other open orders of a shopper and adds the order that is being placed, so that concurrent requests count
// each other. address is "" if it is not known. If the request placed nothing, the caller must call undo.
func (o *openOrders) begin(id, email, address string, now, expiresAt time.Time) (open OpenOrders, undo func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	open.ByEmail = o.count(id, email, now, &open.FreeAt)
	sources := []string{email}
	if address != "" {
		open.ByAddress = o.count(id, address, now, &open.FreeAt)
		open.Elsewhere = open.ByAddress == 0
		sources = append(sources, address)
	}
	order := o.byID[id]
	if order == nil {
		order = &openOrder{sources: sources, expiresAt: expiresAt}
		o.add(id, order)
	}
	order.requests++ // of several with one key, any can be the one that places the order
	return open, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if order.requests--; order.requests == 0 && !order.stored && o.byID[id] == order {
			o.remove(id)
		}
	}
}

// count returns how many orders other than id a source has, and lowers freeAt to the first of their deadlines.
func (o *openOrders) count(id, source string, now time.Time, freeAt *time.Time) (n int) {
	for other := range o.bySource[source] {
		deadline := o.byID[other].expiresAt
		switch {
		case !deadline.After(now):
			o.remove(other)
		case other != id:
			n++
			if freeAt.IsZero() || deadline.Before(*freeAt) {
				*freeAt = deadline
			}
		}
	}
	return n
}

func (o *openOrders) add(id string, order *openOrder) {
	o.byID[id] = order
	for _, source := range order.sources {
		if o.bySource[source] == nil {
			o.bySource[source] = map[string]struct{}{}
		}
		o.bySource[source][id] = struct{}{}
	}
}

func (o *openOrders) remove(id string) {
	order := o.byID[id]
	if order == nil {
		return
	}
	delete(o.byID, id)
	for _, source := range order.sources {
		if delete(o.bySource[source], id); len(o.bySource[source]) == 0 {
			delete(o.bySource, source)
		}
	}
}

// watch reads the orders that can still be open at the start, and then every change. No stock is held for longer than holdFor before
// and after the processing of a payment.
func (o *openOrders) watch(holdFor time.Duration) worker.Watch {
	return worker.Watch{Prefixes: []string{events.PrefixOrder}, Since: 2*holdFor + events.LongestProcessing(), Handle: o.apply, Ready: func() { o.ready.Store(true) }}
}

func (o *openOrders) apply(e events.Event) {
	id, ok := events.ParseSubject(events.PrefixOrder, e.Subject)
	if !ok || e.Revision == 0 { // not an event of an order: published by hand
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch p := e.Payload.(type) {
	case events.OrderPlaced:
		switch known := o.byID[id]; {
		case events.IsStaff(e.Actor):
		case known != nil:
			known.stored, known.expiresAt = true, p.ExpiresAt
		default:
			o.add(id, &openOrder{sources: []string{p.Customer.Email}, expiresAt: p.ExpiresAt, stored: true})
		}
	case events.OrderDeadlineChanged:
		if known := o.byID[id]; known != nil {
			known.expiresAt = p.ExpiresAt
		}
	case events.OrderPaymentAccepted, events.OrderConfirmed, events.OrderRejected, events.OrderExpired, events.OrderCancelled:
		o.remove(id)
	}
}
