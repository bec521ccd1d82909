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

// Worker returns what this domain does in a process. It has no actors: orders touches nothing outside the log.
func (s *Service) Worker() worker.Domain {
	return worker.Domain{
		Name:      "orders",
		Log:       s.config.Log,
		Routes:    routes(),
		Timers:    []worker.Timer{s.deadlines()},
		Watches:   []worker.Watch{s.prices.asWatch(), s.watch.asWatch()},
		Periodics: []worker.Periodic{{Name: "orders-expiry-sweep", Every: s.config.SweepEvery, Run: s.expireOverdue}},
	}
}

// routes says which event leads to which decision.
func routes() []worker.Route {
	return []worker.Route{
		worker.On(func(tx *log.Tx, e events.Event, p events.ReservationHeld) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.Held(e.CausationID) })
		}),
		worker.On(func(tx *log.Tx, e events.Event, p events.ReservationRefused) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.Refused(e.CausationID, p.Short) })
		}),
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

// deadlines has an order expire when its deadline passes. Its types are the event with which an order begins to wait and
// those after which it does not wait any more: were one of them missing, the timer would keep the order in memory, and a
// successor begin to read at it, until the deadline.
func (s *Service) deadlines() worker.Timer {
	return worker.Timer{
		Name: "orders.timers",
		Types: []events.Payload{events.OrderPlaced{}, events.OrderPaymentAccepted{}, events.OrderConfirmed{},
			events.OrderRejected{}, events.OrderExpired{}, events.OrderCancelled{}},
		At:   deadlineOf,
		Fire: s.expire,
	}
}

// deadlineOf returns what an event says about the deadline of its order; the zero time: the order does not wait any more.
func deadlineOf(e events.Event) (id string, at time.Time) {
	id, _ = events.ParseSubject(events.PrefixOrder, e.Subject)
	if placed, ok := e.Payload.(events.OrderPlaced); ok {
		return id, placed.ExpiresAt
	}
	return id, time.Time{}
}

// expire ends an order whose deadline has passed and which still waits. The order's own state and the time of the decision
// count, so expire may be called early, late and again.
func (s *Service) expire(ctx context.Context, id string) error {
	err := s.config.Log.DoCascade(ctx, func(tx *log.Tx) error {
		tx.WithCorrelation(id)
		return decide(tx, id, func(o Order) []events.Payload { return o.Expire(tx.Now()) })
	})
	if err != nil {
		return fmt.Errorf("expire order %s: %w", id, err)
	}
	return nil
}

// expireOverdue is the guarantee behind the timer: it expires the unpaid orders past their deadline that the projection
// shows. The projection may lag; each order's own state decides.
func (s *Service) expireOverdue(ctx context.Context) error {
	ids, err := s.overdue(ctx, s.config.Log.Now())
	if err != nil {
		return err
	}
	var problems []error
	for _, id := range ids {
		problems = append(problems, s.expire(ctx, id))
	}
	return errors.Join(problems...)
}
