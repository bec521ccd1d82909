package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// Worker returns the lanes of this domain. It has no actors, because orders calls nothing outside the log.
func (s *Service) Worker() worker.Domain {
	return worker.Domain{
		Name:      "orders",
		Log:       s.config.Log,
		Routes:    routes(s.config.HoldFor),
		Timers:    []worker.Timer{s.deadlines()},
		Watches:   []worker.Watch{s.prices.watch(), s.open.watch(s.config.HoldFor), s.subscribers.watch(), s.index.Watch()},
		Periodics: []worker.Periodic{{Name: "orders-expiry-sweep", Every: s.config.ExpireEvery, Run: s.expireFound}},
	}
}

// routes maps each event that orders handles to its decision.
func routes(holdFor time.Duration) []worker.Route {
	return append(deadlineRoutes(holdFor), []worker.Route{
		worker.On(func(tx *eventlog.Tx, e events.Event, p events.ReservationHeld) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.ReservationHeld(e.CausationID) })
		}),
		worker.On(func(tx *eventlog.Tx, e events.Event, p events.ReservationRefused) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.ReservationRefused(e.CausationID, p.Short) })
		}),
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentAuthorized) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.PaymentAuthorized(p.Capture) })
		}),
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentCaptured) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.PaymentCaptured(p.Amount, p.More) })
		}),
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentCancelled) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.PaymentCancelled(p.Reason) })
		}),
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentFailed) error {
			return decide(tx, p.OrderID, Order.PaymentFailed)
		}),
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentRefundRequested) error {
			return refundStarted(tx, p)
		}),
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentRefundPending) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.RefundStarted(p.RefundID, p.Amount, madeInDashboard) })
		}),
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentRefundFailed) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.PaymentRefundFailed(p.RefundID, p.Amount, p.Reason) })
		}),
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentRefunded) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.PaymentRefunded(p.RefundID, p.Amount) })
		}),
		onDispute(),
	}...)
}

// deadlineRoutes are the routes of the events that change the deadline of an unpaid order. Its stock is held for holdFor when the shopper
// must pay again.
func deadlineRoutes(holdFor time.Duration) []worker.Route {
	failed := func(tx *eventlog.Tx, e events.Event, orderID string) error {
		return decide(tx, orderID, func(o Order) []events.Payload { return o.ProcessingFailed(e.ID, tx.Now(), holdFor) })
	}
	return []worker.Route{
		worker.On(func(tx *eventlog.Tx, e events.Event, p events.PaymentProcessing) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.PaymentProcessing(e.ID, p.Method, tx.Now()) })
		}),
		worker.On(func(tx *eventlog.Tx, e events.Event, p events.PaymentDeclined) error { return failed(tx, e, p.OrderID) }),
		worker.On(func(tx *eventlog.Tx, e events.Event, p events.PaymentActionRequired) error {
			return failed(tx, e, p.OrderID)
		}),
	}
}

func decide(tx *eventlog.Tx, id string, rule func(Order) []events.Payload) error {
	o, err := loadPlaced(tx, id)
	if err != nil {
		return err
	}
	return Orders.Append(tx, id, rule(o)...)
}

// deadlines returns the timer that expires an order when its deadline passes. Its types are the event that starts the wait for
// payment and the events that end it. Without one of the latter the timer would keep the order in memory until the deadline,
// and a process that takes over the lane would have to read the log from that order on.
func (s *Service) deadlines() worker.Timer {
	return worker.Timer{
		Name: "orders.timers",
		Types: []events.Payload{events.OrderPlaced{}, events.OrderDeadlineChanged{}, events.OrderPaymentAccepted{}, events.OrderConfirmed{},
			events.OrderRejected{}, events.OrderExpired{}, events.OrderCancelled{}},
		At:   deadlineOf,
		Fire: s.expire,
	}
}

// deadlineOf returns the order of an event and its deadline, or the zero time if the order no longer waits for its payment, or waits for
// days. The periodic job finds those whose days have passed: a minute more or less does not matter then, and a process that takes over
// the lane need not read the log of the last days.
func deadlineOf(e events.Event) (id string, at time.Time) {
	id, _ = events.ParseSubject(events.PrefixOrder, e.Subject)
	switch p := e.Payload.(type) {
	case events.OrderPlaced:
		return id, p.ExpiresAt
	case events.OrderDeadlineChanged:
		if p.Reason != events.DeadlineProcessing {
			return id, p.ExpiresAt
		}
	}
	return id, time.Time{}
}

// expire ends an unpaid order whose deadline has passed. It decides on the order's state and the time of the transaction, so
// it can be called early, late and repeatedly.
func (s *Service) expire(ctx context.Context, id string) error {
	err := s.config.Log.DoCascade(ctx, func(tx *eventlog.Tx) error {
		tx.WithCorrelation(id)
		return decide(tx, id, func(o Order) []events.Payload { return o.Expire(tx.Now()) })
	})
	if err != nil {
		return fmt.Errorf("expire order %s: %w", id, err)
	}
	return nil
}

// expireFound expires the orders that the timer may have missed. The projection, which may lag, only suggests them: expire
// decides on the state of each order.
func (s *Service) expireFound(ctx context.Context) error {
	ids, err := s.findExpired(ctx, s.config.Log.Now())
	if err != nil {
		return err
	}
	var failed []error
	for _, id := range ids {
		failed = append(failed, s.expire(ctx, id))
	}
	return errors.Join(failed...)
}
