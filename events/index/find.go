package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillstream/events/api"
)

// ErrLoading is returned when a process has started and has not read the log up to its end in time. The same request may succeed
// later.
var ErrLoading = errors.New("the list is still being read from the log")

// Loading is the answer of every API to a request that gets [ErrLoading].
var Loading = api.Problem{Err: ErrLoading, Kind: api.Unavailable,
	Detail: "The shop has just started and is still reading this list from its log. Please try again in a moment."}

// patience is how long a request waits for the log to be read.
const patience = 5 * time.Second

// Query selects a page.
type Query[R any] struct {
	// Sort returns the value by which rows are sorted, the least first. Default: the newest row first.
	Sort   func(*R) int64
	Limit  int
	Skip   int
	Cursor string // Page.Next of the page before
}

// Page is a page of a list.
type Page[R any] struct {
	Rows   []R
	Total  int    // of all pages
	Next   string // cursor of the next page, "" at the end
	Chosen int    // which of the conditions the rows meet
}

// Find returns a page of the rows that meet the first condition which any row meets. Errors: [api.ErrBadCursor], [ErrLoading].
func (x *Index[R]) Find(ctx context.Context, q Query[R], conditions ...func(*R) bool) (p Page[R], err error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-x.loaded:
	case <-waiting.Done():
		return p, ErrLoading
	}
	after, err := api.DecodeCursor(q.Cursor, parsePosition)
	if err != nil {
		return p, err
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var rows []*R
	for i, keep := range conditions {
		if rows = x.filter(keep); len(rows) > 0 {
			p.Chosen = i
			break
		}
	}
	if q.Sort != nil {
		slices.SortFunc(rows, func(a, b *R) int { return x.positionOf(a, q.Sort).compare(x.positionOf(b, q.Sort)) })
	}
	x.cut(&p, q, rows, after)
	return p, nil
}

// Count returns how many rows meet a condition, of what is read of the log so far.
func (x *Index[R]) Count(keep func(*R) bool) int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.filter(keep))
}

// filter returns the rows that meet a condition, the newest first.
func (x *Index[R]) filter(keep func(*R) bool) (rows []*R) {
	for _, r := range slices.Backward(x.sorted) {
		if keep(r) {
			rows = append(rows, r)
		}
	}
	return rows
}

// cut copies one page of sorted rows.
func (x *Index[R]) cut(p *Page[R], q Query[R], rows []*R, after position) {
	p.Total = len(rows)
	if after != (position{}) {
		at, found := slices.BinarySearchFunc(rows, after, func(r *R, place position) int { return x.positionOf(r, q.Sort).compare(place) })
		if found {
			at++
		}
		rows = rows[at:]
	}
	rows = rows[min(q.Skip, len(rows)):]
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		p.Next = api.EncodeCursor(x.positionOf(rows[q.Limit-1], q.Sort).String())
	}
	for _, r := range rows {
		p.Rows = append(p.Rows, *r)
	}
}

// position is the place of a row in a sorted list. It stays valid when rows are added.
type position struct {
	key int64 // the value that the list is sorted by
	id  string
}

// positionOf returns the place of a row in a list. Places are in ascending order.
func (x *Index[R]) positionOf(r *R, sort func(*R) int64) position {
	place := x.place(r)
	if sort == nil {
		return position{-place.Began.UnixMicro(), place.ID}
	}
	return position{sort(r), place.ID}
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
