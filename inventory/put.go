package inventory

import (
	"context"
	"errors"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// putChunk is how many listings share a transaction. More would share an fsync too, but a conflict on one SKU repeats the
// decisions about all of them.
const putChunk = 25

// Put is the result of putting one listing.
type Put struct {
	SKU     string
	Changed bool
	Item    Item
	Level   events.StockLevel
	Err     error // an [*events.InvalidError] or [ErrBelowHeld]; then nothing was changed
}

// PutItems lists items, or changes them to the listings, on behalf of an author, and sets the stock where a listing has a
// count. Each listing succeeds or is refused by itself. After an error the remaining ones were not tried; it is safe to put
// all of them again.
func (s *Service) PutItems(ctx context.Context, listings []Listing, author events.Author) ([]Put, error) {
	results := make([]Put, 0, len(listings))
	for len(listings) > 0 {
		n := min(len(listings), putChunk)
		chunk, err := s.putChunk(ctx, listings[:n], author)
		if err != nil {
			return results, err
		}
		results, listings = append(results, chunk...), listings[n:]
	}
	return results, nil
}

func (s *Service) putChunk(ctx context.Context, listings []Listing, author events.Author) (results []Put, err error) {
	for _, l := range listings {
		if l.OnHand != nil && events.CheckSKU(l.SKU) == nil {
			if err := s.refresh(ctx, l.SKU); err != nil {
				return nil, err
			}
		}
	}
	err = s.log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithAuthor(author)
		results = results[:0]
		for _, l := range listings {
			put, err := s.putListing(tx, l)
			if err != nil {
				return err
			}
			results = append(results, put)
		}
		return nil
	})
	return results, err
}

// refresh reads the newest level into the cache. An append on an old level would fail and be decided again, but a refusal appends
// nothing, so an old level would not be detected.
func (s *Service) refresh(ctx context.Context, sku string) error {
	_, _, err := Stocks.Read(ctx, s.log, sku)
	if errors.Is(err, eventlog.ErrNotFound) {
		return nil
	}
	return err
}

// putListing decides about item and stock before it appends either, so a refused listing changes nothing.
func (s *Service) putListing(tx *eventlog.Tx, l Listing) (Put, error) {
	put := Put{SKU: l.SKU, Err: l.Check(s.charges)}
	if put.Err != nil {
		return put, nil //nolint:nilerr // a refusal is the result of this listing; an error would end the others too
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
		return put, nil //nolint:nilerr // a refusal, as above
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

// Seed lists the items of a first start in one transaction and returns how many were new. Items that exist stay as they are,
// so another start neither undoes a change of price nor restocks sold items.
func (s *Service) Seed(ctx context.Context, listings []Listing) (added int, err error) {
	err = s.log.Do(ctx, func(tx *eventlog.Tx) error {
		added = 0
		for _, l := range listings {
			item, err := Items.Load(tx, l.SKU)
			if err != nil {
				return err
			}
			if item.Exists() {
				continue
			}
			put, err := s.putListing(tx, l)
			if err = errors.Join(err, put.Err); err != nil {
				return err
			}
			added++
		}
		return nil
	})
	return added, err
}
