package sandbox

import (
	"slices"
	"strings"
)

// Stripe's page sizes.
const (
	defaultPage = 10
	largestPage = 100
)

// pageParams are the parameters of every list.
var pageParams = []string{"limit", "starting_after", "ending_before", "expand"}

// page is a list as Stripe shows it.
type page struct {
	Object  string `json:"object"`
	Data    []any  `json:"data"`
	HasMore bool   `json:"has_more"`
	URL     string `json:"url"`
}

func newPage(url string, size int, more bool) *page {
	return &page{Object: "list", Data: make([]any, 0, size), HasMore: more, URL: url}
}

// readPage picks the places to show, newest first, out of total in order of
// creation: those after or before a given object, as many as wanted.
func readPage(f form, total int, place func(id string) (int, bool), keep func(place int) bool) (places []int, more bool, problem *apiError) {
	limit, sent, problem := f.integer("limit")
	if !sent {
		limit = defaultPage
	}
	if problem == nil && (limit < 1 || limit > largestPage) {
		problem = invalid("limit", "parameter_invalid_integer", "Invalid limit: must be between 1 and %d", largestPage)
	}
	if problem != nil {
		return nil, false, problem
	}
	if f.has("ending_before") {
		return pageBefore(f, total, int(limit), place, keep)
	}
	from := total
	if id := f["starting_after"]; id != "" {
		at, ok := place(id)
		if !ok || at >= total {
			return nil, false, notFound("object", "starting_after", id)
		}
		from = at
	}
	for i := from - 1; i >= 0; i-- {
		if !keep(i) {
			continue
		}
		if len(places) == int(limit) {
			return places, true, nil
		}
		places = append(places, i)
	}
	return places, false, nil
}

// readPageAmong is readPage for a choice of places, given in rising order.
func readPageAmong(f form, choice []int, place func(id string) (int, bool), keep func(place int) bool) (places []int, more bool, problem *apiError) {
	rank := func(id string) (int, bool) {
		p, ok := place(id)
		rank, chosen := slices.BinarySearch(choice, p)
		return rank, ok && chosen
	}
	ranks, more, problem := readPage(f, len(choice), rank, func(rank int) bool { return keep(choice[rank]) })
	for _, rank := range ranks {
		places = append(places, choice[rank])
	}
	return places, more, problem
}

// pageBefore picks the page that ends right before an object, which means the
// ones created next after it.
func pageBefore(f form, total, limit int, place func(string) (int, bool), keep func(int) bool) (places []int, more bool, problem *apiError) {
	id := f["ending_before"]
	at, ok := place(id)
	if !ok || at >= total {
		return nil, false, notFound("object", "ending_before", id)
	}
	for i := at + 1; i < total && !more; i++ {
		switch {
		case !keep(i):
		case len(places) == limit:
			more = true
		default:
			places = append(places, i)
		}
	}
	slices.Reverse(places)
	return places, more, nil
}

// timeRange filters by a Unix time; its bounds are inclusive.
type timeRange struct{ from, to int64 }

func readTimeRange(f form, name string) (timeRange, *apiError) {
	r := timeRange{from: -1 << 62, to: 1 << 62}
	bounds := []struct {
		suffix string
		set    func(int64)
	}{
		{"", func(n int64) { r.from, r.to = n, n }},
		{"[gte]", func(n int64) { r.from = max(r.from, n) }},
		{"[gt]", func(n int64) { r.from = max(r.from, n+1) }},
		{"[lte]", func(n int64) { r.to = min(r.to, n) }},
		{"[lt]", func(n int64) { r.to = min(r.to, n-1) }},
	}
	for _, b := range bounds {
		n, sent, problem := f.integer(name + b.suffix)
		if problem != nil {
			return r, problem
		}
		if sent {
			b.set(n)
		}
	}
	return r, nil
}

func (r timeRange) includes(at uint32) bool { return r.from <= int64(at) && int64(at) <= r.to }

// matcher reports whether a type is among the wanted ones, of which * stands
// for any and charge.* for all that begin so. Nothing wanted means anything.
func matcher(wanted []string) func(string) bool {
	return func(kind string) bool {
		if len(wanted) == 0 {
			return true
		}
		return slices.ContainsFunc(wanted, func(pattern string) bool {
			start, wild := strings.CutSuffix(pattern, "*")
			return pattern == kind || wild && strings.HasPrefix(kind, start)
		})
	}
}
