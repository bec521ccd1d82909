package inventory

import (
	"fmt"

	"tillstream/events"
)

// Adjustment is a correction of what is on hand. Exactly one of Delta and Count is given.
type Adjustment struct {
	Delta  *int64 `json:"delta,omitempty" doc:"Add this many; negative takes away"`
	Count  *int64 `json:"count,omitempty" doc:"There are exactly this many, the held ones included"`
	Reason string `json:"reason" doc:"Such as received, counted or damaged; 1 to 200 characters"`
}

// Check returns an [InvalidError] that names every field that cannot be accepted, or nil.
func (a Adjustment) Check() error {
	var c check
	c.that((a.Delta == nil) != (a.Count == nil), "delta", "want exactly one of delta and count")
	if a.Delta != nil {
		c.that(*a.Delta != 0 && *a.Delta >= -MaxQuantity && *a.Delta <= MaxQuantity, "delta", fmt.Sprintf("want -%d to %[1]d, not 0", MaxQuantity))
	}
	if a.Count != nil {
		c.that(*a.Count >= 0 && *a.Count <= MaxQuantity, "count", fmt.Sprintf("want 0 to %d", MaxQuantity))
	}
	c.text("reason", a.Reason, 1, maxReason, "")
	return c.err()
}

func (a Adjustment) decide(sku string, level events.StockLevel) ([]events.Payload, error) {
	if a.Count != nil {
		return SetCount(sku, level, *a.Count, a.Reason)
	}
	return AdjustBy(sku, level, *a.Delta, a.Reason)
}
