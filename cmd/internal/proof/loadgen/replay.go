package loadgen

// Invoice is one invoice of a real shop that is to become an order.
type Invoice struct {
	Number     string
	CustomerID string // may be empty
	Country    string // ISO 3166-1 alpha-2
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

// Next implements [Source].
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
	if basket.Country == "DE" || basket.Country == "AT" {
		basket.Locale = "de"
	}
	return basket, true
}
