package inventory

import (
	"fmt"
	"strings"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/worker"
)

// Worker returns the lanes of this domain: one that updates reservations after the events of orders, and a watch that keeps
// the catalogue current. It has no actors and no timers, because only orders have deadlines.
func (s *Service) Worker() worker.Domain {
	return worker.Domain{
		Name: "inventory", Log: s.log, Watches: []worker.Watch{s.watch()},
		Routes: []worker.Route{
			on(s, func(p events.OrderPlaced) (string, []events.OrderLine) { return p.OrderID, p.Lines }),
			on(s, func(p events.OrderPaidLate) (string, []events.OrderLine) { return p.OrderID, p.Lines }),
			on(s, func(p events.OrderConfirmed) (string, []events.OrderLine) { return p.OrderID, nil }),
			on(s, func(p events.OrderExpired) (string, []events.OrderLine) { return p.OrderID, nil }),
			on(s, func(p events.OrderCancelled) (string, []events.OrderLine) { return p.OrderID, nil }),
			on(s, func(p events.OrderRejected) (string, []events.OrderLine) { return p.OrderID, nil }),
			onReturn(func(p events.OrderRefundRequested) (string, string, []events.ReservedLine) {
				return p.OrderID, p.RefundID, restocked(p)
			}),
			onReturn(func(p events.OrderFulfilmentCreated) (string, string, []events.ReservedLine) {
				return p.OrderID, p.FulfilmentID, p.Cancelled
			}),
			onReturn(func(p events.OrderAuthorizationLost) (string, string, []events.ReservedLine) {
				return p.OrderID, causeUnauthorized, p.Lines
			}),
		},
	}
}

// Projections returns none, because inventory serves everything from the log.
func Projections() []project.Projection { return nil }

// Projections returns none, for the process that runs them.
func (s *Service) Projections() []project.Projection { return Projections() }

// on routes one type of order event to updateReservation. parse returns the order's id, and its lines if the event has them.
func on[P events.Payload](s *Service, parse func(P) (orderID string, lines []events.OrderLine)) worker.Route {
	return worker.On(func(tx *eventlog.Tx, e events.Event, p P) error {
		orderID, lines := parse(p)
		if !subjectMatches(e, events.PrefixOrder, orderID) {
			return fmt.Errorf("%w: order %q on subject %s", ErrCannotFollow, orderID, e.Subject)
		}
		limit := s.holdLimit
		if e.Actor != events.ActorGuest && !strings.HasPrefix(e.Actor, events.ActorCustomer) {
			limit = HoldLimit{} // placed by staff or imported
		}
		return updateReservation(tx, orderID, p, lines, limit)
	})
}

// updateReservation decides about the reservation of an order after one of its events, and about the stock of all its SKUs in
// the same transaction.
func updateReservation(tx *eventlog.Tx, orderID string, event events.Payload, lines []events.OrderLine, limit HoldLimit) error {
	load := Reservations.Load
	if _, isNew := event.(events.OrderPlaced); isNew {
		load = Reservations.LoadNew // saves a read; the commit fails when the reservation exists, and the transaction runs again
	}
	reservation, err := load(tx, orderID)
	if err != nil {
		return err
	}
	if cancelled, ok := event.(events.OrderCancelled); ok && reservation.State == StateCommitted {
		return returnGoods(tx, reservation, causeCancelled, cancelled.Restock)
	}
	action, err := Next(reservation, event)
	if err != nil || action == Nothing {
		return err
	}
	wanted := reservation.Lines
	if action == Hold || action == HoldAgain {
		if wanted, err = Demand(lines); err != nil {
			return err
		}
	}
	levels, err := loadLevels(tx, wanted)
	if err != nil {
		return err
	}
	decision, err := Decide(reservation, action, orderID, wanted, levels, limit)
	if err != nil {
		return err
	}
	return appendAll(tx, orderID, decision)
}

func loadLevels(tx *eventlog.Tx, lines []events.ReservedLine) (map[string]events.StockLevel, error) {
	levels := make(map[string]events.StockLevel, len(lines))
	for _, l := range lines {
		stock, err := Stocks.Load(tx, l.SKU)
		if err != nil {
			return nil, err
		}
		levels[l.SKU] = stock.Level
	}
	return levels, nil
}

func appendAll(tx *eventlog.Tx, orderID string, d Decision) error {
	if err := Reservations.Append(tx, orderID, d.Reservation...); err != nil {
		return err
	}
	for _, entry := range d.Stock {
		if err := Stocks.Append(tx, entry.SKU, entry.Fact); err != nil {
			return err
		}
	}
	return nil
}
