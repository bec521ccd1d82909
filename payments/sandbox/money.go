package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// wholeCurrencies have no smaller unit.
var wholeCurrencies = []string{"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"}

// displayAmount shows minor units as people write them: 1250 gbp is 12.50 GBP.
func displayAmount(amount int64, currency string) string {
	name := strings.ToUpper(currency)
	if slices.Contains(wholeCurrencies, currency) {
		return fmt.Sprintf("%d %s", amount, name)
	}
	return fmt.Sprintf("%d.%02d %s", amount/100, amount%100, name)
}
