package payments

import (
	"time"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/worker"
)

// actConcurrency is how many requests to Stripe are under way at a time, unless the configuration says otherwise. Stripe
// allows 100 a second in live mode, and each takes some 300 ms.
const actConcurrency = 32

// actClaim is how long an act that shows no sign of life keeps its event: what a process that died had in hand is taken up
// by another after that. It may be shorter than a call to Stripe, because the worker gives signs of life meanwhile.
const actClaim = 10 * time.Second

// Deciders returns what the payments domain decides on: what orders say, and what Stripe says.
func (s *Service) Deciders() []worker.Decider {
	return []worker.Decider{
		{Name: "payments-orders", Source: events.StreamOrders, Filter: []string{events.PrefixOrder + "*"}, Routes: []worker.Route{
			worker.On(func(tx *log.Tx, _ events.Event, o events.OrderAwaitingPayment) error {
				p, err := Payments.LoadNew(tx, o.OrderID)
				if err != nil {
					return err
				}
				facts, err := Request(p, o)
				return appendTo(tx, o.OrderID, facts, err)
			}),
			worker.On(func(tx *log.Tx, e events.Event, o events.OrderExpired) error {
				return decide(tx, o.OrderID, func(p Payment) ([]events.Payload, error) { return Cancel(p, false, e.Type) })
			}),
			worker.On(func(tx *log.Tx, e events.Event, o events.OrderCancelled) error {
				return decide(tx, o.OrderID, func(p Payment) ([]events.Payload, error) { return Cancel(p, true, e.Type) })
			}),
			worker.On(func(tx *log.Tx, e events.Event, o events.OrderRejected) error {
				return decide(tx, o.OrderID, func(p Payment) ([]events.Payload, error) { return Cancel(p, true, e.Type) })
			}),
		}},
		{Name: "payments-webhooks", Source: events.StreamPayments, Filter: []string{events.SubjectWebhooks}, Routes: []worker.Route{
			worker.On(func(tx *log.Tx, _ events.Event, w events.WebhookReceived) error {
				in, found, err := intentFrom(w)
				if err != nil || !found {
					return err
				}
				tx.About(in.OrderID)
				return decide(tx, in.OrderID, func(p Payment) ([]events.Payload, error) { return Heard(p, in, s.livemode) })
			}),
		}},
	}
}

// Actors returns what calls Stripe. The raw webhooks are among its events too, for those that can only be understood by
// asking back: what is said of charges and refunds names an intent but no order.
func (s *Service) Actors() []worker.Actor {
	return []worker.Actor{
		{Name: "payments-stripe", Source: events.StreamPayments, Filter: []string{events.PrefixPayment + "*"},
			Concurrency: s.config.Concurrency, AckWait: actClaim, Routes: []worker.ActRoute{
				worker.Do(s.createIntent),
				worker.Do(s.cancel),
				worker.Do(s.refund),
				worker.Do(s.askBack),
			}},
		{Name: "payments-capture", Source: events.StreamOrders, Filter: []string{events.PrefixOrder + "*"},
			Concurrency: s.config.Concurrency, AckWait: actClaim, Routes: []worker.ActRoute{worker.Do(s.capture)}},
	}
}

// Sweeps returns the reconciler.
func (s *Service) Sweeps() []worker.Sweep {
	return []worker.Sweep{{Name: "payments-reconcile", Every: s.config.ReconcileEvery, Run: s.reconcile}}
}

func decide(tx *log.Tx, orderID string, rule func(Payment) ([]events.Payload, error)) error {
	p, err := Payments.Load(tx, orderID)
	if err != nil {
		return err
	}
	facts, err := rule(p)
	return appendTo(tx, orderID, facts, err)
}

func appendTo(tx *log.Tx, orderID string, facts []events.Payload, err error) error {
	if err != nil || len(facts) == 0 {
		return err
	}
	return Payments.Append(tx, orderID, facts...)
}
