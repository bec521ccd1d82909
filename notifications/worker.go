package notifications

import (
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// Notifications is the entity of this domain: the messages about an order, by the order's id.
var Notifications = eventlog.Entity[Notification]{Prefix: events.PrefixNotification, Apply: Apply}

// Worker returns the lanes of this domain: one that queues a message for every outcome of an order, and one that sends queued
// messages.
func (s *Service) Worker() worker.Domain {
	return worker.Domain{
		Name: "notifications", Log: s.log,
		Routes: []worker.Route{
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderConfirmed) error {
				return s.queue(tx, e, Confirmed(p, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderRejected) error {
				return s.queue(tx, e, Rejected(p, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderExpired) error {
				return s.queue(tx, e, Expired(p, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderCancelled) error {
				return s.queue(tx, e, Cancelled(p, e.Actor, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderRefunded) error {
				return s.queue(tx, e, Refunded(p, e.Time))
			}),
		},
		Actors: []worker.Actor{{Name: "notifications.mail", Concurrency: s.config.Concurrency, Routes: []worker.ActRoute{worker.Do(s.send)}}},
	}
}

// queue appends the message about an outcome. It expects that the order has no messages yet, which saves a read; if there are
// some, the transaction runs again. A refund usually follows another message, so its messages are loaded.
func (s *Service) queue(tx *eventlog.Tx, e events.Event, o Outcome) error {
	load := Notifications.LoadNew
	if o.Template == TemplateRefunded {
		load = Notifications.Load
	}
	n, err := load(tx, o.Facts.OrderID)
	if err != nil {
		return err
	}
	facts, err := n.Queue(o, e.ID, s.domain)
	if err != nil {
		return err
	}
	return Notifications.Append(tx, o.Facts.OrderID, facts...)
}
