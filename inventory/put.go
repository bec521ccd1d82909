package inventory

import (
	"context"
	"errors"

	"tillstream/events"
	"tillstream/events/log"
)

// putChunk is how many listings share a transaction: enough to share the fsync, few enough that a busy SKU among them
// does not make the others decide again for long.
const putChunk = 25

// Put is what became of one listing.
type Put struct {
	SKU     string
	Changed bool
	Item    Item
	Level   events.StockLevel
	Err     error // an [InvalidError] or [ErrBelowHeld]; then nothing was changed
}

// PutItems makes items, and stock where a count is given, what the listings say. Each succeeds or is refused on its own;
// an error of the whole means that the rest could not be tried, and that trying all again does no harm.
func (s *Service) PutItems(ctx context.Context, listings []Listing, by string) ([]Put, error) {
	results := make([]Put, 0, len(listings))
	for len(listings) > 0 {
		n := min(len(listings), putChunk)
		chunk, err := s.putChunk(ctx, listings[:n], by)
		if err != nil {
			return results, err
		}
		results, listings = append(results, chunk...), listings[n:]
	}
	return results, nil
}

func (s *Service) putChunk(ctx context.Context, listings []Listing, by string) (results []Put, err error) {
	for _, l := range listings {
		if l.OnHand != nil && events.CheckSKU(l.SKU) == nil {
			if err := s.refresh(ctx, l.SKU); err != nil {
				return nil, err
			}
		}
	}
	err = s.log.Do(ctx, func(tx *log.Tx) error {
		tx.WithActor(by)
		results = results[:0]
		for _, l := range listings {
			put, err := s.putOne(tx, l)
			if err != nil {
				return err
			}
			results = append(results, put)
		}
		return nil
	})
	return results, err
}

// refresh has the newest level in memory. A refusal is not compared by the broker as an append is, so it must not be
// decided on what another process has changed meanwhile.
func (s *Service) refresh(ctx context.Context, sku string) error {
	_, _, err := Stocks.Read(ctx, s.log, sku)
	if errors.Is(err, log.ErrNotFound) {
		return nil
	}
	return err
}

// putOne decides everything before it appends anything, so that a refused listing leaves no half of it behind.
func (s *Service) putOne(tx *log.Tx, l Listing) (Put, error) {
	put := Put{SKU: l.SKU, Err: l.Check(s.charges)}
	if put.Err != nil {
		return put, nil //nolint:nilerr // a refusal is an answer about this listing; an error would end the others too
	}
	item, err := Items.Load(tx, l.SKU)
	if err != nil {
		return put, err
	}
	stock, err := Stocks.Load(tx, l.SKU)
	if err != nil {
		return put, err
	}
	itemFacts := PutItem(item, l)
	stockFacts, err := l.count(stock.Level)
	if err != nil {
		put.Err = err
		return put, nil //nolint:nilerr // likewise
	}
	put.Changed = len(itemFacts)+len(stockFacts) > 0
	if err := errors.Join(Items.Append(tx, l.SKU, itemFacts...), Stocks.Append(tx, l.SKU, stockFacts...)); err != nil {
		return put, err
	}
	item, err = Items.Load(tx, l.SKU)
	if err != nil {
		return put, err
	}
	stock, err = Stocks.Load(tx, l.SKU)
	put.Item, put.Level = item, stock.Level
	return put, err
}

// Seed lists items for a first start, all in one step: those whose SKU is known already are left as they are, so
// that starting again neither undoes a change of price nor fills shelves that were sold empty. It returns how many
// were new.
func (s *Service) Seed(ctx context.Context, listings []Listing) (added int, err error) {
	err = s.log.Do(ctx, func(tx *log.Tx) error {
		added = 0
		for _, l := range listings {
			item, err := Items.Load(tx, l.SKU)
			if err != nil {
				return err
			}
			if item.Exists() {
				continue
			}
			put, err := s.putOne(tx, l)
			if err = errors.Join(err, put.Err); err != nil {
				return err
			}
			added++
		}
		return nil
	})
	return added, err
}

// Adjust books a correction and returns the new level. It returns an [InvalidError], [ErrBelowHeld], [ErrOutOfRange], or
// [log.ErrNotFound] for a SKU that was never listed.
func (s *Service) Adjust(ctx context.Context, sku string, a Adjustment, by string) (level events.StockLevel, err error) {
	if err := a.Check(); err != nil {
		return level, err
	}
	if err := s.refresh(ctx, sku); err != nil {
		return level, err
	}
	err = s.log.Do(ctx, func(tx *log.Tx) error {
		tx.WithActor(by)
		item, err := Items.Load(tx, sku)
		if err != nil {
			return err
		}
		stock, err := Stocks.Load(tx, sku)
		if err != nil {
			return err
		}
		if !item.Exists() && !stock.Exists() {
			return log.ErrNotFound
		}
		facts, err := a.decide(sku, stock.Level)
		if err != nil {
			return err
		}
		if err := Stocks.Append(tx, sku, facts...); err != nil {
			return err
		}
		stock, err = Stocks.Load(tx, sku)
		level = stock.Level
		return err
	})
	return level, err
}
