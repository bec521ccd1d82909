package orders

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/worker"
)

// prices is orders' own fold of inventory's items: an order is priced without a request to another domain.
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

// priced is an item as orders reads it in the log.
var priced = log.Entity[Priced]{Prefix: events.PrefixItem, LastOnly: true,
	Apply: func(_ Priced, e events.Event) (Priced, error) {
		item, ok := e.Payload.(events.ItemChanged)
		if !ok {
			return Priced{}, fmt.Errorf("item cannot take %s", e.Type)
		}
		return Priced{Title: item.Title, Price: item.Price}, nil
	}}

// complete makes sure that the fold knows every item of a placement that the log knows: it may be catching up after a
// start, or the item may have been listed this very moment.
func (p *prices) complete(ctx context.Context, l *log.Log, lines []events.ReservedLine) error {
	for _, line := range lines {
		if _, known := p.lookup(line.SKU); known {
			continue
		}
		item, _, err := priced.Read(ctx, l, line.SKU)
		if errors.Is(err, log.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		p.items.LoadOrStore(line.SKU, item)
	}
	return nil
}

// asWatch keeps the fold current: first every item as it stands, then each change.
func (p *prices) asWatch() worker.Watch {
	return worker.Watch{Prefixes: []string{events.PrefixItem}, Snapshot: true, Ready: func() { p.ready.Store(true) },
		Handle: func(e events.Event) {
			sku, ok := events.ParseSubject(events.PrefixItem, e.Subject)
			if !ok || e.Revision == 0 { // published straight into the stream: no event of an item
				return
			}
			if item, err := priced.Apply(Priced{}, e); err == nil {
				p.items.Store(sku, item)
			}
		}}
}
