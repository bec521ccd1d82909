package inventory

import (
	"fmt"

	"tillstream/events"
)

// MaxQuantity is the most that can be on hand of one SKU, and the greatest quantity of a movement. The sum of two such
// numbers cannot overflow.
const MaxQuantity = 1_000_000_000

// Stock is the stock of one SKU.
type Stock struct {
	SKU   string
	Level events.StockLevel
}

// Exists reports whether the SKU had a movement.
func (s Stock) Exists() bool { return s.SKU != "" }

// ApplyStock applies one ledger entry, whose balance is the new level. It returns [ErrOutOfRange] for a balance that does not
// add up, because no decision can rely on it.
func ApplyStock(_ Stock, e events.Event) (Stock, error) {
	m, ok := movementOf(e.Payload)
	if !ok {
		return Stock{}, fmt.Errorf("%w: %s on a stock ledger", ErrCannotFollow, e.Type)
	}
	if m.Location != events.LocationMain || !subjectMatches(e, events.PrefixStock, m.SKU) {
		return Stock{}, fmt.Errorf("%w: movement of %q at %q on subject %s", ErrCannotFollow, m.SKU, m.Location, e.Subject)
	}
	if err := checkLevel(m.After); err != nil {
		return Stock{}, fmt.Errorf("%s of %s: %w", e.Type, m.SKU, err)
	}
	return Stock{SKU: m.SKU, Level: m.After}, nil
}

// levelAfter returns the level after a quantity is moved by an entry of the type of entry.
func levelAfter(level events.StockLevel, entry events.Payload, quantity int64) events.StockLevel {
	switch entry.(type) {
	case events.StockAdjusted, events.StockReturned:
		level.OnHand, level.Available = level.OnHand+quantity, level.Available+quantity
	case events.StockHeld:
		level.Available, level.Held = level.Available-quantity, level.Held+quantity
	case events.StockReleased:
		level.Available, level.Held = level.Available+quantity, level.Held-quantity
	case events.StockCommitted:
		level.OnHand, level.Held = level.OnHand-quantity, level.Held-quantity
	}
	return level
}

func movementOf(p events.Payload) (events.StockMovement, bool) {
	switch p := p.(type) {
	case events.StockAdjusted:
		return p.StockMovement, true
	case events.StockHeld:
		return p.StockMovement, true
	case events.StockReleased:
		return p.StockMovement, true
	case events.StockCommitted:
		return p.StockMovement, true
	case events.StockReturned:
		return p.StockMovement, true
	}
	return events.StockMovement{}, false
}

// checkLevel returns [ErrOutOfRange] unless on_hand = available + held and each is 0 to MaxQuantity.
func checkLevel(l events.StockLevel) error {
	for _, n := range []int64{l.OnHand, l.Available, l.Held} {
		if n < 0 || n > MaxQuantity {
			return fmt.Errorf("%w: %+v", ErrOutOfRange, l)
		}
	}
	if l.OnHand != l.Available+l.Held {
		return fmt.Errorf("%w: %+v does not add up", ErrOutOfRange, l)
	}
	return nil
}
