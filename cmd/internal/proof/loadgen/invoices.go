package loadgen

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/seed"
	"tillstream/events"
)

// ErrNoSales is returned when a file of invoices contains nothing that can be bought.
var ErrNoSales = errors.New("nothing in the file can be bought")

// Invoice is one invoice of a real shop, to be placed as an order.
type Invoice struct {
	Number     string
	CustomerID string // may be empty
	Country    string // ISO 3166-1 alpha-2
	Lines      []Line // one per SKU
}

// Invoices are the sales of a file, and a count of what was left out.
type Invoices struct {
	List      []Invoice
	LeftOut   map[seed.Reason]int // lines
	Empty     []string            // invoices without any line that is a sale
	NoCountry []string            // invoices that cannot be shipped, because their country has no code
	Lines     int                 // of the file
}

// ReadInvoices reads an Online Retail file. Package seed decides which lines are sales; items without a price are not
// listed in the shop and are left out.
func ReadInvoices(file io.Reader, dates seed.DateFormat, prices map[string]events.Money) (Invoices, error) {
	sales, err := seed.Invoices(file, dates, func(sku string) bool {
		_, listed := prices[sku]
		return listed
	})
	if err != nil {
		return Invoices{}, fmt.Errorf("read invoices: %w", err)
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
	return fmt.Errorf("%w: all of its lines are left out (%d)", ErrNoSales, in.Lines)
}

// WriteLeftOut writes how many lines and invoices of the file become orders, and why the others do not.
func (in Invoices) WriteLeftOut(w io.Writer) error {
	p := printer{w: w}
	p.line("%s in the file, %s to buy", output.Count(in.Lines, "line"), output.Count(len(in.List), "invoice"))
	for _, reason := range slices.Sorted(maps.Keys(in.LeftOut)) {
		p.line("%s left out: %s", padded(in.LeftOut[reason], "line"), reason)
	}
	p.invoices(in.Empty, "no line is a sale")
	p.invoices(in.NoCountry, "country has no ISO 3166-1 code")
	return p.err
}

// invoices writes why some invoices are left out, and names the first few.
func (p *printer) invoices(numbers []string, why string) {
	if len(numbers) == 0 {
		return
	}
	few := numbers[:min(len(numbers), 3)]
	p.line("%s left out: %s (%s)", padded(len(numbers), "invoice"), why, strings.Join(few, ", "))
}

// Replay is a [Source] that buys what invoices list, in their order. Wholesalers buy more at once than a stranger may hold, so
// staff place the orders.
type Replay struct {
	runID    string
	invoices []Invoice
	next     int
}

// NewReplay returns a source of one basket per invoice.
func NewReplay(runID string, invoices []Invoice) *Replay {
	return &Replay{runID: runID, invoices: invoices}
}

// Next implements [Source].
func (r *Replay) Next() (Basket, bool) {
	if r.next == len(r.invoices) {
		return Basket{}, false
	}
	invoice := r.invoices[r.next]
	r.next++
	basket := Basket{Key: r.runID + "-" + invoice.Number, Email: "guest-" + invoice.Number + "@example.com",
		Name: "Guest", Locale: "en", Country: invoice.Country, Lines: invoice.Lines, Staff: true}
	if invoice.CustomerID != "" {
		basket.Email = "customer-" + invoice.CustomerID + "@example.com"
		basket.Name = "Customer " + invoice.CustomerID
	}
	if basket.Country == "DE" || basket.Country == "AT" {
		basket.Locale = "de"
	}
	return basket, true
}
