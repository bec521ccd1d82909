package loadgen

import (
	"fmt"
	"maps"
	"slices"

	"tillstream/events"
)

// Sum is what one source says was sold. Sources do not know everything: what is nil or has no currency is unknown.
type Sum struct {
	Source  string
	Orders  int
	Units   map[string]int64 // per SKU
	Goods   events.Money     // without shipping and tax on top
	Revenue events.Money     // all that the shoppers paid
}

// TotalUnits is the number of units of all SKUs.
func (s Sum) TotalUnits() int64 {
	var total int64
	for _, units := range s.Units {
		total += units
	}
	return total
}

func (s *Sum) add(sku string, units int64) {
	if s.Units == nil {
		s.Units = map[string]int64{}
	}
	s.Units[sku] += units
}

// NothingSold reports whether no source knows of a sale. Sources that all say nothing do not confirm each other.
func NothingSold(sums []Sum) bool {
	return !slices.ContainsFunc(sums, func(s Sum) bool { return s.Orders > 0 })
}

// Difference is one figure on which two sources do not agree.
type Difference struct {
	Figure string // such as "orders" or "units of 85123A"
	Source string
	Says   string
	Want   string // what the first source says
}

// Compare holds every sum against the first one and lists what differs. Unknown figures are not compared.
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

func compareMoney(figure, source string, says, want events.Money) []Difference {
	if says == want || says.Currency == "" || want.Currency == "" {
		return nil
	}
	return []Difference{{figure, source, says.String(), want.String()}}
}

// total adds amounts of one currency. It starts without one, so the first amount says which.
func total(sum, more events.Money) (events.Money, error) {
	if sum.Currency == "" {
		return more, nil
	}
	return sum.Add(more)
}
