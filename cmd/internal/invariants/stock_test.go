package invariants_test

import (
	"testing"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

func TestWrongStockEntriesAreFound(t *testing.T) {
	t.Parallel()
	held := func(sku string, quantity int64, after events.StockLevel) events.Payload {
		return events.StockHeld{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: quantity, After: after}}
	}
	mug := func(detail string) invariants.Finding {
		return invariants.Finding{Invariant: "I3", Subject: "SKU MUG", Detail: detail}
	}
	tests := []struct {
		name  string
		entry events.Payload
		want  []invariants.Finding
	}{
		{"WrongBalance", held("MUG", 1, events.StockLevel{OnHand: 90, Available: 90}), []invariants.Finding{
			mug("inventory.stock_held at sequence 2, quantity 1: balance is 90 on hand = 90 available + 0 held, want 100 on hand = 99 available + 1 held")}},
		{"Oversold", held("MUG", 101, events.StockLevel{OnHand: 100, Available: -1, Held: 101}), []invariants.Finding{
			mug("inventory.stock_held at sequence 2: 100 on hand = -1 available + 101 held is below zero"),
			mug("its ledger has 101 held, but its held reservations sum to 0")}},
		{"HeldWithoutReservation", held("MUG", 1, events.StockLevel{OnHand: 100, Available: 99, Held: 1}), []invariants.Finding{
			mug("its ledger has 1 held, but its held reservations sum to 0")}},
		{"OtherSKU", held("CUP", 1, events.StockLevel{OnHand: 100, Available: 99, Held: 1}), []invariants.Finding{
			mug(`inventory.stock_held at sequence 2 is about SKU "CUP"`)}},
		{"NotALedgerEntry", events.ItemChanged{SKU: "MUG"}, []invariants.Finding{
			mug("inventory.item_changed at sequence 2 is not a ledger entry")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.publish(events.PrefixStock+"MUG", test.entry)
			finds(t, check(t, s.options()), test.want...)
		})
	}
	t.Run("ReservedWithoutLedger", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.awaiting("o1", time.Now().Add(time.Hour))
		s.awaiting("o2", time.Now().Add(time.Hour))
		s.reserve("o2", events.ReservationHeld{OrderID: "o2", Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}, {SKU: "GHOST", Quantity: 2}}})
		finds(t, check(t, s.options()),
			invariants.Finding{Invariant: "I3", Subject: "SKU GHOST", Detail: "reservations hold 2, but it has no ledger"},
			invariants.Finding{Invariant: "I3", Subject: "order o2", Detail: "its reservation is held, but not for the goods that were ordered"})
	})
}

// If sold goods return to the shelf, every balance adds up, but the goods are sold again.
func TestSoldStockMustLeaveTheLedger(t *testing.T) {
	t.Parallel()
	mug := func(detail string) invariants.Finding {
		return invariants.Finding{Invariant: "I3", Subject: "SKU MUG", Detail: detail}
	}
	for name, test := range map[string]struct {
		reservation, stock func(*shop)
		want               invariants.Finding
	}{
		"SoldAndReturnedToTheShelf": {
			func(s *shop) { s.reserve("o1", events.ReservationCommitted{OrderID: "o1"}) },
			func(s *shop) {
				s.publish(events.PrefixStock+"MUG", events.StockReleased{StockMovement: s.movement("MUG", 1, 0, 1, -1)})
			},
			mug("its ledger has 1 sold, but its committed reservations sum to 2")},
		"ReleasedAndTakenFromTheShelf": {
			func(s *shop) { s.reserve("o1", events.ReservationReleased{OrderID: "o1"}) },
			func(s *shop) {
				s.publish(events.PrefixStock+"MUG", events.StockCommitted{StockMovement: s.movement("MUG", 1, -1, 0, -1)})
			},
			mug("its ledger has 2 sold, but its committed reservations sum to 1")},
		"ReturnedWithoutAReservation": {
			func(*shop) {},
			func(s *shop) {
				s.publish(events.PrefixStock+"MUG", events.StockReturned{StockMovement: s.movement("MUG", 1, 1, 1, 0)})
			},
			mug("its ledger has 0 sold, but its committed reservations sum to 1")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.sold("sold")
			s.awaiting("o1", time.Now().Add(time.Hour))
			test.reservation(s)
			test.stock(s)
			finds(t, check(t, s.options()), test.want)
		})
	}
	t.Run("SoldWithoutLedger", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.order("o1", events.OrderPlaced{OrderID: "o1", Total: gbp(price), ExpiresAt: time.Now().Add(time.Hour),
			Lines: []events.OrderLine{{SKU: "GHOST", Quantity: 2, UnitPrice: gbp(price / 2), Total: gbp(price)}}})
		s.reserve("o1", events.ReservationHeld{OrderID: "o1", Lines: []events.ReservedLine{{SKU: "GHOST", Quantity: 2}}})
		s.order("o1", events.OrderAwaitingPayment{OrderID: "o1", Amount: gbp(price), ExpiresAt: time.Now().Add(time.Hour)})
		s.reserve("o1", events.ReservationCommitted{OrderID: "o1"})
		finds(t, check(t, s.options()), invariants.Finding{Invariant: "I3", Subject: "SKU GHOST", Detail: "reservations sold 2, but it has no ledger"})
	})
}
