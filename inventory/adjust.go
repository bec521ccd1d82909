package inventory

import (
	"context"
	"fmt"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/text"
)

// Adjustment corrects the number of units on hand. Exactly one of Delta and Count is set.
type Adjustment struct {
	Delta  *int64 `json:"delta,omitempty" doc:"Add this many; negative takes away"`
	Count  *int64 `json:"count,omitempty" doc:"There are exactly this many, the held ones included"`
	Reason string `json:"reason" doc:"Such as received, counted or damaged; 1 to 200 characters"`
	// ExpectOnHand refuses the adjustment when the number has changed since the sender has seen it.
	ExpectOnHand *int64 `json:"expect_on_hand,omitempty" doc:"Refuse unless exactly this many are on hand now"`
}

// Check returns an [*events.InvalidError] that names every field that cannot be accepted, or nil.
func (a Adjustment) Check() error {
	var v validator
	v.require((a.Delta == nil) != (a.Count == nil), "delta", "want exactly one of delta and count")
	if a.Delta != nil {
		v.require(*a.Delta != 0 && *a.Delta >= -MaxQuantity && *a.Delta <= MaxQuantity, "delta", fmt.Sprintf("want -%d to %[1]d, not 0", MaxQuantity))
	}
	if a.Count != nil {
		v.require(*a.Count >= 0 && *a.Count <= MaxQuantity, "count", fmt.Sprintf("want 0 to %d", MaxQuantity))
	}
	v.requireText("reason", a.Reason, 1, maxReason, text.Clean)
	return v.err()
}

// Preview returns the level after the adjustment of a SKU that has a level now. It returns the errors of [Service.Adjust], and
// changes nothing.
func (a Adjustment) Preview(sku string, level events.StockLevel) (events.StockLevel, error) {
	if err := a.Check(); err != nil {
		return level, err
	}
	facts, err := a.decide(sku, level)
	if err != nil || len(facts) == 0 {
		return level, err
	}
	adjusted, _ := movementOf(facts[0])
	return adjusted.After, nil
}

func (a Adjustment) decide(sku string, level events.StockLevel) ([]events.Payload, error) {
	if a.ExpectOnHand != nil && *a.ExpectOnHand != level.OnHand {
		return nil, fmt.Errorf("adjust %s: %w: %d are on hand now, not %d", sku, ErrChanged, level.OnHand, *a.ExpectOnHand)
	}
	if a.Count != nil {
		return SetCount(sku, level, *a.Count, cleaned(a.Reason, text.Clean))
	}
	return AdjustBy(sku, level, *a.Delta, cleaned(a.Reason, text.Clean))
}

// Adjust corrects the stock of a SKU on behalf of an author and returns the new level. It returns an [*events.InvalidError],
// [ErrBelowHeld], [ErrChanged], [ErrOutOfRange], or [log.ErrNotFound] for a SKU that was never listed.
func (s *Service) Adjust(ctx context.Context, sku string, a Adjustment, author events.Author) (level events.StockLevel, err error) {
	if err := a.Check(); err != nil {
		return level, err
	}
	if err := s.refresh(ctx, sku); err != nil {
		return level, err
	}
	err = s.log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithAuthor(author)
		item, err := Items.Load(tx, sku)
		if err != nil {
			return err
		}
		stock, err := Stocks.Load(tx, sku)
		if err != nil {
			return err
		}
		if !item.Exists() && !stock.Exists() {
			return fmt.Errorf("%w: item %s", eventlog.ErrNotFound, sku)
		}
		facts, err := a.decide(sku, stock.Level)
		if err != nil {
			return err
		}
		if err := Stocks.Append(tx, sku, facts...); err != nil {
			return err
		}
		stock, err = Stocks.Load(tx, sku)
		level = stock.Level
		return err
	})
	return level, err
}
