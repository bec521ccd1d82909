package loadgen

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tillstream/cmd/internal/seed"
	"tillstream/events"
)

// ErrNoSales is returned when a file of invoices has nothing that can be bought.
var ErrNoSales = errors.New("nothing in the file can be bought")

// Invoices are the sales of a file and what of it is no sale.
type Invoices struct {
	List      []Invoice
	LeftOut   map[seed.Reason]int // lines
	Empty     []string            // invoices that have no line left
	NoCountry []string            // invoices that no order can be sent for
	Lines     int                 // of the file
}

// ReadInvoices reads an Online Retail file. What is a sale the catalogue's rules decide; an item that has no price is not in
// the shop, so nobody buys it.
func ReadInvoices(file io.Reader, dates seed.DateFormat, prices map[string]events.Money) (Invoices, error) {
	sales, err := seed.Invoices(file, dates, func(sku string) bool {
		_, listed := prices[sku]
		return listed
	})
	if err != nil {
		return Invoices{}, fmt.Errorf("read the invoices: %w", err)
	}
	in := Invoices{LeftOut: sales.LeftOut, Empty: sales.Empty, NoCountry: sales.NoCountry, Lines: sales.Lines}
	for _, sale := range sales.Invoices {
		invoice := Invoice{Number: sale.Number, CustomerID: sale.Customer, Country: sale.Country}
		for _, line := range sale.Lines {
			invoice.Lines = append(invoice.Lines, Line(line))
		}
		in.List = append(in.List, invoice)
	}
	return in, nil
}

// Check returns [ErrNoSales] when there is no invoice to buy.
func (in Invoices) Check() error {
	switch {
	case len(in.List) > 0:
		return nil
	case in.LeftOut[seed.NotListed] > 0:
		return fmt.Errorf("%w: the shop lists none of its items; list them with ops import-items", ErrNoSales)
	}
	return fmt.Errorf("%w: it has %d lines, and all are left out", ErrNoSales, in.Lines)
}

// WriteLeftOut says what of a file did not become orders.
func (in Invoices) WriteLeftOut(w io.Writer) error {
	p := printer{w: w}
	p.line("%d lines in the file, %d invoices to buy", in.Lines, len(in.List))
	for _, reason := range slices.Sorted(maps.Keys(in.LeftOut)) {
		p.line("%8d lines left out: %s", in.LeftOut[reason], reason)
	}
	p.invoices(in.Empty, "no line of theirs is a sale")
	p.invoices(in.NoCountry, "their country is none that has a code of its own (ISO 3166-1)")
	return p.err
}

// invoices says why some are left out, and names a few of them.
func (p *printer) invoices(numbers []string, why string) {
	if len(numbers) == 0 {
		return
	}
	few := numbers[:min(len(numbers), 5)]
	p.line("%8d invoices left out, because %s, such as %s", len(numbers), why, strings.Join(few, ", "))
}
