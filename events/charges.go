package events

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ChargeLimit says which amounts of a currency Stripe charges, in minor units: from Min to Max, in multiples of Step.
type ChargeLimit struct{ Min, Max, Step int64 }

// maxCharge is Stripe's limit: an amount has eight digits (stripe-go, PaymentIntentParams.Amount). A few currencies may have more
// (docs.stripe.com/currencies), which no shop of ours has needed.
const maxCharge = 99_999_999

// charges are the minimum charges that Stripe publishes, and the currencies it charges in coarser steps than the minor unit
// (docs.stripe.com/currencies, "Minimum and maximum charge amounts" and "Special cases"). A minimum depends on the currency
// that the account is settled in, so it can be set.
var charges = ChargeLimits{
	"AED": {200, maxCharge, 1}, "AUD": {50, maxCharge, 1}, "BGN": {100, maxCharge, 1}, "BRL": {50, maxCharge, 1},
	"CAD": {50, maxCharge, 1}, "CHF": {50, maxCharge, 1}, "CZK": {1500, maxCharge, 1}, "DKK": {250, maxCharge, 1},
	"EUR": {50, maxCharge, 1}, "GBP": {30, maxCharge, 1}, "HKD": {400, maxCharge, 1}, "HUF": {17_500, maxCharge, 1},
	"INR": {50, maxCharge, 1}, "JPY": {50, maxCharge, 1}, "MXN": {1000, maxCharge, 1}, "MYR": {200, maxCharge, 1},
	"NOK": {300, maxCharge, 1}, "NZD": {50, maxCharge, 1}, "PLN": {200, maxCharge, 1}, "RON": {200, maxCharge, 1},
	"SEK": {300, maxCharge, 1}, "SGD": {50, maxCharge, 1}, "THB": {1000, maxCharge, 1}, "USD": {50, maxCharge, 1},

	"BHD": {10, maxCharge, 10}, "JOD": {10, maxCharge, 10}, "KWD": {10, maxCharge, 10}, "OMR": {10, maxCharge, 10}, "TND": {10, maxCharge, 10},
	"ISK": {100, maxCharge, 100}, "UGX": {100, maxCharge, 100},
}

// ChargeLimits are what an installation has set otherwise than Stripe publishes it, by currency. The nil map is ready to use.
type ChargeLimits map[string]ChargeLimit

// Of returns what Stripe charges of a currency; of one that Stripe publishes nothing about, any amount from 1 on.
func (c ChargeLimits) For(currency string) ChargeLimit {
	if charge, ok := c[currency]; ok {
		return charge
	}
	if charge, ok := charges[currency]; ok {
		return charge
	}
	return ChargeLimit{1, maxCharge, 1}
}

// Check returns [ErrMoney] with the reason for an amount that Stripe would refuse.
func (c ChargeLimits) Check(m Money) error {
	charge := c.For(m.Currency)
	amount := func(n int64) Money { return Money{Amount: n, Currency: m.Currency} }
	switch {
	case m.Amount < charge.Min:
		return fmt.Errorf("%w: %s is less than %s, the least that can be paid by card", ErrMoney, m, amount(charge.Min))
	case m.Amount > charge.Max:
		return fmt.Errorf("%w: %s is more than %s, the most that can be paid by card", ErrMoney, m, amount(charge.Max))
	case m.Amount%charge.Step != 0:
		return fmt.Errorf("%w: %s cannot be paid by card, only multiples of %s can", ErrMoney, m, amount(charge.Step))
	}
	return nil
}

// chargePattern is one setting: a currency, the least charge and, if it is not 1, the step, in minor units.
var chargePattern = regexp.MustCompile(`^([A-Z]{3})=([0-9]{1,8})(?:/([0-9]{1,8}))?$`)

// UnmarshalText reads settings such as "GBP=100,ISK=100/1": the least charge of a currency in minor units and, after a slash,
// its step. What is left out stays as Stripe publishes it.
func (c *ChargeLimits) UnmarshalText(text []byte) error {
	set := ChargeLimits{}
	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		found := chargePattern.FindStringSubmatch(part)
		if found == nil {
			return fmt.Errorf("%q is not a charge limit: want a currency, its least charge and, if need be, its step in minor units, such as GBP=100 or ISK=100/1", part)
		}
		charge := set.For(found[1])
		charge.Min, _ = strconv.ParseInt(found[2], 10, 64) // eight digits at most
		if found[3] != "" {
			charge.Step, _ = strconv.ParseInt(found[3], 10, 64)
		}
		if charge.Min < 1 || charge.Step < 1 {
			return fmt.Errorf("%q is not a charge limit: the least charge and the step are at least 1", part)
		}
		set[found[1]] = charge
	}
	*c = set
	return nil
}

// MarshalText writes the settings as UnmarshalText reads them.
func (c ChargeLimits) MarshalText() ([]byte, error) {
	var parts []string
	for _, currency := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%s=%d/%d", currency, c[currency].Min, c[currency].Step))
	}
	return []byte(strings.Join(parts, ",")), nil
}
