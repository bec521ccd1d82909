package events

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ChargeLimit is the range of amounts that Stripe charges in a currency, in minor units: Min to Max, in multiples of Step.
type ChargeLimit struct{ Min, Max, Step int64 }

// The largest amounts that Stripe charges, by their number of digits (docs.stripe.com/currencies, "Minimum and maximum charge amounts").
// For COP, HUF, JPY and LBP the page gives numbers of digits and examples that differ; the shop has the number of digits, which is less.
// The bank of a card may allow less.
const (
	maxCharge   = 99_999_999
	maxCharge9  = 999_999_999
	maxCharge10 = 9_999_999_999
	maxCharge11 = 99_999_999_999
	maxCharge12 = 999_999_999_999
)

// stripeLimits are the minimum charges that Stripe publishes, and the currencies that it charges in coarser steps than the
// minor unit (docs.stripe.com/currencies, "Minimum and maximum charge amounts" and "Special cases"). A minimum depends on the
// currency that the account is settled in, so an installation can set another one.
var stripeLimits = ChargeLimits{
	"AED": {200, maxCharge, 1}, "AUD": {50, maxCharge, 1}, "BGN": {100, maxCharge, 1}, "BRL": {50, maxCharge, 1},
	"CAD": {50, maxCharge, 1}, "CHF": {50, maxCharge, 1}, "CZK": {1500, maxCharge, 1}, "DKK": {250, maxCharge, 1},
	"EUR": {50, maxCharge, 1}, "GBP": {30, maxCharge, 1}, "HKD": {400, maxCharge, 1}, "HUF": {17_500, maxCharge10, 1},
	"INR": {50, maxCharge9, 1}, "JPY": {50, maxCharge10, 1}, "MXN": {1000, maxCharge, 1}, "MYR": {200, maxCharge, 1},
	"NOK": {300, maxCharge, 1}, "NZD": {50, maxCharge, 1}, "PLN": {200, maxCharge, 1}, "RON": {200, maxCharge, 1},
	"SEK": {300, maxCharge, 1}, "SGD": {50, maxCharge, 1}, "THB": {1000, maxCharge, 1}, "USD": {50, maxCharge, 1},

	"COP": {1, maxCharge10, 1}, "IDR": {1, maxCharge12, 1}, "LBP": {1, maxCharge11, 1},

	"BHD": {10, maxCharge, 10}, "JOD": {10, maxCharge, 10}, "KWD": {10, maxCharge, 10}, "OMR": {10, maxCharge, 10}, "TND": {10, maxCharge, 10},
	"ISK": {100, maxCharge, 100}, "UGX": {100, maxCharge, 100},
}

// ChargeLimits are the limits that an installation sets, by currency. Other currencies have the limits that Stripe publishes.
// The nil map is ready to use.
type ChargeLimits map[string]ChargeLimit

// For returns the limit of a currency. One for which Stripe publishes none has the range from 1.
func (c ChargeLimits) For(currency string) ChargeLimit {
	if limit, ok := c[currency]; ok {
		return limit
	}
	if limit, ok := stripeLimits[currency]; ok {
		return limit
	}
	return ChargeLimit{1, maxCharge, 1}
}

// Check returns [ErrMoney], with a reason for the shopper, for an amount that Stripe would refuse.
func (c ChargeLimits) Check(m Money) error {
	limit := c.For(m.Currency)
	amount := func(n int64) Money { return Money{Amount: n, Currency: m.Currency} }
	switch {
	case m.Amount < limit.Min:
		return fmt.Errorf("%w: %s is less than %s, the least that can be paid by card", ErrMoney, m, amount(limit.Min))
	case m.Amount > limit.Max:
		return fmt.Errorf("%w: %s is more than %s, the most that can be paid by card", ErrMoney, m, amount(limit.Max))
	case m.Amount%limit.Step != 0:
		return fmt.Errorf("%w: %s cannot be paid by card, only multiples of %s can", ErrMoney, m, amount(limit.Step))
	}
	return nil
}

// limitPattern matches one setting: a currency, the minimum charge and, optionally, the step, in minor units.
var limitPattern = regexp.MustCompile(`^([A-Z]{3})=([0-9]{1,8})(?:/([0-9]{1,8}))?$`)

// UnmarshalText reads settings such as "GBP=100,ISK=100/1": the minimum charge of a currency in minor units and, after a slash,
// its step. Without a slash the step is the one that Stripe publishes.
func (c *ChargeLimits) UnmarshalText(text []byte) error {
	limits := ChargeLimits{}
	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		found := limitPattern.FindStringSubmatch(part)
		if found == nil {
			return fmt.Errorf("%q is not a charge limit: want a currency, its minimum charge and, optionally, its step in minor units, such as GBP=100 or ISK=100/1", part)
		}
		limit := limits.For(found[1])
		limit.Min, _ = strconv.ParseInt(found[2], 10, 64) // eight digits at most
		if found[3] != "" {
			limit.Step, _ = strconv.ParseInt(found[3], 10, 64)
		}
		if limit.Min < 1 || limit.Step < 1 {
			return fmt.Errorf("%q is not a charge limit: minimum charge and step must be 1 or more", part)
		}
		limits[found[1]] = limit
	}
	*c = limits
	return nil
}

// MarshalText writes the settings in the form that UnmarshalText reads.
func (c ChargeLimits) MarshalText() ([]byte, error) {
	var parts []string
	for _, currency := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%s=%d/%d", currency, c[currency].Min, c[currency].Step))
	}
	return []byte(strings.Join(parts, ",")), nil
}
