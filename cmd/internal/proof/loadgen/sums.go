package loadgen

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tillstream/cmd/internal/seed"
	"tillstream/events"
	"tillstream/inventory"
)

// Sum is what was sold according to one source. Not every source has every figure: nil units and money without a currency
// are unknown.
type Sum struct {
	Source  string
	Orders  int
	Units   map[string]int64 // per SKU
	Goods   events.Money     // without shipping and added tax
	Revenue events.Money     // everything that the shoppers paid
}

// TotalUnits returns the number of units of all SKUs.
func (s Sum) TotalUnits() int64 {
	var units int64
	for _, n := range s.Units {
		units += n
	}
	return units
}

func (s *Sum) addUnits(sku string, units int64) {
	if s.Units == nil {
		s.Units = map[string]int64{}
	}
	s.Units[sku] += units
}

// sell adds sold units and their price.
func (s *Sum) sell(sku string, units int64, price events.Money) error {
	s.addUnits(sku, units)
	worth, err := price.Times(units)
	if err != nil {
		return err
	}
	s.Goods, err = total(s.Goods, worth)
	return err
}

// total adds amounts of one currency. A sum without a currency is zero and takes that of the first amount.
func total(sum, more events.Money) (events.Money, error) {
	if sum.Currency == "" {
		return more, nil
	}
	return sum.Add(more)
}

// NothingSold reports whether no source has an order. Sources without orders do not confirm each other.
func NothingSold(sums []Sum) bool {
	return !slices.ContainsFunc(sums, func(s Sum) bool { return s.Orders > 0 })
}

// Difference is a figure on which a source disagrees with the first one.
type Difference struct {
	Figure string // such as "orders" or "units of 85123A"
	Source string
	Got    string
	Want   string // from the first source
}

// Compare compares every sum with the first one. Unknown figures are not compared.
func Compare(sums []Sum) []Difference {
	var found []Difference
	for _, s := range sums[1:] {
		want := sums[0]
		if s.Orders != want.Orders {
			found = append(found, Difference{"orders", s.Source, fmt.Sprint(s.Orders), fmt.Sprint(want.Orders)})
		}
		found = append(found, compareUnits(s, want)...)
		found = append(found, compareMoney("goods", s.Source, s.Goods, want.Goods)...)
		found = append(found, compareMoney("revenue", s.Source, s.Revenue, want.Revenue)...)
	}
	return found
}

func compareUnits(s, want Sum) []Difference {
	if s.Units == nil || want.Units == nil {
		return nil
	}
	all := maps.Clone(want.Units)
	maps.Copy(all, s.Units)
	var found []Difference
	for _, sku := range slices.Sorted(maps.Keys(all)) {
		if s.Units[sku] != want.Units[sku] {
			found = append(found, Difference{"units of " + sku, s.Source, fmt.Sprint(s.Units[sku]), fmt.Sprint(want.Units[sku])})
		}
	}
	return found
}

func compareMoney(figure, source string, got, want events.Money) []Difference {
	if got == want || got.Currency == "" || want.Currency == "" {
		return nil
	}
	return []Difference{{figure, source, got.String(), want.String()}}
}

// SumFile sums the sales of a file of invoices at catalogue prices. It deliberately does not share code with the reader that
// orders are made from: it works row by row with its own rules for numbers and sums, so that an error in one of the two
// shows as a difference. Both leave out what the shop does not list and invoices whose country has no code. Goods is
// set and Revenue is not, because the file does not contain the shop's shipping.
func SumFile(r io.Reader, dates seed.DateFormat, prices map[string]events.Money) (Sum, error) {
	sum := Sum{Source: "file at catalogue prices", Units: map[string]int64{}}
	reachable := map[string]bool{} // by invoice; its first row names the country
	sold := map[string]struct{}{}
	err := seed.EachRow(r, func(row seed.Row) error {
		if row.Cells == nil {
			return nil // malformed rows sell nothing
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
		return sum.sell(sku, quantity, prices[sku])
	})
	if err != nil {
		return sum, fmt.Errorf("sum invoices: %w", err)
	}
	sum.Orders = len(sold)
	return sum, nil
}

// sale returns what a row sells, if it is a sale.
func sale(row []string, dates seed.DateFormat, prices map[string]events.Money) (sku string, quantity int64, sells bool) {
	invoice := strings.TrimSpace(row[0])
	if invoice == "" || strings.ContainsAny(invoice[:1], "Cc") || !charged(row[5]) {
		return "", 0, false
	}
	sku = strings.ToUpper(strings.TrimSpace(row[1])) // as in the catalogue
	if _, listed := prices[sku]; !listed || seed.IsService(sku) {
		return "", 0, false
	}
	if _, err := dates.Parse(row[4]); err != nil {
		return "", 0, false
	}
	quantity, err := strconv.ParseInt(strings.TrimSpace(row[3]), 10, 64)
	return sku, quantity, err == nil && quantity > 0 && quantity <= seed.MaxQuantity
}

// charged reports whether a price is a positive whole number of pence that the shop can charge: up to ten digits, and up to
// four decimals, of which those after the second are zero.
func charged(price string) bool {
	pounds, fraction, isDecimal := strings.Cut(strings.TrimSpace(price), ".")
	if pounds == "" || len(pounds) > 10 || len(fraction) > 4 || isDecimal != (fraction != "") || strings.Trim(pounds+fraction, "0123456789") != "" {
		return false
	}
	for len(fraction) < 4 {
		fraction += "0"
	}
	parts, err := strconv.ParseInt(pounds+fraction, 10, 64) // hundredths of a penny
	return err == nil && parts > 0 && parts%100 == 0 && parts/100 <= inventory.MaxPrice
}
