package sandbox

import (
	"regexp"
	"slices"
	"strings"
)

var searchParams = []string{"query", "limit", "page", "expand"}

// searchResult is a page of found objects as Stripe shows it.
type searchResult struct {
	Object   string `json:"object"`
	Data     []any  `json:"data"`
	HasMore  bool   `json:"has_more"`
	NextPage text   `json:"next_page"`
	URL      string `json:"url"`
}

// metadataIndex finds the places of intents by the hash of a metadata pair. It
// is never cleaned of pairs that an update took away: whoever asks compares
// the intent itself. Most pairs are one intent's own, so those are kept small.
type metadataIndex struct {
	first map[uint64]uint32
	more  map[uint64][]uint32 // where a pair came again
}

func newMetadataIndex() metadataIndex {
	return metadataIndex{first: make(map[uint64]uint32), more: make(map[uint64][]uint32)}
}

func (x metadataIndex) add(pairs []uint64, place int) {
	for _, pair := range pairs {
		if _, known := x.first[pair]; known {
			x.more[pair] = append(x.more[pair], uint32(place))
		} else {
			x.first[pair] = uint32(place)
		}
	}
}

// places returns, in rising order, where the pair may be.
func (x metadataIndex) places(pair uint64) []int {
	first, known := x.first[pair]
	if !known {
		return nil
	}
	places := []int{int(first)}
	for _, place := range x.more[pair] {
		places = append(places, int(place))
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// candidates returns the places, in rising order, of the intents that may have
// what the first metadata clause asks for.
func (x metadataIndex) candidates(clauses []clause) (places []int, ok bool) {
	for _, q := range clauses {
		if q.field == "metadata" {
			return x.places(pairHash(q.key, q.value)), true
		}
	}
	return nil, false
}

// clause is one condition of a query.
type clause struct{ field, key, value string }

func (q clause) holds(in *intent) bool {
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

// clausePattern is one condition: metadata['key']:'value', status:'value' or
// currency:'value', with either kind of quotes.
var clausePattern = regexp.MustCompile(`^\s*(metadata|status|currency)(?:\[(?:'([^']+)'|"([^"]+)")\])?\s*:\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(?:(?i:AND)\s|$)`)

// parseQuery reads conditions joined by AND.
func parseQuery(query string) ([]clause, *apiError) {
	var clauses []clause
	for rest := query; strings.TrimSpace(rest) != ""; {
		m := clausePattern.FindStringSubmatch(rest)
		if m == nil || (m[1] == "metadata") != (m[2]+m[3] != "") {
			return nil, invalid("query", "", "We were unable to parse your search query: the sandbox understands metadata['key']:'value' and, joined by AND, status:'value' and currency:'value'.")
		}
		clauses = append(clauses, clause{field: m[1], key: m[2] + m[3], value: unescaped(m[4] + m[5])})
		rest = rest[len(m[0]):]
	}
	if len(clauses) == 0 {
		return nil, missing("query")
	}
	return clauses, nil
}

var escapes = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`)

func unescaped(s string) string { return escapes.Replace(s) }

// searchIntents answers GET /v1/payment_intents/search, newest first. Stripe's
// own search may lag by a minute; this one does not.
func searchIntents(t *tx, c *call) (any, *apiError) {
	clauses, problem := parseQuery(c.form["query"])
	if problem != nil {
		return nil, problem
	}
	candidates, ok := t.server.metadata.candidates(clauses)
	if !ok {
		return nil, invalid("query", "", "The sandbox finds intents by metadata; status and currency can only narrow that.")
	}
	keep := func(place int) bool {
		in, err := t.server.intents.at(place)
		return found(t, in, err) != nil && !slices.ContainsFunc(clauses, func(q clause) bool { return !q.holds(in) })
	}
	asked := form{}
	for name, as := range map[string]string{"limit": "limit", "page": "starting_after"} {
		if c.form[name] != "" {
			asked[as] = c.form[name]
		}
	}
	places, more, problem := readPageAmong(asked, candidates, t.server.intents.place, keep)
	if problem != nil {
		return nil, problem
	}
	shown := &searchResult{Object: "search_result", Data: make([]any, 0, len(places)), HasMore: more, URL: c.path}
	for _, place := range places {
		in, err := t.server.intents.at(place)
		if found(t, in, err) == nil {
			break
		}
		shown.Data = append(shown.Data, c.expanded(t, in))
		if more {
			shown.NextPage = text(in.ID)
		}
	}
	return shown, nil
}
