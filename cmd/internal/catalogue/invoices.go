package catalogue

import (
	"io"
	"maps"
	"slices"
	"strings"
)

// Invoice is one sale of the ledger, as an order to place.
type Invoice struct {
	Number  string
	Country string // ISO 3166-1 alpha-2
	Lines   []InvoiceLine
}

// InvoiceLine is one SKU of an invoice, its lines summed.
type InvoiceLine struct {
	SKU      string
	Quantity int64
}

// Sales is what a ledger says was sold.
type Sales struct {
	Invoices []Invoice      // in the order of the file, those with at least one line
	LeftOut  map[Reason]int // lines that are in no invoice
	Empty    []string       // invoices that are not credit notes and had no line left
	Lines    int            // read, the header and empty ones not counted
}

// Invoices makes an order of each invoice that is not a credit note: its lines about goods with a quantity and a price
// above zero. Every SKU in it is one that [ReadCSV] lists from the same file, with enough stock for all of them
// (as far as stock goes, which is a thousand million).
func Invoices(r io.Reader) (Sales, error) {
	sales := Sales{LeftOut: map[Reason]int{}}
	var order []string
	sums, destination := map[string]map[string]int64{}, map[string]string{}
	err := scan(r, func(_ int, _ string, l line, refused *refusedError) {
		sales.Lines++
		if l.invoice != "" && !l.isCredit() && sums[l.invoice] == nil {
			sums[l.invoice], destination[l.invoice] = map[string]int64{}, l.country
			order = append(order, l.invoice)
		}
		if reason, out := leaveOut(l, refused); out {
			sales.LeftOut[reason]++
			return
		}
		sums[l.invoice][l.sku] += l.quantity
	})
	if err != nil {
		return Sales{}, err
	}
	for _, number := range order {
		if len(sums[number]) == 0 {
			sales.Empty = append(sales.Empty, number)
			continue
		}
		sales.Invoices = append(sales.Invoices, Invoice{Number: number, Country: countryCode(destination[number]), Lines: invoiceLines(sums[number])})
	}
	return sales, nil
}

func leaveOut(l line, refused *refusedError) (Reason, bool) {
	switch {
	case refused != nil:
		return refused.reason, true
	case l.isCredit():
		return CreditNote, true
	case l.quantity <= 0:
		return NoQuantity, true
	case l.price == 0:
		return NoPrice, true
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

// countries are the names that the ledger uses, in lower case.
var countries = map[string]string{
	"australia": "AU", "austria": "AT", "bahrain": "BH", "belgium": "BE", "brazil": "BR", "canada": "CA", "channel islands": "JE",
	"cyprus": "CY", "czech republic": "CZ", "denmark": "DK", "eire": "IE", "finland": "FI", "france": "FR", "germany": "DE",
	"greece": "GR", "hong kong": "HK", "iceland": "IS", "israel": "IL", "italy": "IT", "japan": "JP", "lebanon": "LB",
	"lithuania": "LT", "malta": "MT", "netherlands": "NL", "norway": "NO", "poland": "PL", "portugal": "PT", "rsa": "ZA",
	"saudi arabia": "SA", "singapore": "SG", "spain": "ES", "sweden": "SE", "switzerland": "CH", "united arab emirates": "AE",
	"united kingdom": "GB", "usa": "US",
}

// countryCode is where an invoice went. The shop is British, and so is "Unspecified" and whatever else is no country.
func countryCode(name string) string {
	if code, ok := countries[strings.ToLower(name)]; ok {
		return code
	}
	return "GB"
}
