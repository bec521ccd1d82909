package orders

import (
	"context"
	"errors"
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
