package seed

import (
	"io"
	"maps"
	"slices"
)

// Invoice is one sale of the ledger, as an order to place.
type Invoice struct {
	Number   string
	Customer string // empty: a guest
	Country  string // ISO 3166-1 alpha-2
	Lines    []InvoiceLine
}

// InvoiceLine is one SKU of an invoice, its lines summed.
type InvoiceLine struct {
	SKU      string
	Quantity int64
}

// Sales is what a ledger says was sold.
type Sales struct {
	Invoices  []Invoice      // in the order of the file, those with at least one line
	LeftOut   map[Reason]int // lines that are in no invoice
	Empty     []string       // invoices that are not credit notes and had no line left
	NoCountry []string       // invoices that had lines left, but nowhere to go
	Lines     int            // read, the header and empty ones not counted
}

// draft is an invoice while its lines are read.
type draft struct {
	Invoice
	sums   map[string]int64 // units by SKU
	strays int              // lines left out for want of a country
}

// Invoices makes an order of each invoice that is not a credit note: its lines about goods with a quantity and a price
// above zero. Every SKU in it is one that [ReadCSV] lists from the same file, with enough stock for all of them
// (as far as stock goes, which is a thousand million). What the shop does not list is left out; without a function
// it lists everything. Customer and country are those of the invoice's first line. An invoice whose country has no code
// is left out: no order can be sent there.
//
// The error is of the reader, [ErrHeader] or [ErrDates]; a bad line is not an error.
func Invoices(r io.Reader, dates DateFormat, listed func(sku string) bool) (Sales, error) {
	sales := Sales{LeftOut: map[Reason]int{}}
	var order []*draft
	drafts := map[string]*draft{}
	err := scan(r, dates, func(_ Row, l line, refused *refusedError) {
		sales.Lines++
		d := drafts[l.invoice]
		if d == nil && l.invoice != "" && !l.isCredit() {
			d = &draft{Invoice: Invoice{Number: l.invoice, Customer: l.customer, Country: CountryCode(l.country)}, sums: map[string]int64{}}
			drafts[l.invoice] = d
			order = append(order, d)
		}
		reason, out := leaveOut(l, refused, listed)
		switch {
		case out:
			sales.LeftOut[reason]++
		case d.Country == "":
			d.strays++
		default:
			d.sums[l.sku] += l.quantity
		}
	})
	if err != nil {
		return Sales{}, err
	}
	for _, d := range order {
		sales.add(d)
	}
	return sales, nil
}

func (s *Sales) add(d *draft) {
	switch {
	case d.strays > 0:
		s.NoCountry = append(s.NoCountry, d.Number)
		s.LeftOut[NoCountry] += d.strays
	case len(d.sums) == 0:
		s.Empty = append(s.Empty, d.Number)
	default:
		d.Lines = invoiceLines(d.sums)
		s.Invoices = append(s.Invoices, d.Invoice)
	}
}

func leaveOut(l line, refused *refusedError, listed func(sku string) bool) (Reason, bool) {
	switch {
	case refused != nil:
		return refused.reason, true
	case l.isCredit():
		return CreditNote, true
	case l.quantity <= 0:
		return NoQuantity, true
	case l.price == 0:
		return NoPrice, true
	case listed != nil && !listed(l.sku):
		return NotListed, true
	}
	return "", false
}

func invoiceLines(sums map[string]int64) []InvoiceLine {
	lines := make([]InvoiceLine, 0, len(sums))
	for _, sku := range slices.Sorted(maps.Keys(sums)) {
		lines = append(lines, InvoiceLine{SKU: sku, Quantity: sums[sku]})
	}
	return lines
}
