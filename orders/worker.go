package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/worker"
)

// timerTarget is where the broker says that deadlines have come.
const timerTarget = "orders"

// Deciders says which event wakes which decision.
func (s *Service) Deciders() []worker.Decider {
	return []worker.Decider{
		{Name: "orders-inventory", Source: events.StreamInventory, Filter: []string{events.PrefixReservation + "*"}, Routes: []worker.Route{
			worker.On(func(tx *log.Tx, e events.Event, p events.ReservationHeld) error {
				return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.Held(e.CausationID) })
			}),
			worker.On(func(tx *log.Tx, e events.Event, p events.ReservationRefused) error {
				return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.Refused(e.CausationID, p.Short) })
			}),
		}},
		{Name: "orders-payments", Source: events.StreamPayments, Filter: []string{events.PrefixPayment + "*"}, Routes: []worker.Route{
			worker.On(func(tx *log.Tx, _ events.Event, p events.PaymentAuthorized) error {
				return decide(tx, p.OrderID, Order.Authorized)
			}),
			worker.On(func(tx *log.Tx, _ events.Event, p events.PaymentCaptured) error {
				return decide(tx, p.OrderID, Order.PaymentCaptured)
			}),
			worker.On(func(tx *log.Tx, _ events.Event, p events.PaymentCancelled) error {
				return decide(tx, p.OrderID, Order.PaymentCancelled)
			}),
			worker.On(func(tx *log.Tx, _ events.Event, p events.PaymentFailed) error {
				return decide(tx, p.OrderID, Order.PaymentFailed)
			}),
			worker.On(func(tx *log.Tx, _ events.Event, p events.PaymentRefunded) error {
				return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.PaymentRefunded(p.RefundID, p.Amount) })
			}),
		}},
		{Name: "orders-timers", Source: events.StreamOrders, Filter: []string{events.PrefixOrder + "*"}, Routes: []worker.Route{
			worker.On(setTimer),
		}},
		{Name: "orders-expiry", Source: events.StreamTimers, Filter: []string{events.PrefixTimerFired + timerTarget}, Routes: []worker.Route{
			worker.On(func(tx *log.Tx, _ events.Event, p events.OrdersDue) error {
				for _, id := range p.Orders {
					if err := decide(tx, id, func(o Order) []events.Payload { return o.Expire(tx.Now()) }); err != nil {
						return err
					}
				}
				return nil
			}),
		}},
	}
}

func decide(tx *log.Tx, id string, rule func(Order) []events.Payload) error {
	o, err := Orders.Load(tx, id)
	if err != nil {
		return err
	}
	if !o.Exists() {
		return fmt.Errorf("%w: order %s", log.ErrNotFound, id)
	}
	return Orders.Append(tx, id, rule(o)...)
}

// setTimer asks for a wake-up at the deadline. The broker counts in seconds and may be one early, so it is asked for the
// second after the next full one: then the deadline has passed whenever it comes.
func setTimer(tx *log.Tx, _ events.Event, p events.OrderPlaced) error {
	at := p.ExpiresAt.Truncate(time.Second).Add(2 * time.Second)
	return log.Schedule(tx, "orders-"+p.OrderID, at, timerTarget, events.OrdersDue{Orders: []string{p.OrderID}, Due: p.ExpiresAt})
}

// Actors: orders touches nothing outside the log.
func (s *Service) Actors() []worker.Actor { return nil }

// Sweeps are the guarantee behind the timers.
func (s *Service) Sweeps() []worker.Sweep {
	return []worker.Sweep{{Name: "orders-expiry-sweep", Every: s.config.SweepEvery, Run: s.expireOverdue}}
}

// expireOverdue finds unpaid orders past their deadline in the view. The view may lag; each order's own state decides.
func (s *Service) expireOverdue(ctx context.Context) error {
	ids, err := s.overdue(ctx, s.config.Log.Now())
	if err != nil {
		return err
	}
	var problems []error
	for _, id := range ids {
		err := s.config.Log.Do(ctx, func(tx *log.Tx) error {
			tx.About(id)
			return decide(tx, id, func(o Order) []events.Payload { return o.Expire(tx.Now()) })
		})
		if err != nil {
			problems = append(problems, fmt.Errorf("expire order %s: %w", id, err))
		}
	}
	return errors.Join(problems...)
}
