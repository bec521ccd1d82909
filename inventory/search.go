package inventory

import (
	"slices"
	"strings"
	"unicode"
)

// searchText is what an item is found by: the words of its title, SKU, tags and description in lower case, each with a
// space before it, so that " hea" finds "heart" and not "wheat".
func searchText(i Item) string {
	var b strings.Builder
	for _, part := range append([]string{i.Title, i.SKU, i.Description}, i.Tags...) {
		for _, word := range words(part) {
			b.WriteByte(' ')
			b.WriteString(word)
		}
	}
	return b.String()
}

// queryWords is what a query asks for, in the form in which matches looks for it: the longest first, because the fewest
// items have it.
func queryWords(query string) []string {
	asked := words(query)
	slices.SortStableFunc(asked, func(a, b string) int { return len(b) - len(a) })
	for i, w := range asked {
		asked[i] = " " + w
	}
	return asked
}

// matches reports whether every word that is asked for begins a word of the item.
func (r *row) matches(asked []string) bool {
	for _, w := range asked {
		if !strings.Contains(r.text, w) {
			return false
		}
	}
	return true
}

// words splits at everything but letters and digits. Apostrophes are left out, because people type "bakers" for "Baker's".
func words(s string) []string {
	s = apostrophes.Replace(strings.ToLower(s))
	return strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

var apostrophes = strings.NewReplacer("'", "", "\u2019", "")
