package events

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bojanz/currency"
)

// Money is an amount in the minor unit of its currency (pence, cents, whole yen), as Stripe counts it.
type Money struct {
	Amount   int64  `json:"amount"`   // minor units
	Currency string `json:"currency"` // ISO 4217, upper case
}

// Add returns m + o. It returns [ErrMoney] on overflow or when the currencies differ.
func (m Money) Add(o Money) (Money, error) {
	if m.Currency != o.Currency {
		return Money{}, fmt.Errorf("%w: %s plus %s", ErrMoney, m.Currency, o.Currency)
	}
	if (o.Amount > 0 && m.Amount > math.MaxInt64-o.Amount) || (o.Amount < 0 && m.Amount < math.MinInt64-o.Amount) {
		return Money{}, fmt.Errorf("%w: %d plus %d overflows", ErrMoney, m.Amount, o.Amount)
	}
	return Money{Amount: m.Amount + o.Amount, Currency: m.Currency}, nil
}

// Sub returns m - o. It returns [ErrMoney] on overflow or when the currencies differ.
func (m Money) Sub(o Money) (Money, error) {
	if o.Amount == math.MinInt64 {
		return Money{}, fmt.Errorf("%w: %d minus %d overflows", ErrMoney, m.Amount, o.Amount)
	}
	return m.Add(Money{Amount: -o.Amount, Currency: o.Currency})
}

// Times returns m multiplied by n. It returns [ErrMoney] on overflow or when one of them is negative.
func (m Money) Times(n int64) (Money, error) {
	if n < 0 || m.Amount < 0 {
		return Money{}, fmt.Errorf("%w: %d times %d", ErrMoney, m.Amount, n)
	}
	if n != 0 && m.Amount > math.MaxInt64/n {
		return Money{}, fmt.Errorf("%w: %d times %d overflows", ErrMoney, m.Amount, n)
	}
	return Money{Amount: m.Amount * n, Currency: m.Currency}, nil
}

// IsZero reports whether the amount is 0.
func (m Money) IsZero() bool { return m.Amount == 0 }

// stripeDigits has the digits of the currencies whose minor unit at Stripe differs from that of the CLDR
// (docs.stripe.com/currencies, "Special cases" and "Zero-decimal currencies"). Payouts in HUF and TWD have whole units only, but charges
// have two decimals.
var stripeDigits = map[string]int{"ISK": 2, "MGA": 0, "UGX": 2}

// MinorDigits returns how many decimals the minor unit of a currency has: 2 for most and for unknown ones, 0 for JPY, 3 for
// KWD.
func MinorDigits(code string) int {
	if digits, ok := stripeDigits[code]; ok {
		return digits
	}
	if digits, ok := currency.GetDigits(code); ok {
		return int(digits)
	}
	return 2
}

// String formats the amount for logs and terminals, such as "12.50 GBP". Pages and mails have [Money.Format].
func (m Money) String() string { return m.Number() + " " + m.Currency }

// Number formats the amount without its currency, for files and forms: digits, and a point before the decimals of the minor unit.
func (m Money) Number() string {
	digits := MinorDigits(m.Currency)
	if digits == 0 {
		return strconv.FormatInt(m.Amount, 10)
	}
	scale := int64(math.Pow10(digits))
	sign, whole, rest := "", m.Amount/scale, m.Amount%scale
	if m.Amount < 0 {
		sign, whole, rest = "-", -whole, -rest
	}
	return fmt.Sprintf("%s%d.%0*d", sign, whole, digits, rest)
}

// ParseMoney reads an amount as people type it, such as "8.50", in a currency. It accepts no separators of thousands, because a comma
// is the decimal sign in some countries.
func ParseMoney(typed, currency string) (Money, error) {
	refused := func() (Money, error) {
		return Money{}, fmt.Errorf("price %.40q: want an amount such as %s", typed, Money{Amount: 850, Currency: currency})
	}
	whole, fraction, hasFraction := strings.Cut(strings.TrimSpace(typed), ".")
	digits := MinorDigits(currency)
	if hasFraction && fraction == "" || len(fraction) > digits || strings.ContainsAny(whole+fraction, "+-_") {
		return refused()
	}
	amount, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil || whole == "" {
		return refused()
	}
	return Money{Amount: amount, Currency: currency}, nil
}
