package sandbox

import (
	"regexp"
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

// showAll returns the objects of a page.
func showAll[T any](t *tx, o *objects[T], indexes []int) []any {
	shown := make([]any, 0, len(indexes))
	for _, index := range indexes {
		state, err := o.get(index)
		shown = append(shown, orFail(t, state, err))
	}
	return shown
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

var searchParams = []string{"query", "limit", "page", "expand"}

// searchResult is a page of found objects as Stripe shows it.
type searchResult struct {
	Object   string `json:"object"`
	Data     []any  `json:"data"`
	HasMore  bool   `json:"has_more"`
	NextPage text   `json:"next_page"`
	URL      string `json:"url"`
}

// metadataIndex finds the indexes of intents by the hash of a metadata pair. Pairs that an update removed stay in it, so the
// callers compare the intent itself. Most pairs belong to one intent and take little memory.
type metadataIndex struct {
	first map[uint64]uint32
	more  map[uint64][]uint32 // further intents of a pair
}

func newMetadataIndex() metadataIndex {
	return metadataIndex{first: make(map[uint64]uint32), more: make(map[uint64][]uint32)}
}

func (x metadataIndex) add(pairs []uint64, index int) {
	for _, pair := range pairs {
		if _, known := x.first[pair]; known {
			x.more[pair] = append(x.more[pair], uint32(index))
		} else {
			x.first[pair] = uint32(index)
		}
	}
}

// find returns, in ascending order, the intents that may have the pair.
func (x metadataIndex) find(pair uint64) []int {
	first, known := x.first[pair]
	if !known {
		return nil
	}
	indexes := []int{int(first)}
	for _, index := range x.more[pair] {
		indexes = append(indexes, int(index))
	}
	slices.Sort(indexes)
	return slices.Compact(indexes)
}

// candidates returns, in ascending order, the intents that may match the first metadata clause.
func (x metadataIndex) candidates(clauses []clause) (indexes []int, ok bool) {
	for _, q := range clauses {
		if q.field == "metadata" {
			return x.find(pairHash(q.key, q.value)), true
		}
	}
	return nil, false
}

// clause is one condition of a query.
type clause struct{ field, key, value string }

func (q clause) matches(in *intent) bool {
	switch q.field {
	case "metadata":
		value, ok := in.Metadata[q.key]
		return ok && value == q.value
	case "status":
		return in.Status == q.value
	case "currency":
		return in.Currency == strings.ToLower(q.value)
	}
	return false
}

// clausePattern is one condition: metadata['key']:'value', status:'value' or currency:'value', with either kind of quotes.
var clausePattern = regexp.MustCompile(`^\s*(metadata|status|currency)(?:\[(?:'([^']+)'|"([^"]+)")\])?\s*:\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(?:(?i:AND)\s|$)`)

// parseQuery reads conditions joined by AND.
func parseQuery(query string) ([]clause, *apiError) {
	var clauses []clause
	for rest := query; strings.TrimSpace(rest) != ""; {
		m := clausePattern.FindStringSubmatch(rest)
		if m == nil || (m[1] == "metadata") != (m[2]+m[3] != "") {
			return nil, invalid("query", "", "We were unable to parse your search query: the sandbox understands metadata['key']:'value' and, joined by AND, status:'value' and currency:'value'.")
		}
		clauses = append(clauses, clause{field: m[1], key: m[2] + m[3], value: escapes.Replace(m[4] + m[5])})
		rest = rest[len(m[0]):]
	}
	if len(clauses) == 0 {
		return nil, missing("query")
	}
	return clauses, nil
}

var escapes = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`)

// searchIntents answers GET /v1/payment_intents/search, newest first. Stripe's search may lag by a minute; this one does not.
func searchIntents(t *tx, c *call) (any, *apiError) {
	clauses, problem := parseQuery(c.form["query"])
	if problem != nil {
		return nil, problem
	}
	candidates, ok := t.server.metadata.candidates(clauses)
	if !ok {
		return nil, invalid("query", "", "The sandbox finds intents by metadata; status and currency can only narrow that.")
	}
	intents := t.server.intents
	match := func(index int) bool {
		in, err := intents.get(index)
		return orFail(t, in, err) != nil && !slices.ContainsFunc(clauses, func(q clause) bool { return !q.matches(in) })
	}
	asList := form{}
	for name, listName := range map[string]string{"limit": "limit", "page": "starting_after"} {
		if c.form[name] != "" {
			asList[listName] = c.form[name]
		}
	}
	indexes, more, problem := readPageAmong(asList, candidates, intents.index, match)
	if problem != nil {
		return nil, problem
	}
	result := &searchResult{Object: "search_result", Data: t.showIntents(c, indexes), HasMore: more, URL: c.path}
	if more {
		last, err := intents.get(indexes[len(indexes)-1])
		if orFail(t, last, err) != nil {
			result.NextPage = text(last.ID)
		}
	}
	return result, nil
}
