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
		Routes: append(s.staffRoutes(),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderConfirmed) error {
				return s.queue(tx, e, Confirmed(p, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderRejected) error {
				return s.queueEnd(tx, e, p.OrderOutcome, Rejected(p, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderExpired) error {
				return s.queueEnd(tx, e, p.OrderOutcome, Expired(p, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderCancelled) error {
				return s.queueEnd(tx, e, p.OrderOutcome, Cancelled(p, e.Actor, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderAuthorizationLost) error {
				if len(p.Lines) == 0 {
					return nil // all is sent: staff ask the shopper for the money
				}
				return s.queue(tx, e, Shortened(p, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderRefunded) error {
				return s.queue(tx, e, Refunded(p, e.Time))
			}),
		),
		Actors:  []worker.Actor{{Name: "notifications.mail", Concurrency: s.config.Concurrency, Routes: []worker.ActRoute{worker.DoOnce(s.send, s.sent)}}},
		Watches: []worker.Watch{{Prefixes: []string{events.PrefixNotification}, Handle: s.limiter.follow}},
	}
}

// queueEnd appends the message about an order that ended without being confirmed, unless it is an unpaid order of a guest: its
// address may be that of someone who has ordered nothing. The order page says what happened.
func (s *Service) queueEnd(tx *eventlog.Tx, e events.Event, end events.OrderOutcome, o Outcome) error {
	if end.UnpaidGuest {
		return nil
	}
	return s.queue(tx, e, o)
}

// queue appends the message about an outcome. It expects that the order has no messages yet, which saves a read; if there are
// some, the transaction runs again. A refund and the end of an authorization follow another message, so the messages are loaded.
func (s *Service) queue(tx *eventlog.Tx, e events.Event, o Outcome) error {
	load := Notifications.LoadNew
	if o.Template == TemplateRefunded || o.Template == TemplateShortened || forStaff(o.Template) {
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
