package inventory

import (
	"fmt"
	"maps"
	"slices"

	"tillstream/events"
)

// Action is what an order's event asks of its reservation.
type Action int

// The actions.
const (
	Nothing   Action = iota
	Hold             // put every line aside, or none
	HoldAgain        // the same after a late payment, from a reservation that holds nothing
	Affirm           // say once more that all is held: the late payment found it so
	Release          // give back what is held
	Close            // nothing was ever asked for, and nothing may be any more
	Commit           // what is held is sold
)

// Next says what an order's event asks of its reservation in the state that it is in. The same event again, or an older
// one delivered late, asks for Nothing. It returns [ErrCannotFollow] when an order is confirmed that holds nothing.
func Next(r Reservation, said events.Payload) (Action, error) {
	switch said.(type) {
	case events.OrderPlaced:
		return when(r.State == StateNone, Hold), nil
	case events.OrderPaidLate:
		return afterLatePayment(r), nil
	case events.OrderExpired:
		// An expiry that is delivered again after the late payment must not take back what was held for it.
		return toEnd(r, r.Late), nil
	case events.OrderCancelled, events.OrderRejected:
		return toEnd(r, false), nil
	case events.OrderConfirmed:
		if r.State != StateHeld && r.State != StateCommitted {
			return Nothing, fmt.Errorf("%w: confirmed, but the reservation is %q", ErrCannotFollow, r.State)
		}
		return when(r.State == StateHeld, Commit), nil
	}
	return Nothing, nil
}

func when(condition bool, action Action) Action {
	if condition {
		return action
	}
	return Nothing
}

func afterLatePayment(r Reservation) Action {
	switch {
	case r.Late || r.State == StateCommitted:
		return Nothing
	case r.State == StateHeld:
		return Affirm
	}
	return HoldAgain
}

// toEnd gives back what is held. An order that ended before its placing was heard (that event is a dead letter, say) is closed,
// so that hearing it later does not hold stock for nobody.
func toEnd(r Reservation, overtaken bool) Action {
	switch {
	case r.State == StateNone:
		return Close
	case r.State == StateHeld && !overtaken:
		return Release
	}
	return Nothing
}

// Decision is what is to be said about a reservation and, in the same transaction, about every stock that it touches.
type Decision struct {
	Reservation []events.Payload
	Stock       []Entry // in order of SKU
}

// Entry is one movement for one SKU's ledger.
type Entry struct {
	SKU  string
	Fact events.Payload
}

// Demand sums an order's lines per SKU, in order of SKU. It returns [ErrBadDemand] for an empty order and for quantities
// that are not positive or beyond [MaxQuantity].
func Demand(lines []events.OrderLine) ([]events.ReservedLine, error) {
	if len(lines) == 0 {
		return nil, fmt.Errorf("%w: no lines", ErrBadDemand)
	}
	sums := make(map[string]int64, len(lines))
	for _, l := range lines {
		if l.Quantity <= 0 || l.Quantity > MaxQuantity || sums[l.SKU] > MaxQuantity-l.Quantity {
			return nil, fmt.Errorf("%w: %d of %q", ErrBadDemand, l.Quantity, l.SKU)
		}
		sums[l.SKU] += l.Quantity
	}
	demand := make([]events.ReservedLine, 0, len(sums))
	for _, sku := range slices.Sorted(maps.Keys(sums)) {
		demand = append(demand, events.ReservedLine{SKU: sku, Quantity: sums[sku]})
	}
	return demand, nil
}

// Decide carries an action out on lines that are summed per SKU, given the level of each. For Hold and HoldAgain the
// lines are the order's demand, otherwise those of the reservation.
func Decide(r Reservation, action Action, orderID string, lines []events.ReservedLine, levels map[string]events.StockLevel) (Decision, error) {
	switch action {
	case Hold, HoldAgain:
		return hold(r, action, orderID, lines, levels)
	case Affirm:
		return Decision{Reservation: []events.Payload{events.ReservationHeld{OrderID: orderID, Lines: lines}}}, nil
	case Close:
		return Decision{Reservation: []events.Payload{events.ReservationReleased{OrderID: orderID}}}, nil
	case Release:
		entries, err := move(orderID, lines, levels, func(m events.StockMovement) events.Payload { return events.StockReleased{StockMovement: m} })
		return Decision{Reservation: []events.Payload{events.ReservationReleased{OrderID: orderID}}, Stock: entries}, err
	case Commit:
		entries, err := move(orderID, lines, levels, func(m events.StockMovement) events.Payload { return events.StockCommitted{StockMovement: m} })
		return Decision{Reservation: []events.Payload{events.ReservationCommitted{OrderID: orderID}}, Stock: entries}, err
	}
	return Decision{}, nil
}

