package loadgen

import "crypto/rand"

// Line is so many of a SKU.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// Basket is what one shopper wants.
type Basket struct {
	Key     string // Idempotency-Key: the same however often it is sent, another in every run
	Email   string
	Name    string
	Locale  string
	Country string // ISO 3166-1 alpha-2
	Lines   []Line // one per SKU
	Habit   Habit
}

// Source gives baskets until there are none left. Next is never called by two at a time.
type Source interface {
	Next() (Basket, bool)
}

// Demand sums the units per SKU of all baskets of a source, and so uses it up.
func Demand(source Source) map[string]int64 {
	demand := map[string]int64{}
	for basket, ok := source.Next(); ok; basket, ok = source.Next() {
		for _, line := range basket.Lines {
			demand[line.SKU] += line.Quantity
		}
	}
	return demand
}

// NewRunID names a run, so that its idempotency keys are its own.
func NewRunID() string { return rand.Text()[:10] }
