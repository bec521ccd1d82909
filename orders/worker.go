package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
	"tillstream/events/crash"
	"tillstream/events/log"
	"tillstream/events/worker"
)

// timerTarget is where the broker says that deadlines have come.
const timerTarget = "orders"

// Deciders says which event wakes which decision.
func (s *Service) Deciders() []worker.Decider {
	timers := &deadlines{}
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
		{Name: "orders-timers", Source: events.StreamOrders, Filter: []string{events.PrefixOrder + "*"}, Finish: timers.set, Routes: []worker.Route{
			worker.On(timers.placed),
		}},
		{Name: "orders-expiry", Source: events.StreamTimers, Filter: []string{events.PrefixTimerFired + timerTarget}, Routes: []worker.Route{
			worker.On(func(tx *log.Tx, _ events.Event, p events.OrdersDue) error {
				crash.At("timers.fired")
				for _, id := range p.Orders {
					tx.About(id)
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

// deadlines gathers what one batch of placed orders asks of the broker's clock: one timer for all that are due in the
// same second. A timer per order would cost the broker a subject and a sync each, to fire mostly for orders that are
// long paid. It belongs to one decider, which handles one batch at a time.
type deadlines struct {
	bySecond map[int64]*events.OrdersDue
}

func (d *deadlines) placed(_ *log.Tx, _ events.Event, p events.OrderPlaced) error {
	// The broker counts in seconds and may be one early, so it is asked for the second after the next full one: then
	// the deadline has passed whenever it comes.
	at := p.ExpiresAt.Unix() + 2
	if d.bySecond == nil {
		d.bySecond = map[int64]*events.OrdersDue{}
	}
	if d.bySecond[at] == nil {
		d.bySecond[at] = &events.OrdersDue{}
	}
	due := d.bySecond[at]
	due.Orders = append(due.Orders, p.OrderID)
	if p.ExpiresAt.After(due.Due) {
		due.Due = p.ExpiresAt
	}
	return nil
}

// set names a timer by its second and its first order, so that a batch that is handled again sets the same one again, or
// one that fires for orders which have another already. Both are harmless. What was gathered is forgotten in any case: an
// order that no timer can be named after must not spoil the batches that follow.
func (d *deadlines) set(tx *log.Tx) error {
	crash.At("timers.before_set")
	gathered := d.bySecond
	d.bySecond = nil
	for at, due := range gathered {
		name := fmt.Sprintf("orders-%d-%s", at, due.Orders[0])
		if err := log.Schedule(tx, name, time.Unix(at, 0), timerTarget, *due); err != nil {
			return err
		}
	}
	return nil
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
