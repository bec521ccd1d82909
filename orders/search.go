package orders

import (
	"slices"
	"strings"
	"time"
	"unique"

	"tillstream/events/index"
	"tillstream/events/lookup"
)

// sorts are the orders in which a list can be sorted, besides the newest order first.
var sorts = map[string]func(*row) int64{
	"oldest":  func(r *row) int64 { return r.placed.UnixMicro() },
	"total":   func(r *row) int64 { return -r.total.Amount },        // the greatest amount first
	"changed": func(r *row) int64 { return -r.changed.UnixMicro() }, // the last changed first
}

// query selects a page of the list of orders.
type query struct {
	lookup.Query
	page index.Query[row]
}

// conditions returns what an order must meet: the first condition, or if no order does, the second.
func (q query) conditions() []func(*row) bool {
	external, words := hashed(q.Stripe), foldedSKUs(q.Search.Words)
	return []func(*row) bool{
		// exact: the text is the number, the id, a Stripe id or the e-mail address
		func(r *row) bool { return q.Text != "" && r.named(q.Query, external) && r.has(q.Search) },
		func(r *row) bool { return r.has(q.Search) && r.matches(q.Search.Words, words) },
	}
}

// exact is the index of the condition of [query] that a text names the orders.
const exact = 0

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

// query returns the selection of a request, or an [*events.InvalidError].
func (in *listInput) query(now time.Time) (query, error) {
	q := query{Query: lookup.Parse(in.Q, now), page: index.Query[row]{Sort: sorts[in.Sort], Limit: in.Limit, Skip: in.Skip, Cursor: in.Cursor}}
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
