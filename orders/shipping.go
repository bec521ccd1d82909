package orders

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tillstream/events"
)

// ShippingFees are flat fees per order in minor units, by currency. The nil map is free shipping.
type ShippingFees map[string]int64

// For returns the fee of an order in a currency. When fees are set, it returns an error for a currency without one, because
// the fee of another currency would be another price.
func (f ShippingFees) For(currency string) (events.Money, error) {
	fee, ok := f[currency]
	if !ok && len(f) > 0 {
		return events.Money{}, fmt.Errorf("cannot be delivered: the shop has no delivery fee in %s", currency)
	}
	return events.Money{Amount: fee, Currency: currency}, nil
}

var feePattern = regexp.MustCompile(`^([A-Z]{3})=([0-9]{1,8})$`)

// UnmarshalText reads fees such as "GBP=395,EUR=450", in minor units. "0" and "" are free shipping.
func (f *ShippingFees) UnmarshalText(text []byte) error {
	fees := ShippingFees{}
	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part == "" || part == "0" && len(text) == 1 {
			continue
		}
		found := feePattern.FindStringSubmatch(part)
		if found == nil {
			return fmt.Errorf("%q is not a shipping fee: want a currency and minor units, such as GBP=395 for 3.95 GBP, or 0 for none", part)
		}
		fees[found[1]], _ = strconv.ParseInt(found[2], 10, 64) // eight digits at most
	}
	*f = fees
	return nil
}

// MarshalText writes the fees in the form that UnmarshalText reads.
func (f ShippingFees) MarshalText() ([]byte, error) {
	var parts []string
	for _, currency := range slices.Sorted(maps.Keys(f)) {
		parts = append(parts, fmt.Sprintf("%s=%d", currency, f[currency]))
	}
	return []byte(strings.Join(parts, ",")), nil
}
