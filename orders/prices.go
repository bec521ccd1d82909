package orders

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tillstream/events"
	"tillstream/events/log"
)

// prices is orders' own fold of what inventory says of its items: an order is priced without asking anybody.
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

// priced is an item as it stands in the log, for those that the fold does not have (yet).
var priced = log.Kind[Priced]{Stream: events.StreamInventory, Prefix: events.PrefixItem, LastOnly: true,
	Evolve: func(_ Priced, e events.Event) (Priced, error) {
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

// follow keeps the fold current until ctx ends.
func (p *prices) follow(ctx context.Context, l *log.Log) {
	keepTailing(ctx, l, func() error {
		return l.Tail(ctx, events.StreamInventory, []string{events.PrefixItem + "*"}, log.FromLastPerSubject,
			func() { p.ready.Store(true) }, func(e events.Event) error {
				if item, ok := e.Payload.(events.ItemChanged); ok {
					p.items.Store(item.SKU, Priced{Title: item.Title, Price: item.Price})
				}
				return nil
			})
	})
}

// keepTailing starts a tail again when it breaks, until ctx ends.
func keepTailing(ctx context.Context, l *log.Log, tail func() error) {
	for ctx.Err() == nil {
		if err := tail(); err != nil && !errors.Is(err, context.Canceled) {
			l.Logger().Warn("tail interrupted", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}
