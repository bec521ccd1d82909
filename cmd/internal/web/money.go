package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"tillstream/events"
)

// symbols are written before the amount. A currency without a symbol is written with its code.
var symbols = map[string]string{
	"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥", "AUD": "A$", "CAD": "CA$", "NZD": "NZ$", "INR": "₹", "KRW": "₩",
}

// Price formats money for English readers: £1,234.50, ¥1,250, CHF 12.50.
func Price(money events.Money) string {
	digits := events.MinorDigits(money.Currency)
	scale := uint64(math.Pow10(digits))
	sign, amount := "", uint64(money.Amount)
	if money.Amount < 0 {
		// In two's complement this also holds for the smallest int64, which has no positive counterpart.
		sign, amount = "-", -amount
	}
	text := grouped(amount / scale)
	if digits > 0 {
		text += fmt.Sprintf(".%0*d", digits, amount%scale)
	}
	symbol, known := symbols[money.Currency]
	if !known {
		symbol = money.Currency + "\u00a0"
	}
	return sign + symbol + text
}

// grouped writes a number with commas between the thousands.
func grouped(number uint64) string {
	digits := strconv.FormatUint(number, 10)
	var out strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(digit)
	}
	return out.String()
}

// ParsePrice reads an amount as people type it, such as "8.50", in a currency. It accepts no separators of thousands, because a comma
// is the decimal sign in some countries.
func ParsePrice(typed, currency string) (events.Money, error) {
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
