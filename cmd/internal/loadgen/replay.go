package loadgen

import (
	"fmt"
)

// Invoice is one invoice of a real shop that is to become an order.
type Invoice struct {
	Number     string
	CustomerID string // may be empty
	Country    string // by name
	Lines      []Line // one per SKU
}

// Replay buys what real invoices list.
type Replay struct {
	runID    string
	invoices []Invoice
	next     int
}

// NewReplay replays invoices in their order.
func NewReplay(runID string, invoices []Invoice) *Replay {
	return &Replay{runID: runID, invoices: invoices}
}

// Next implements [Source]. An invoice of an unknown country gives a basket that has the country's name in place of its
// code; a [Buyer] refuses it with a kind that names the country.
func (r *Replay) Next() (Basket, bool) {
	if r.next == len(r.invoices) {
		return Basket{}, false
	}
	invoice := r.invoices[r.next]
	r.next++
	basket := Basket{Key: r.runID + "-" + invoice.Number, Email: "guest-" + invoice.Number + "@example.com",
		Name: "Guest", Locale: "en", Country: invoice.Country, Lines: invoice.Lines}
	if invoice.CustomerID != "" {
		basket.Email = "customer-" + invoice.CustomerID + "@example.com"
		basket.Name = "Customer " + invoice.CustomerID
	}
	if code, ok := countryCodes[invoice.Country]; ok {
		basket.Country = code
	}
	if basket.Country == "DE" || basket.Country == "AT" {
		basket.Locale = "de"
	}
	return basket, true
}

// checkCountry returns a [Failure] for a country that has no code.
func checkCountry(country string) error {
	if len(country) == 2 {
		return nil
	}
	return &Failure{Kind: Kind("unknown_country: " + country), Err: fmt.Errorf("no ISO 3166-1 code is known for %q", country)}
}
