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

func newPage(path string, data []any, more bool) *page {
	return &page{Object: "list", Data: data, HasMore: more, URL: path}
}

// readPage selects the indexes of a page, newest first, from total objects in order of creation. The request has the limit and
// the object before or after the page, which indexOf finds; match filters.
func readPage(f form, total int, indexOf func(id string) (int, bool), match func(index int) bool) (indexes []int, more bool, problem *apiError) {
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
		return pageBefore(f, total, int(limit), indexOf, match)
	}
	from := total
	if id := f["starting_after"]; id != "" {
		index, ok := indexOf(id)
		if !ok || index >= total {
			return nil, false, notFound("object", "starting_after", id)
		}
		from = index
	}
	for i := from - 1; i >= 0; i-- {
		if !match(i) {
			continue
		}
		if len(indexes) == int(limit) {
			return indexes, true, nil
		}
		indexes = append(indexes, i)
	}
	return indexes, false, nil
}

// pageBefore selects the page that ends right before an object: those created next after it.
func pageBefore(f form, total, limit int, indexOf func(string) (int, bool), match func(int) bool) (indexes []int, more bool, problem *apiError) {
	id := f["ending_before"]
	index, ok := indexOf(id)
	if !ok || index >= total {
		return nil, false, notFound("object", "ending_before", id)
	}
	for i := index + 1; i < total && !more; i++ {
		switch {
		case !match(i):
		case len(indexes) == limit:
			more = true
		default:
			indexes = append(indexes, i)
		}
	}
	slices.Reverse(indexes)
	return indexes, more, nil
}

// readPageAmong is readPage for some of the indexes, which are in ascending order.
func readPageAmong(f form, some []int, indexOf func(id string) (int, bool), match func(index int) bool) (indexes []int, more bool, problem *apiError) {
	rankOf := func(id string) (int, bool) {
		index, ok := indexOf(id)
		rank, found := slices.BinarySearch(some, index)
		return rank, ok && found
	}
	ranks, more, problem := readPage(f, len(some), rankOf, func(rank int) bool { return match(some[rank]) })
	for _, rank := range ranks {
		indexes = append(indexes, some[rank])
	}
	return indexes, more, problem
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

// typeMatcher matches event types against patterns such as charge.refunded, charge.* and *. No patterns match every type.
func typeMatcher(patterns []string) func(string) bool {
	return func(kind string) bool {
		if len(patterns) == 0 {
			return true
		}
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			start, wild := strings.CutSuffix(pattern, "*")
			return pattern == kind || wild && strings.HasPrefix(kind, start)
		})
	}
}
