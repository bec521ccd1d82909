package lookup

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// field is the status of an order that a word is about.
type field int

const (
	ofOrder field = iota
	ofPayment
	ofFulfilment
)

// meaning is what a word says about the statuses of an order.
type meaning struct {
	field  field
	values []string
}

// meanings are the words for statuses. A word for a status of its own value is added by statusWords.
var meanings = map[string][]meaning{
	"unpaid":   {{ofPayment, []string{"unpaid"}}, {ofOrder, []string{"placed", "awaiting_payment"}}},
	"waiting":  {{ofOrder, []string{"placed", "awaiting_payment"}}},
	"toship":   {{ofPayment, []string{"paid", "partly_refunded"}}, {ofOrder, []string{"confirmed"}}, {ofFulfilment, []string{"unfulfilled", "partly_fulfilled"}}},
	"late":     {{ofOrder, []string{"paid_late"}}},
	"canceled": {{ofOrder, []string{"cancelled"}}},
}

// statuses are the statuses of orders as their API names them.
var statuses = map[field][]string{
	ofOrder:      {"placed", "awaiting_payment", "capturing", "confirmed", "rejected", "expired", "cancelled", "paid_late"},
	ofPayment:    {"authorized", "paid", "partly_refunded", "refunded"},
	ofFulfilment: {"unfulfilled"},
}

// statusMeaning returns what a word or two say about statuses, nil for other words.
func statusMeaning(word string) []meaning {
	key := strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(word))
	if m, ok := meanings[key]; ok {
		return m
	}
	for _, f := range []field{ofOrder, ofPayment, ofFulfilment} {
		for _, status := range statuses[f] {
			if key == strings.ReplaceAll(status, "_", "") {
				return []meaning{{f, []string{status}}}
			}
		}
	}
	return nil
}

// parseSearch reads a text as conditions on orders: statuses and dates, and words for the rest.
func parseSearch(text string, now time.Time) (s Search) {
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		if i+1 < len(words) {
			pair := words[i] + " " + words[i+1]
			if s.add(statusMeaning(pair)) || s.addDates(pair, now) {
				i++
				continue
			}
		}
		if s.add(statusMeaning(words[i])) || s.addDates(words[i], now) {
			continue
		}
		s.Words = append(s.Words, strings.Fields(Fold(strings.Trim(words[i], `"'<>(),;#`)))...)
	}
	return s
}

// add adds conditions on statuses. It reports whether there are any.
func (s *Search) add(of []meaning) bool {
	for _, m := range of {
		target := map[field]*[]string{ofOrder: &s.Statuses, ofPayment: &s.Payments, ofFulfilment: &s.Fulfilment}[m.field]
		for _, value := range m.values {
			if !slices.Contains(*target, value) {
				*target = append(*target, value)
			}
		}
	}
	return len(of) > 0
}

// addDates adds a condition on the time of the order. It reports whether the text is one.
func (s *Search) addDates(text string, now time.Time) bool {
	from, to, ok := Dates(text, now)
	if ok {
		s.From, s.To = from, to
	}
	return ok
}

// special are the letters that have no decomposition into a letter and an accent.
var special = strings.NewReplacer("ß", "ss", "ø", "o", "æ", "ae", "œ", "oe", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i", "ħ", "h")

// Fold returns a text in the form in which texts are compared: lower case, without accents, with single blanks between words.
func Fold(text string) string {
	var out strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(text)) {
		if !unicode.Is(unicode.Mn, r) {
			out.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(special.Replace(out.String())), " ")
}
