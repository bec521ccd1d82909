package seed

import (
	"io"
	"maps"
	"slices"
)

// Invoice is one sale of the ledger, to be placed as an order.
type Invoice struct {
	Number   string
	Customer string // empty: a guest order
	Country  string // ISO 3166-1 alpha-2
	Lines    []InvoiceLine
}

// InvoiceLine is the sum of an invoice's lines with one SKU.
type InvoiceLine struct {
	SKU      string
	Quantity int64
}

// Sales are the sales of a ledger.
type Sales struct {
	Invoices  []Invoice      // in the order of the file; each has at least one line
	LeftOut   map[Reason]int // lines that are not part of an invoice
	Empty     []string       // invoices other than credit notes without a line that is a sale
	NoCountry []string       // invoices with sales but without a country that has a code
	Lines     int            // of the file, without the header and empty lines
}

// draft is an invoice whose lines are being read.
type draft struct {
	Invoice
	sums          map[string]int64 // units by SKU
	undeliverable int              // lines left out because the country has no code
}

// Invoices returns an order for each invoice that is not a credit note: its lines about goods with a quantity and a price above
// zero. [ReadCSV] returns an item for every SKU of these orders from the same file, with enough stock for all of them, up to
// the shop's maximum of a thousand million units. Items for which listed returns false are left out; a nil function lists
// everything. Customer and country are those of the invoice's first line. An invoice whose country has no code is left out,
// because it cannot be shipped.
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
			d.undeliverable++
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
	case d.undeliverable > 0:
		s.NoCountry = append(s.NoCountry, d.Number)
		s.LeftOut[NoCountry] += d.undeliverable
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
