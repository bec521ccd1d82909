package inventory

import (
	"fmt"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/worker"
)

// Worker is what inventory does in a process: it answers what orders say, in one lane, and keeps the catalogue current. It
// touches nothing outside the log, and deadlines are those of orders.
func (s *Service) Worker() worker.Domain {
	return worker.Domain{
		Name: "inventory", Log: s.log, Watches: []worker.Watch{s.watch()},
		Routes: []worker.Route{
			on(func(p events.OrderPlaced) (string, []events.OrderLine) { return p.OrderID, p.Lines }),
			on(func(p events.OrderPaidLate) (string, []events.OrderLine) { return p.OrderID, p.Lines }),
			on(func(p events.OrderConfirmed) (string, []events.OrderLine) { return p.OrderID, nil }),
			on(func(p events.OrderExpired) (string, []events.OrderLine) { return p.OrderID, nil }),
			on(func(p events.OrderCancelled) (string, []events.OrderLine) { return p.OrderID, nil }),
			on(func(p events.OrderRejected) (string, []events.OrderLine) { return p.OrderID, nil }),
		},
	}
}

// Projections is empty, for those who check it: nothing is looked up in MongoDB that inventory knows.
func Projections() []project.Projection { return nil }

// Projections is the same, for the process that runs them.
func (s *Service) Projections() []project.Projection { return Projections() }

// on reacts to one type of order event; about says which order and, where they are new, its lines.
func on[P events.Payload](about func(P) (orderID string, lines []events.OrderLine)) worker.Route {
	return worker.On(func(tx *log.Tx, e events.Event, p P) error {
		orderID, lines := about(p)
		if !isAbout(e, events.PrefixOrder, orderID) {
			return fmt.Errorf("%w: order %q on subject %s", ErrCannotFollow, orderID, e.Subject)
		}
		return react(tx, orderID, p, lines)
	})
}

// react does what an order's event asks of its reservation, all in one transaction.
func react(tx *log.Tx, orderID string, said events.Payload, lines []events.OrderLine) error {
	load := Reservations.Load
	if _, isNew := said.(events.OrderPlaced); isNew {
		load = Reservations.LoadNew // spares a read; the commit finds out when it was heard before
	}
	reservation, err := load(tx, orderID)
	if err != nil {
		return err
	}
	action, err := Next(reservation, said)
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
	decision, err := Decide(reservation, action, orderID, wanted, levels)
	if err != nil {
		return err
	}
	return appendAll(tx, orderID, decision)
}

func loadLevels(tx *log.Tx, lines []events.ReservedLine) (map[string]events.StockLevel, error) {
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

func appendAll(tx *log.Tx, orderID string, d Decision) error {
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