func hold(r Reservation, action Action, orderID string, lines []events.ReservedLine, levels map[string]events.StockLevel) (Decision, error) {
	var d Decision
	if action == HoldAgain && r.State == StateNone {
		// The first try was never heard. Closing it first makes this one the second, after which there is no third.
		d.Reservation = append(d.Reservation, events.ReservationReleased{OrderID: orderID})
	}
	if short := shortages(lines, levels); len(short) > 0 {
		d.Reservation = append(d.Reservation, events.ReservationRefused{OrderID: orderID, Short: short})
		return d, nil
	}
	entries, err := move(orderID, lines, levels, func(m events.StockMovement) events.Payload { return events.StockHeld{StockMovement: m} })
	d.Reservation = append(d.Reservation, events.ReservationHeld{OrderID: orderID, Lines: lines})
	d.Stock = entries
	return d, err
}

func shortages(lines []events.ReservedLine, levels map[string]events.StockLevel) []events.Shortage {
	var short []events.Shortage
	for _, l := range lines {
		if available := levels[l.SKU].Available; available < l.Quantity {
			short = append(short, events.Shortage{SKU: l.SKU, Requested: l.Quantity, Available: available})
		}
	}
	return short
}

// move books one entry per line. Each carries the level after it, checked, so that an impossible one is never said.
func move(orderID string, lines []events.ReservedLine, levels map[string]events.StockLevel, entry func(events.StockMovement) events.Payload) ([]Entry, error) {
	entries := make([]Entry, 0, len(lines))
	for _, l := range lines {
		m := events.StockMovement{Location: events.LocationMain, SKU: l.SKU, Quantity: l.Quantity, OrderID: orderID}
		m.After = applied(levels[l.SKU], entry(m), l.Quantity)
		if err := checkLevel(m.After); err != nil {
			return nil, fmt.Errorf("move %d of %s: %w", l.Quantity, l.SKU, err)
		}
		entries = append(entries, Entry{SKU: l.SKU, Fact: entry(m)})
	}
	return entries, nil
}

// PutItem makes an item what the listing says; nothing when it is that already.
func PutItem(item Item, l Listing) []events.Payload {
	wanted := l.item()
	if item.Equal(wanted) {
		return nil
	}
	return []events.Payload{events.ItemChanged(wanted)}
}

// SetCount makes the level what was counted on the shelf; nothing when it is that already. It returns [ErrBelowHeld]
// when orders hold more, [ErrOutOfRange] for a count outside 0 to [MaxQuantity].
func SetCount(sku string, level events.StockLevel, count int64, reason string) ([]events.Payload, error) {
	if count < 0 || count > MaxQuantity {
		return nil, fmt.Errorf("count %d of %s: %w", count, sku, ErrOutOfRange)
	}
	return AdjustBy(sku, level, count-level.OnHand, reason)
}

// AdjustBy adds delta, which may be negative, to what is on hand and available; nothing when it is 0. Errors as [SetCount].
func AdjustBy(sku string, level events.StockLevel, delta int64, reason string) ([]events.Payload, error) {
	switch {
	case delta == 0:
		return nil, nil
	case delta < -MaxQuantity || delta > MaxQuantity || level.OnHand+delta < 0 || level.OnHand+delta > MaxQuantity:
		return nil, fmt.Errorf("adjust %s by %d from %d: %w", sku, delta, level.OnHand, ErrOutOfRange)
	case level.Available+delta < 0:
		return nil, fmt.Errorf("adjust %s by %d from %d: %w: %d", sku, delta, level.OnHand, ErrBelowHeld, level.Held)
	}
	adjusted := events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: delta}, Reason: reason}
	adjusted.After = applied(level, adjusted, delta)
	return []events.Payload{adjusted}, nil
}
