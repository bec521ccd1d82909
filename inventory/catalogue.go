package inventory

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/worker"
)

var (
	// ErrLoading is returned by the catalogue until it has read what the log holds.
	ErrLoading = errors.New("catalogue is loading")
	// ErrBadCursor is returned for a cursor that no page has handed out.
	ErrBadCursor = errors.New("bad cursor")
)

// Entry pages of the catalogue hold this many rows unless told otherwise.
const (
	DefaultPage = 24
	MaxPage     = 100
)

// Offer is what the shop window shows of an item.
type Offer struct {
	Item      Item
	Available int64
}

// catalogue is the shop window: every item and what is available, in memory, folded from the log alone. It needs no
// database, so it stays open when MongoDB is away. What it shows may be some milliseconds old; the hold decides.
type catalogue struct {
	mu        sync.RWMutex
	rows      map[string]*row
	sorted    []*row // by key, once loaded
	available map[string]int64
	loaded    bool
}

// row is an item with what searching and sorting need, worked out once.
type row struct {
	item Item
	key  string // lower-case title, then SKU: the order of pages, and the cursor
	text string // see searchText
}

func newCatalogue() *catalogue {
	return &catalogue{rows: map[string]*row{}, available: map[string]int64{}}
}

// watch keeps the catalogue current for as long as the process runs.
func (s *Service) watch() worker.Watch {
	return worker.Watch{Prefixes: []string{events.PrefixItem, events.PrefixStock}, Snapshot: true, Ready: s.catalogue.ready,
		Handle: func(e events.Event) {
			if err := s.catalogue.apply(e); err != nil {
				s.logger.Warn("catalogue passes over an event", "subject", e.Subject, "sequence", e.Sequence, "error", err)
			}
		}}
}

// Ready returns [ErrLoading] until the catalogue has read what the log holds. Whether the log can be read is for
// [worker.Worker.Ready] to say.
func (s *Service) Ready() error {
	s.catalogue.mu.RLock()
	defer s.catalogue.mu.RUnlock()
	if !s.catalogue.loaded {
		return ErrLoading
	}
	return nil
}

// Count is how many items the catalogue shows.
func (s *Service) Count() int {
	s.catalogue.mu.RLock()
	defer s.catalogue.mu.RUnlock()
	return len(s.catalogue.rows)
}

// ready sorts what was loaded: once, because inserting 100,000 rows one by one would move each of them half the list.
func (c *catalogue) ready() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		for _, r := range c.rows {
			c.sorted = append(c.sorted, r)
		}
		slices.SortFunc(c.sorted, func(a, b *row) int { return strings.Compare(a.key, b.key) })
	}
	c.loaded = true
}

// apply takes over one event; the events of an entity come in their order.
func (c *catalogue) apply(e events.Event) error {
	if strings.HasPrefix(e.Subject, events.PrefixItem) {
		item, err := ApplyItem(Item{}, e)
		if err != nil {
			return err
		}
		c.put(&row{item: item, key: sortKey(item), text: searchText(item)})
		return nil
	}
	stock, err := ApplyStock(Stock{}, e)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.available[stock.SKU] = stock.Level.Available
	return nil
}

func (c *catalogue) put(r *row) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, known := c.rows[r.item.SKU]
	c.rows[r.item.SKU] = r
	if !c.loaded {
		return
	}
	if known {
		i, _ := c.find(old.key)
		c.sorted = slices.Delete(c.sorted, i, i+1)
	}
	i, _ := c.find(r.key)
	c.sorted = slices.Insert(c.sorted, i, r)
}

// find returns where a key stands or would stand.
func (c *catalogue) find(key string) (int, bool) {
	return slices.BinarySearchFunc(c.sorted, key, func(r *row, key string) int { return strings.Compare(r.key, key) })
}

// offer returns one item, [ErrLoading], or [log.ErrNotFound].
func (c *catalogue) offer(sku string) (Offer, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	r, ok := c.rows[sku]
	switch {
	case ok:
		return Offer{Item: r.item, Available: c.available[sku]}, nil
	case !c.loaded:
		return Offer{}, ErrLoading
	}
	return Offer{}, log.ErrNotFound
}

// page returns up to limit offers that match the query, from behind the cursor on, and the cursor of the next page; ""
// when there is none. A cursor is the key of the last row, so rows that come and go meanwhile neither repeat nor hide others.
func (c *catalogue) page(query, cursor string, limit int) (offers []Offer, next string, err error) {
	after, err := decodeCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	words := queryWords(query)
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.loaded {
		return nil, "", ErrLoading
	}
	start, found := c.find(after)
	if found {
		start++
	}
	last := ""
	for _, r := range c.sorted[start:] {
		if !r.matches(words) {
			continue
		}
		if len(offers) == limit {
			return offers, encodeCursor(last), nil
		}
		offers = append(offers, Offer{Item: r.item, Available: c.available[r.item.SKU]})
		last = r.key
	}
	return offers, "", nil
}

func sortKey(i Item) string { return strings.ToLower(i.Title) + "\x00" + i.SKU }

func encodeCursor(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

func decodeCursor(cursor string) (string, error) {
	key, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || (cursor != "" && !strings.Contains(string(key), "\x00")) {
		return "", fmt.Errorf("%w: %.80q", ErrBadCursor, cursor)
	}
	return string(key), nil
}
