package invariants

import (
	"fmt"
	"strings"

	"tillstream/events"
)

// stock is the latest balance of a SKU's stock ledger, and the units that it sold less those that were returned.
type stock struct {
	level events.StockLevel
	sold  int64
}

// addStock checks that a ledger entry follows from the one before. After a wrong entry it continues from that entry's
// balance, so that one mistake is one finding.
func (l *ledger) addStock(sku string, e events.Event) {
	s, ok := l.stock[sku]
	if !ok {
		s = &stock{}
		l.stock[strings.Clone(sku)] = s
	}
	m, want, ok := apply(s.level, e.Payload)
	subject := "SKU " + sku
	where := fmt.Sprintf("%s at sequence %d", e.Type, e.Sequence)
	if !ok {
		l.find(StockAddsUp, subject, where+" is not a ledger entry")
		return
	}
	switch {
	case m.SKU != sku:
		l.find(StockAddsUp, subject, fmt.Sprintf("%s is about SKU %q", where, m.SKU))
		return
	case m.After != want:
		l.find(StockAddsUp, subject, fmt.Sprintf("%s, quantity %d: balance is %s, want %s", where, m.Quantity, levelText(m.After), levelText(want)))
	case m.After.OnHand != m.After.Available+m.After.Held:
		l.find(StockAddsUp, subject, fmt.Sprintf("%s: %s does not add up", where, levelText(m.After)))
	case min(m.After.OnHand, m.After.Available, m.After.Held) < 0:
		l.find(StockAddsUp, subject, fmt.Sprintf("%s: %s is below zero", where, levelText(m.After)))
	}
	s.level = m.After
	switch e.Payload.(type) {
	case events.StockCommitted:
		s.sold += m.Quantity
	case events.StockReturned:
		s.sold -= m.Quantity
	}
}

// apply returns the movement of an entry, and the balance after it.
func apply(before events.StockLevel, p events.Payload) (m events.StockMovement, after events.StockLevel, ok bool) {
	after = before
	switch p := p.(type) {
	case events.StockAdjusted:
		m = p.StockMovement
		after.OnHand += m.Quantity
		after.Available += m.Quantity
	case events.StockHeld:
		m = p.StockMovement
		after.Available -= m.Quantity
		after.Held += m.Quantity
	case events.StockReleased:
		m = p.StockMovement
		after.Held -= m.Quantity
		after.Available += m.Quantity
	case events.StockCommitted:
		m = p.StockMovement
		after.Held -= m.Quantity
		after.OnHand -= m.Quantity
	case events.StockReturned:
		m = p.StockMovement
		after.OnHand += m.Quantity
		after.Available += m.Quantity
	default:
		return m, after, false
	}
	return m, after, true
}

// checkReserved requires that the units held and sold in each ledger, less the returned ones, are those of the reservations. Goods that
// were sold and returned to the shelf without a reason would be sold again. Ledger and reservations change in one atomic batch, so they agree at the
// end of every batch and need no second look.
func (l *ledger) checkReserved() {
	reserved := map[string]int64{}
	for _, o := range l.orders {
		for _, line := range o.held {
			reserved[line.SKU] += line.Quantity
		}
	}
	for sku, s := range l.stock {
		if s.level.Held != reserved[sku] {
			l.find(StockAddsUp, "SKU "+sku, fmt.Sprintf("its ledger has %d held, but its held reservations sum to %d", s.level.Held, reserved[sku]))
		}
		if s.sold != l.sold[sku] {
			l.find(StockAddsUp, "SKU "+sku, fmt.Sprintf("its ledger has %d sold, but its committed reservations sum to %d", s.sold, l.sold[sku]))
		}
		delete(reserved, sku)
		delete(l.sold, sku)
	}
	for sku, quantity := range reserved {
		l.find(StockAddsUp, "SKU "+sku, fmt.Sprintf("reservations hold %d, but it has no ledger", quantity))
	}
	for sku, quantity := range l.sold {
		l.find(StockAddsUp, "SKU "+sku, fmt.Sprintf("reservations sold %d, but it has no ledger", quantity))
	}
}

func levelText(l events.StockLevel) string {
	return fmt.Sprintf("%d on hand = %d available + %d held", l.OnHand, l.Available, l.Held)
}
