package loadgen

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"tillstream/events"
)

// ErrBadFile is returned when a CSV is not one of the Online Retail data.
var ErrBadFile = errors.New("not an Online Retail file")

// SumFile says what a file of invoices sells at catalogue prices. It is on purpose another reading than the one that the
// orders were made from: row by row, knowing goods only by the catalogue having them, so that a mistake in one of
// the two shows as a difference. Goods is set, revenue is not: the file knows nothing of the shop's shipping.
func SumFile(r io.Reader, prices map[string]events.Money) (Sum, error) {
	sum := Sum{Source: "file at catalogue prices", Units: map[string]int64{}}
	rows, err := openRows(r)
	if err != nil {
		return sum, err
	}
	invoices := map[string]struct{}{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			sum.Orders = len(invoices)
			return sum, nil
		}
		if err != nil {
			return sum, fmt.Errorf("%w: %w", ErrBadFile, err)
		}
		sku, quantity, sold := sale(row, prices)
		if !sold {
			continue
		}
		invoices[strings.Clone(row[0])] = struct{}{}
		sum.add(sku, quantity)
		if err := sum.sell(prices[sku], quantity); err != nil {
			return sum, fmt.Errorf("sum invoice %s: %w", row[0], err)
		}
	}
}

// sale reads one row: how much of which item it sells, if anything.
func sale(row []string, prices map[string]events.Money) (sku string, quantity int64, sold bool) {
	if len(row) != 8 || strings.HasPrefix(row[0], "C") || !charged(row[5]) || !dated(row[4]) {
		return "", 0, false
	}
	sku = strings.ToUpper(strings.TrimSpace(row[1])) // as the catalogue spells it
	if _, listed := prices[sku]; !listed {
		return "", 0, false
	}
	quantity, err := strconv.ParseInt(strings.TrimSpace(row[3]), 10, 64)
	return sku, quantity, err == nil && quantity > 0
}

// charged reports whether a price is a decimal number above zero.
func charged(price string) bool {
	digits := strings.Replace(strings.TrimSpace(price), ".", "", 1)
	return strings.Trim(digits, "0123456789") == "" && strings.Trim(digits, "0") != ""
}

// dated reports whether a text begins with a day, month and year.
func dated(text string) bool {
	day, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	_, err := time.Parse("2/1/2006", day)
	return err == nil
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
