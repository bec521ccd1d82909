package loadgen

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"tillstream/cmd/internal/seed"
	"tillstream/events"
	"tillstream/inventory"
)

// SumFile says what a file of invoices sells at catalogue prices. It is on purpose another reading than the one that the
// orders were made from: row by row, with rules of its own for numbers and sums, so that a mistake in one of the two shows as
// a difference. What is left out must be the same: what the shop does not list, and invoices whose country is none. Goods
// is set, revenue is not: the file knows nothing of the shop's shipping.
func SumFile(r io.Reader, dates seed.DateFormat, prices map[string]events.Money) (Sum, error) {
	sum := Sum{Source: "file at catalogue prices", Units: map[string]int64{}}
	reachable := map[string]bool{} // by invoice: its first row names a country
	sold := map[string]struct{}{}
	err := seed.EachRow(r, func(row seed.Row) error {
		if row.Cells == nil {
			return nil // it cannot be cut, so it sells nothing
		}
		number := strings.TrimSpace(row.Cells[0])
		if _, known := reachable[number]; !known {
			reachable[number] = seed.CountryCode(row.Cells[7]) != ""
		}
		sku, quantity, sells := sale(row.Cells, dates, prices)
		if !sells || !reachable[number] {
			return nil
		}
		sold[number] = struct{}{}
		sum.add(sku, quantity)
		return sum.sell(prices[sku], quantity)
	})
	if err != nil {
		return sum, fmt.Errorf("sum the invoices: %w", err)
	}
	sum.Orders = len(sold)
	return sum, nil
}

// sale reads one row: how much of which item it sells, if anything.
func sale(row []string, dates seed.DateFormat, prices map[string]events.Money) (sku string, quantity int64, sells bool) {
	invoice := strings.TrimSpace(row[0])
	if invoice == "" || strings.ContainsAny(invoice[:1], "Cc") || !charged(row[5]) {
		return "", 0, false
	}
	sku = strings.ToUpper(strings.TrimSpace(row[1])) // as the catalogue spells it
	if _, listed := prices[sku]; !listed || seed.IsService(sku) {
		return "", 0, false
	}
	if _, err := dates.Parse(row[4]); err != nil {
		return "", 0, false
	}
	quantity, err := strconv.ParseInt(strings.TrimSpace(row[3]), 10, 64)
	return sku, quantity, err == nil && quantity > 0 && quantity <= seed.MaxQuantity
}

// charged reports whether a price is a number of whole pence above zero that the shop can ask for: up to ten digits, and
// after a point up to four, of which all behind the pence are zero.
func charged(price string) bool {
	pounds, fraction, isDecimal := strings.Cut(strings.TrimSpace(price), ".")
	if pounds == "" || len(pounds) > 10 || len(fraction) > 4 || isDecimal != (fraction != "") || strings.Trim(pounds+fraction, "0123456789") != "" {
		return false
	}
	for len(fraction) < 4 {
		fraction += "0"
	}
	parts, err := strconv.ParseInt(pounds+fraction, 10, 64) // a hundredth of a penny each
	return err == nil && parts > 0 && parts%100 == 0 && parts/100 <= inventory.MaxPrice
}

// sell adds units of one price to the goods.
func (s *Sum) sell(price events.Money, units int64) error {
	worth, err := price.Times(units)
	if err != nil {
		return err
	}
	s.Goods, err = total(s.Goods, worth)
	return err
}
