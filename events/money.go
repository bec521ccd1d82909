package events

import (
	"errors"
	"fmt"
	"math"
)

// ErrMoney is returned when an amount overflows, is negative where it must not be, or mixes currencies.
var ErrMoney = errors.New("invalid money")

// Money is an amount in the minor unit of its currency (pence, cents; whole yen), as Stripe counts it.
type Money struct {
	Amount   int64  `json:"amount"`   // minor units
	Currency string `json:"currency"` // ISO 4217, upper case
}

// Add returns m + o. It fails with [ErrMoney] on overflow or when the currencies differ.
func (m Money) Add(o Money) (Money, error) {
	if m.Currency != o.Currency {
		return Money{}, fmt.Errorf("%w: %s plus %s", ErrMoney, m.Currency, o.Currency)
	}
	if (o.Amount > 0 && m.Amount > math.MaxInt64-o.Amount) || (o.Amount < 0 && m.Amount < math.MinInt64-o.Amount) {
		return Money{}, fmt.Errorf("%w: %d plus %d overflows", ErrMoney, m.Amount, o.Amount)
	}
	return Money{Amount: m.Amount + o.Amount, Currency: m.Currency}, nil
}

// Sub returns m - o. It fails with [ErrMoney] on overflow or when the currencies differ.
func (m Money) Sub(o Money) (Money, error) {
	if o.Amount == math.MinInt64 {
		return Money{}, fmt.Errorf("%w: %d minus %d overflows", ErrMoney, m.Amount, o.Amount)
	}
	return m.Add(Money{Amount: -o.Amount, Currency: o.Currency})
}

// Times returns m multiplied by n ≥ 0. It fails with [ErrMoney] on overflow or a negative factor.
func (m Money) Times(n int64) (Money, error) {
	if n < 0 || m.Amount < 0 {
		return Money{}, fmt.Errorf("%w: %d times %d", ErrMoney, m.Amount, n)
	}
	if n != 0 && m.Amount > math.MaxInt64/n {
		return Money{}, fmt.Errorf("%w: %d times %d overflows", ErrMoney, m.Amount, n)
	}
	return Money{Amount: m.Amount * n, Currency: m.Currency}, nil
}

// IsZero reports whether nothing is owed.
func (m Money) IsZero() bool { return m.Amount == 0 }

// minorDigits lists the ISO 4217 currencies whose minor unit is not a hundredth and that Stripe charges as such
// (docs.stripe.com/currencies, "Zero-decimal currencies" and "Three-decimal currencies").
var minorDigits = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "JPY": 0, "KMF": 0, "KRW": 0, "MGA": 0, "PYG": 0, "RWF": 0, "VND": 0,
	"VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0, "BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3,
}

// MinorDigits is how many decimals a currency's minor unit has: 2 for most, 0 for JPY, 3 for KWD.
func MinorDigits(currency string) int {
	if digits, ok := minorDigits[currency]; ok {
		return digits
	}
	return 2
}

// String formats the amount for logs and mails, such as "12.50 GBP".
func (m Money) String() string {
	digits := MinorDigits(m.Currency)
	if digits == 0 {
		return fmt.Sprintf("%d %s", m.Amount, m.Currency)
	}
	scale := int64(math.Pow10(digits))
	sign, whole, rest := "", m.Amount/scale, m.Amount%scale
	if m.Amount < 0 {
		sign, whole, rest = "-", -whole, -rest
	}
	return fmt.Sprintf("%s%d.%0*d %s", sign, whole, digits, rest, m.Currency)
}
