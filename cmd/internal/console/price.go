package console

import (
	"fmt"
	"strconv"
	"strings"

	"tillstream/events"
)

// parsePrice reads an amount as people type it, such as "8.50", in a currency. It accepts no separators of thousands, because a comma
// is the decimal sign in some countries.
func parsePrice(typed, currency string) (events.Money, error) {
	refused := func() (events.Money, error) {
		return events.Money{}, fmt.Errorf("price %.40q: want an amount such as %s", typed, events.Money{Amount: 850, Currency: currency})
	}
	whole, fraction, hasFraction := strings.Cut(strings.TrimSpace(typed), ".")
	digits := events.MinorDigits(currency)
	if hasFraction && fraction == "" || len(fraction) > digits || strings.ContainsAny(whole+fraction, "+-_") {
		return refused()
	}
	amount, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil || whole == "" {
		return refused()
	}
	return events.Money{Amount: amount, Currency: currency}, nil
}
