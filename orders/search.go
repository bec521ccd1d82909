package orders

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"

	"tillstream/events/api"
	"tillstream/events/lookup"
)

// The orders in which a list can be sorted.
const (
	sortNewest  = "newest"
	sortOldest  = "oldest"
	sortTotal   = "total"   // the greatest amount first
	sortChanged = "changed" // the last changed first
)

// query selects a page of the list of orders.
type query struct {
	lookup.Query
	Sort   string
	Limit  int
	Skip   int
	Cursor string
}

// found is a page of the list of orders.
type found struct {
	rows  []row
	total int    // of all pages
	next  string // cursor of the next page, "" at the end
	exact bool   // the text named an order, or a customer by the e-mail address
}

// find returns a page of the list of orders. While the list is being read, it waits. Errors: [api.ErrBadCursor], errLoading.
func (x *index) find(ctx context.Context, q query) (found, error) {
	select {
	case <-x.loaded:
	case <-ctx.Done():
		return found{}, errLoading
	}
	after, err := api.DecodeCursor(q.Cursor, parsePosition)
	if err != nil {
		return found{}, err
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	rows, exact := x.matching(q.Query)
	sortRows(rows, q.Sort)
	f := found{total: len(rows), exact: exact}
	if after != (position{}) {
		rows = rows[firstAfter(rows, q.Sort, after):]
	}
	rows = rows[min(q.Skip, len(rows)):]
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		f.next = api.EncodeCursor(positionOf(rows[q.Limit-1], q.Sort).String())
	}
	for _, r := range rows {
		f.rows = append(f.rows, *r)
	}
	return f, nil
}

// matching returns the orders that a text names, newest first: those with its number, id, Stripe id or e-mail address. If there
// are none, the text is a search. exact is false then.
func (x *index) matching(q lookup.Query) (rows []*row, exact bool) {
	if q.Text != "" {
		external := hashed(q.Stripe)
		rows = x.filter(func(r *row) bool { return r.named(q, external) && r.has(q.Search) })
	}
	if len(rows) > 0 {
		return rows, true
	}
	words := foldedSKUs(q.Search.Words)
	return x.filter(func(r *row) bool { return r.has(q.Search) && r.matches(q.Search.Words, words) }), false
}

func (x *index) filter(keep func(*row) bool) []*row {
	var rows []*row
	for _, r := range slices.Backward(x.sorted) {
		if keep(r) {
			rows = append(rows, r)
		}
	}
	return rows
}

// named reports whether a text names the order by something that identifies it or its customer. external is
// the hash of its Stripe id.
func (r *row) named(q lookup.Query, external uint64) bool {
	switch {
	case q.Number != "" && r.number == q.Number, q.UUID != "" && r.id == q.UUID, q.ID != "" && strings.EqualFold(r.id, q.ID), q.Email != "" && r.email == q.Email:
		return true
	}
	return q.Stripe != "" && slices.Contains(r.external, external)
}

// has reports whether the order has one of the statuses of a search and was placed in its time.
func (r *row) has(s lookup.Search) bool {
	in := func(values []string, value string) bool { return len(values) == 0 || slices.Contains(values, value) }
	return in(s.Statuses, string(r.status)) && in(s.Payments, string(r.payment)) && in(s.Fulfilment, string(r.fulfilment)) &&
		!r.placed.Before(s.From) && (s.To.IsZero() || r.placed.Before(s.To))
}

// foldedSKUs returns the words of a search as SKUs.
func foldedSKUs(words []string) []unique.Handle[string] {
	skus := make([]unique.Handle[string], len(words))
	for i, word := range words {
		skus[i] = unique.Make(word)
	}
	return skus
}

// matches reports whether every word is in the text of the order or the SKU of a line.
func (r *row) matches(words []string, skus []unique.Handle[string]) bool {
	for i, word := range words {
		if !strings.Contains(r.text, word) && !slices.Contains(r.skus, skus[i]) {
			return false
		}
	}
	return true
}

// position is the place of an order in a sorted list. It stays valid when orders are added.
type position struct {
	key int64 // the value that the list is sorted by
	id  string
}

// positionOf returns the place of an order. Places are in ascending order.
func positionOf(r *row, by string) position {
	switch by {
	case sortOldest:
		return position{r.placed.UnixMicro(), r.id}
	case sortTotal:
		return position{-r.total.Amount, r.id}
	case sortChanged:
		return position{-r.changed.UnixMicro(), r.id}
	}
	return position{-r.placed.UnixMicro(), r.id}
}

func (p position) compare(other position) int {
	return cmp.Or(cmp.Compare(p.key, other.key), cmp.Compare(p.id, other.id))
}

// String is the inverse of parsePosition.
func (p position) String() string { return fmt.Sprintf("%d %s", p.key, p.id) }

func parsePosition(text string) (position, error) {
	if text == "" {
		return position{}, nil
	}
	key, id, ok := strings.Cut(text, " ")
	n, err := strconv.ParseInt(key, 10, 64)
	if err != nil || !ok {
		return position{}, api.ErrBadCursor
	}
	return position{n, id}, nil
}

// sortRows sorts rows that have the newest order first.
func sortRows(rows []*row, by string) {
	if by == sortNewest || by == "" {
		return
	}
	slices.SortFunc(rows, func(a, b *row) int { return positionOf(a, by).compare(positionOf(b, by)) })
}

// firstAfter returns the index of the first row after a position.
func firstAfter(rows []*row, by string, after position) int {
	i, at := slices.BinarySearchFunc(rows, after, func(r *row, p position) int { return positionOf(r, by).compare(p) })
	if at {
		i++
	}
	return i
}

// queryOf returns the selection of a request, or an [*events.InvalidError].
func (in *listInput) query(now time.Time) (query, error) {
	q := query{Query: lookup.Parse(in.Q, now), Sort: in.Sort, Limit: in.Limit, Skip: in.Skip, Cursor: in.Cursor}
	s := &q.Search
	s.Statuses, s.Payments = append(s.Statuses, texts(in.Status)...), append(s.Payments, texts(in.Payment)...)
	s.Fulfilment = append(s.Fulfilment, texts(in.Fulfilment)...)
	for _, date := range []struct{ field, text string }{{"from", in.From}, {"to", in.To}} {
		if date.text == "" {
			continue
		}
		from, to, ok := lookup.Dates(date.text, now)
		switch {
		case !ok:
			return q, badDate(date.field, date.text)
		case date.field == "from":
			s.From = from
		default:
			s.To = to
		}
	}
	return q, nil
}

// texts converts statuses to texts.
func texts[S ~string](values []S) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}
