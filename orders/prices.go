package orders

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// prices is the price list in memory. It is computed from inventory.item_changed events, so an order is priced without a request
// to inventory.
type prices struct {
	items sync.Map // sku -> Priced
	ready atomic.Bool
}

func (p *prices) lookup(sku string) (Priced, bool) {
	item, ok := p.items.Load(sku)
	if !ok {
		return Priced{}, false
	}
	return item.(Priced), true
}

// priced reads title and price of an item of inventory.
var priced = eventlog.Entity[Priced]{Prefix: events.PrefixItem, LastOnly: true,
	Apply: func(_ Priced, e events.Event) (Priced, error) {
		item, ok := e.Payload.(events.ItemChanged)
		if !ok {
			return Priced{}, fmt.Errorf("apply %s: not an event of an item", e.Type)
		}
		return Priced{Title: item.Title, Price: item.Price}, nil
	}}

// complete adds the items of a placement that the price list lacks, from the log: after a start the list is incomplete, and an
// item may have been listed a moment ago.
func (p *prices) complete(ctx context.Context, l *eventlog.Log, lines []events.ReservedLine) error {
	for _, line := range lines {
		if _, known := p.lookup(line.SKU); known {
			continue
		}
		item, _, err := priced.Read(ctx, l, line.SKU)
		if errors.Is(err, eventlog.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		p.items.LoadOrStore(line.SKU, item)
	}
	return nil
}

// watch keeps the price list current: it reads the newest event of every item first, and then each change.
func (p *prices) watch() worker.Watch {
	return worker.Watch{Prefixes: []string{events.PrefixItem}, Snapshot: true, Ready: func() { p.ready.Store(true) },
		Handle: func(e events.Event) {
			sku, ok := events.ParseSubject(events.PrefixItem, e.Subject)
			if !ok || e.Revision == 0 { // not an event of an item: published by hand
				return
			}
			if item, err := priced.Apply(Priced{}, e); err == nil {
				p.items.Store(sku, item)
			}
		}}
}
