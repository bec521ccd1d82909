package inventory

import (
	"fmt"
	"maps"
	"slices"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// The causes of goods that were returned because their order was cancelled, or because its authorization ended after goods were sent. A
// refund or a last parcel is named by its id.
const (
	causeCancelled    = "cancelled"
	causeUnauthorized = "authorization_lost"
)

// Return returns goods of a committed reservation to stock, once per cause. It returns [ErrCannotFollow] for goods that were not sold,
// or that were returned before, and [ErrBadDemand] for a quantity below 1.
func Return(r Reservation, cause string, goods []events.ReservedLine, levels map[string]events.StockLevel) (Decision, error) {
	if _, done := r.Returned[cause]; done || len(goods) == 0 {
		return Decision{}, nil
	}
	if r.State != StateCommitted {
		return Decision{}, fmt.Errorf("%w: %s returns goods of a reservation that is %q", ErrCannotFollow, cause, r.State)
	}
	sold := r.sold()
	units := make(map[string]int64, len(goods))
	for _, l := range goods {
		if l.Quantity < 1 {
			return Decision{}, fmt.Errorf("%w: %s returns %d of %q", ErrBadDemand, cause, l.Quantity, l.SKU)
		}
		if l.Quantity > sold[l.SKU]-units[l.SKU] {
			return Decision{}, fmt.Errorf("%w: %s returns %d of %q, of which %d are sold and not returned", ErrCannotFollow, cause, l.Quantity, l.SKU, sold[l.SKU]-units[l.SKU])
		}
		units[l.SKU] += l.Quantity
	}
	lines := make([]events.ReservedLine, 0, len(units))
	for _, sku := range slices.Sorted(maps.Keys(units)) {
		lines = append(lines, events.ReservedLine{SKU: sku, Quantity: units[sku]})
	}
	entries, err := move(r.OrderID, lines, levels, func(m events.StockMovement) events.Payload { return events.StockReturned{StockMovement: m} })
	return Decision{Reservation: []events.Payload{events.ReservationReturned{OrderID: r.OrderID, Cause: cause, Lines: lines}}, Stock: entries}, err
}

// sold returns the units of each SKU that the reservation sold and that were not returned.
func (r Reservation) sold() map[string]int64 {
	sold := make(map[string]int64, len(r.Lines))
	for _, l := range r.Lines {
		sold[l.SKU] += l.Quantity
	}
	for _, lines := range r.Returned {
		for _, l := range lines {
			sold[l.SKU] -= l.Quantity
		}
	}
	return sold
}

// onReturn routes one type of order event that returns goods. parse returns the order's id, the cause and the goods.
func onReturn[P events.Payload](parse func(P) (orderID, cause string, goods []events.ReservedLine)) worker.Route {
	return worker.On(func(tx *eventlog.Tx, e events.Event, p P) error {
		orderID, cause, goods := parse(p)
		if !subjectMatches(e, events.PrefixOrder, orderID) {
			return fmt.Errorf("%w: order %q on subject %s", ErrCannotFollow, orderID, e.Subject)
		}
		if len(goods) == 0 {
			return nil
		}
		reservation, err := Reservations.Load(tx, orderID)
		if err != nil {
			return err
		}
		return returnGoods(tx, reservation, cause, goods)
	})
}

// returnGoods returns goods in one commit: the event of the reservation and an entry in the ledger of each SKU.
func returnGoods(tx *eventlog.Tx, r Reservation, cause string, goods []events.ReservedLine) error {
	levels, err := loadLevels(tx, goods)
	if err != nil {
		return err
	}
	decision, err := Return(r, cause, goods, levels)
	if err != nil || len(decision.Reservation) == 0 {
		return err
	}
	return appendAll(tx, r.OrderID, decision)
}

// restocked returns the units of a refund that go back to stock.
func restocked(p events.OrderRefundRequested) (goods []events.ReservedLine) {
	for _, l := range p.Lines {
		if l.Restock != 0 {
			goods = append(goods, events.ReservedLine{SKU: l.SKU, Quantity: l.Restock})
		}
	}
	return goods
}
