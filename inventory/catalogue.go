package inventory

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// ErrLoading is returned by the catalogue until it has read the log up to its end.
var ErrLoading = errors.New("catalogue is loading")

// Rows of a page of the catalogue.
const (
	DefaultPage = 24
	MaxPage     = 100
)

// Offer is an item of the catalogue and how many of it can be ordered.
type Offer struct {
	Item      Item
	Available int64
	Level     events.StockLevel // for staff: where the available units come from
}

// catalogue holds the items for sale and their available stock in memory, computed from the log alone. It needs no database,
// so shoppers can search it while MongoDB is down. It may be some milliseconds behind the log. An order is decided on the exact
// stock.
type catalogue struct {
	mu     sync.RWMutex
	rows   map[string]*row
	sorted []*row // by key; empty until loaded
	levels map[string]events.StockLevel
	loaded bool
}

// row is an item with its keys for searching and sorting.
type row struct {
	item Item
	key  string // lower-case title, then SKU: rows are sorted by it, and it is the cursor
	text string // see searchText
}

func newCatalogue() *catalogue {
	return &catalogue{rows: map[string]*row{}, levels: map[string]events.StockLevel{}}
}

// watch keeps the catalogue current while the process runs.
func (s *Service) watch() worker.Watch {
	return worker.Watch{Prefixes: []string{events.PrefixItem, events.PrefixStock}, Snapshot: true, Ready: s.catalogue.finishLoading,
		Handle: func(e events.Event) {
			if err := s.catalogue.apply(e); err != nil {
				s.logger.Warn("catalogue event skipped", "subject", e.Subject, "sequence", e.Sequence, "error", err)
			}
		}}
}

// Ready returns [ErrLoading] until the catalogue has read the log up to its end. [worker.Worker.Ready] reports whether the log
// can be read.
func (s *Service) Ready() error {
	s.catalogue.mu.RLock()
	defer s.catalogue.mu.RUnlock()
	if !s.catalogue.loaded {
		return ErrLoading
	}
	return nil
}

// Count returns how many items the catalogue has.
func (s *Service) Count() int {
	s.catalogue.mu.RLock()
	defer s.catalogue.mu.RUnlock()
	return len(s.catalogue.rows)
}

// finishLoading sorts all rows at once. Inserting 100,000 rows one by one would move half the list for each.
func (c *catalogue) finishLoading() {
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

// apply applies one event. The events of an entity must come in their order.
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
	c.levels[stock.SKU] = stock.Level
	return nil
}

func (c *catalogue) put(r *row) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, exists := c.rows[r.item.SKU]
	c.rows[r.item.SKU] = r
	if !c.loaded {
		return
	}
	if exists {
		i, _ := c.find(old.key)
		c.sorted = slices.Delete(c.sorted, i, i+1)
	}
	i, _ := c.find(r.key)
	c.sorted = slices.Insert(c.sorted, i, r)
}

// find returns the index of a key in sorted, or where it would be inserted.
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
		return c.offerOf(r), nil
	case !c.loaded:
		return Offer{}, ErrLoading
	}
	return Offer{}, eventlog.ErrNotFound
}

// offerOf returns the offer of a row. The caller holds the lock.
func (c *catalogue) offerOf(r *row) Offer {
	level := c.levels[r.item.SKU]
	return Offer{Item: r.item, Available: level.Available, Level: level}
}

// page returns up to limit offers that match the query and follow the cursor, and the cursor of the next page, "" at the end.
// A cursor is the key of the last row, so rows that are added or removed between two pages neither repeat nor hide others.
func (c *catalogue) page(query, cursor string, limit int) (offers []Offer, next string, err error) {
	after, err := api.DecodeCursor(cursor, parseKey)
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
			return offers, api.EncodeCursor(last), nil
		}
		offers = append(offers, c.offerOf(r))
		last = r.key
	}
	return offers, "", nil
}

func sortKey(i Item) string { return strings.ToLower(i.Title) + "\x00" + i.SKU }

// parseKey accepts the keys that sortKey makes, and "" for the first page.
func parseKey(key string) (string, error) {
	if key != "" && !strings.Contains(key, "\x00") {
		return "", api.ErrBadCursor
	}
	return key, nil
}

// searchText returns the text of an item that queries are compared with: the words of title, SKU, description and tags in lower
// case, each after a space, so that the query " hea" matches "heart" and not "wheat".
func searchText(i Item) string {
	var b strings.Builder
	for _, part := range append([]string{i.Title, i.SKU, i.Description}, i.Tags...) {
		for _, word := range splitWords(part) {
			b.WriteByte(' ')
			b.WriteString(word)
		}
	}
	return b.String()
}

// queryWords returns the words of a query, each after a space. The longest is first, because the fewest items have it.
func queryWords(query string) []string {
	prefixes := splitWords(query)
	slices.SortStableFunc(prefixes, func(a, b string) int { return len(b) - len(a) })
	for i, w := range prefixes {
		prefixes[i] = " " + w
	}
	return prefixes
}

// matches reports whether every word of a query is the beginning of a word of the item.
func (r *row) matches(prefixes []string) bool {
	for _, w := range prefixes {
		if !strings.Contains(r.text, w) {
			return false
		}
	}
	return true
}

// splitWords splits a text into lower-case words of letters and digits. It drops apostrophes, because shoppers type "bakers"
// for "Baker's".
func splitWords(s string) []string {
	s = apostrophes.Replace(strings.ToLower(s))
	return strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

var apostrophes = strings.NewReplacer("'", "", "\u2019", "")
