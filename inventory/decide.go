package inventory

import (
	"fmt"
	"maps"
	"slices"

	"tillstream/events"
)

// Action is what an order's event does to the order's reservation.
type Action int

// The actions.
const (
	Nothing   Action = iota
	Hold             // hold every line, or none
	HoldAgain        // the same after a late payment, when nothing is held
	Affirm           // state again that every line is held: it still was when a late payment arrived
	Release          // release the held lines
	Close            // hold nothing from now on: the order ended before its placement was handled
	Commit           // the held lines are sold
)

// Next returns the action that an order's event calls for. It is Nothing for an event that was handled before or comes too late.
// Next returns [ErrCannotFollow] for the confirmation of an order for which nothing is held.
func Next(r Reservation, event events.Payload) (Action, error) {
	switch event.(type) {
	case events.OrderPlaced:
		return actionIf(r.State == StateNone, Hold), nil
	case events.OrderPaidLate:
		return actionOnLatePayment(r), nil
	case events.OrderExpired:
		// An expiry that is delivered again after the late payment must not release what was held for the payment.
		return actionOnEnd(r, r.Late), nil
	case events.OrderCancelled, events.OrderRejected:
		return actionOnEnd(r, false), nil
	case events.OrderConfirmed:
		if r.State != StateHeld && r.State != StateCommitted {
			return Nothing, fmt.Errorf("%w: confirmed, but the reservation is %q", ErrCannotFollow, r.State)
		}
		return actionIf(r.State == StateHeld, Commit), nil
	}
	return Nothing, nil
}

func actionIf(condition bool, action Action) Action {
	if condition {
		return action
	}
	return Nothing
}

func actionOnLatePayment(r Reservation) Action {
	switch {
	case r.Late || r.State == StateCommitted:
		return Nothing
	case r.State == StateHeld:
		return Affirm
	}
	return HoldAgain
}

// actionOnEnd releases the held stock, unless a later event has overtaken the end of the order. If the placement was not handled
// yet, because it is a dead letter, it closes the reservation: otherwise a redrive would hold stock for an order that has ended.
func actionOnEnd(r Reservation, overtaken bool) Action {
	switch {
	case r.State == StateNone:
		return Close
	case r.State == StateHeld && !overtaken:
		return Release
	}
	return Nothing
}

// Decision is the events to append to a reservation and, in the same transaction, to the stock of its SKUs.
type Decision struct {
	Reservation []events.Payload
	Stock       []Entry // in order of SKU
}

// Entry is an event to append to the ledger of a SKU.
type Entry struct {
	SKU  string
	Fact events.Payload
}

// Demand adds up an order's lines per SKU, sorted by SKU. It returns [ErrBadDemand] for an order without lines and for a
// quantity outside 1 to [MaxQuantity].
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

// HoldLimit is how much one unpaid order may hold of what is available of a SKU. The zero HoldLimit is none.
type HoldLimit struct {
	Percent int64 // of the available units; 0 and 100: all of them
	Always  int64 // units that every order may hold, so that the last ones can be bought
}

// of returns how many units an order may hold.
func (l HoldLimit) of(available int64) int64 {
	if l.Percent == 0 {
		return available
	}
	return min(available, max(l.Always, available*l.Percent/100))
}

// Decide returns the events of an action on lines, given the stock level of each SKU. For Hold and HoldAgain the lines are the
// [Demand] of the order, otherwise those of the reservation. The limit is for Hold only: after a late payment the order is paid.
func Decide(r Reservation, action Action, orderID string, lines []events.ReservedLine, levels map[string]events.StockLevel, limit HoldLimit) (Decision, error) {
	switch action {
	case Hold:
		return hold(r, action, orderID, lines, levels, limit)
	case HoldAgain:
		return hold(r, action, orderID, lines, levels, HoldLimit{})
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

func hold(r Reservation, action Action, orderID string, lines []events.ReservedLine, levels map[string]events.StockLevel, limit HoldLimit) (Decision, error) {
	var d Decision
	if action == HoldAgain && r.State == StateNone {
		// The placement was not handled. Closing the reservation first makes this hold the second one, so the placement cannot
		// hold the stock again.
		d.Reservation = append(d.Reservation, events.ReservationReleased{OrderID: orderID})
	}
	if short := shortages(lines, levels, limit); len(short) > 0 {
		d.Reservation = append(d.Reservation, events.ReservationRefused{OrderID: orderID, Short: short})
		return d, nil
	}
	entries, err := move(orderID, lines, levels, func(m events.StockMovement) events.Payload { return events.StockHeld{StockMovement: m} })
	d.Reservation = append(d.Reservation, events.ReservationHeld{OrderID: orderID, Lines: lines})
	d.Stock = entries
	return d, err
}

func shortages(lines []events.ReservedLine, levels map[string]events.StockLevel, limit HoldLimit) []events.Shortage {
	var short []events.Shortage
	for _, l := range lines {
		available := levels[l.SKU].Available
		if allowed := limit.of(available); allowed < l.Quantity {
			short = append(short, events.Shortage{SKU: l.SKU, Requested: l.Quantity, Available: allowed, Limited: allowed < available})
		}
	}
	return short
}

// move returns one ledger entry per line, each with the level after it. It returns [ErrOutOfRange] if a level would be impossible.
func move(orderID string, lines []events.ReservedLine, levels map[string]events.StockLevel, entry func(events.StockMovement) events.Payload) ([]Entry, error) {
	entries := make([]Entry, 0, len(lines))
	for _, l := range lines {
		m := events.StockMovement{Location: events.LocationMain, SKU: l.SKU, Quantity: l.Quantity, OrderID: orderID}
		m.After = levelAfter(levels[l.SKU], entry(m), l.Quantity)
		if err := checkLevel(m.After); err != nil {
			return nil, fmt.Errorf("move %d of %s: %w", l.Quantity, l.SKU, err)
		}
		entries = append(entries, Entry{SKU: l.SKU, Fact: entry(m)})
	}
	return entries, nil
}

// PutItem changes an item to a listing. It returns no events when they are equal.
func PutItem(item Item, l Listing) []events.Payload {
	wanted := l.item()
	if item.Equal(wanted) {
		return nil
	}
	return []events.Payload{events.ItemChanged(wanted)}
}

// SetCount sets what is on hand to a count. It returns no events when they are equal, [ErrBelowHeld] when more is held for
// orders, and [ErrOutOfRange] for a count outside 0 to [MaxQuantity].
func SetCount(sku string, level events.StockLevel, count int64, reason string) ([]events.Payload, error) {
	if count < 0 || count > MaxQuantity {
		return nil, fmt.Errorf("count %d of %s: %w", count, sku, ErrOutOfRange)
	}
	return AdjustBy(sku, level, count-level.OnHand, reason)
}

// AdjustBy adds delta, which may be negative, to what is on hand and available. It returns no events for 0, and errors like
// [SetCount].
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
	adjusted.After = levelAfter(level, adjusted, delta)
	return []events.Payload{adjusted}, nil
}
