package invariants

import (
	"fmt"
	"strings"

	"tillstream/events"
)

// stock is the last balance of a SKU's ledger, and how much of it the ledger says was sold.
type stock struct {
	level     events.StockLevel
	committed int64
}

// addStock checks a ledger entry against the one before. A balance that does not follow is a finding once; the ledger
// goes on from what it says, so that one wrong entry is not blamed on all that come after it.
func (l *ledger) addStock(sku string, e events.Event) {
	s, ok := l.stock[sku]
	if !ok {
		s = &stock{}
		l.stock[strings.Clone(sku)] = s
	}
	m, want, ok := follow(s.level, e.Payload)
	subject := "SKU " + sku
	where := fmt.Sprintf("%s at %d", e.Type, e.Sequence)
	if !ok {
		l.find(StockAddsUp, subject, where+" is no ledger entry")
		return
	}
	switch {
	case m.SKU != sku:
		l.find(StockAddsUp, subject, fmt.Sprintf("%s is about SKU %q", where, m.SKU))
		return
	case m.After != want:
		l.find(StockAddsUp, subject, fmt.Sprintf("%s: %s and then %+d gives %s, the entry says %s", where, levelText(s.level), m.Quantity, levelText(want), levelText(m.After)))
	case m.After.OnHand != m.After.Available+m.After.Held:
		l.find(StockAddsUp, subject, fmt.Sprintf("%s: %s does not add up", where, levelText(m.After)))
	case min(m.After.OnHand, m.After.Available, m.After.Held) < 0:
		l.find(StockAddsUp, subject, fmt.Sprintf("%s: %s is below zero", where, levelText(m.After)))
	}
	s.level = m.After
	if _, sold := e.Payload.(events.StockCommitted); sold {
		s.committed += m.Quantity
	}
}

// follow does the arithmetic of an entry on the balance before it.
func follow(before events.StockLevel, p events.Payload) (m events.StockMovement, after events.StockLevel, ok bool) {
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
	default:
		return m, after, false
	}
	return m, after, true
}

// checkReserved compares what each ledger says is held with what the reservations hold, and what it says was sold with
// what those had that were committed: goods that are sold and go back to the shelf would be sold again. All of it
// changes in one atomic batch, so this holds at the end of any batch and needs no second look.
func (l *ledger) checkReserved() {
	reserved := map[string]int64{}
	for _, o := range l.orders {
		for _, line := range o.held {
			reserved[line.SKU] += line.Quantity
		}
	}
	for sku, s := range l.stock {
		if s.level.Held != reserved[sku] {
			l.find(StockAddsUp, "SKU "+sku, fmt.Sprintf("its ledger says %d held, the reservations that are held sum to %d", s.level.Held, reserved[sku]))
		}
		if s.committed != l.sold[sku] {
			l.find(StockAddsUp, "SKU "+sku, fmt.Sprintf("its ledger says %d sold, the reservations that are committed sum to %d", s.committed, l.sold[sku]))
		}
		delete(reserved, sku)
		delete(l.sold, sku)
	}
	for sku, quantity := range reserved {
		l.find(StockAddsUp, "SKU "+sku, fmt.Sprintf("reservations hold %d, and there is no ledger", quantity))
	}
	for sku, quantity := range l.sold {
		l.find(StockAddsUp, "SKU "+sku, fmt.Sprintf("reservations sold %d, and there is no ledger", quantity))
	}
}

func levelText(l events.StockLevel) string {
	return fmt.Sprintf("%d on hand = %d available + %d held", l.OnHand, l.Available, l.Held)
}
