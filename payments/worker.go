package payments

import (
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// actConcurrency is how many requests to Stripe are under way at a time, unless the configuration says otherwise. Stripe
// allows 100 a second in live mode, and each takes some 300 ms.
const actConcurrency = 32

// Worker returns what this domain does in a process.
func (s *Service) Worker() worker.Domain {
	return worker.Domain{
		Name:      "payments",
		Log:       s.log,
		Routes:    s.routes(),
		Actors:    []worker.Actor{s.stripeCalls()},
		Watches:   []worker.Watch{{Prefixes: []string{events.PrefixPayment}, Handle: s.follow, Ready: s.hub.markCaughtUp}},
		Periodics: []worker.Periodic{{Name: "payments-reconcile", Every: s.config.ReconcileEvery, Run: s.reconcile}},
	}
}

// routes says which event leads to which decision: what orders say, and what Stripe says. An event of Stripe's about a known
// payment is decided in the commit that stores it (see receiveWebhook), so its route mostly has nothing left to do. What the
// rules refuse is refused here again, and becomes a dead letter.
func (s *Service) routes() []worker.Route {
	return []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, o events.OrderAwaitingPayment) error {
			p, err := Payments.LoadNew(tx, o.PaymentID)
			if err != nil {
				return err
			}
			facts, err := Request(p, o)
			return appendFacts(tx, o.PaymentID, facts, err)
		}),
		worker.On(func(tx *eventlog.Tx, e events.Event, o events.OrderExpired) error {
			return cancelPayment(tx, o.OrderOutcome, false, e.Type)
		}),
		worker.On(func(tx *eventlog.Tx, e events.Event, o events.OrderCancelled) error {
			return cancelPayment(tx, o.OrderOutcome, true, e.Type)
		}),
		worker.On(func(tx *eventlog.Tx, e events.Event, o events.OrderRejected) error {
			return cancelPayment(tx, o.OrderOutcome, true, e.Type)
		}),
		worker.On(func(tx *eventlog.Tx, _ events.Event, w events.WebhookReceived) error {
			in, found, err := s.intentFrom(w)
			if err != nil || !found {
				return err
			}
			tx.WithCorrelation(in.OrderID)
			return decide(tx, in.PaymentID, s.intentRule(in))
		}),
	}
}

// stripeCalls is the lane that calls Stripe. Raw events of Stripe are among its events too, for those that can only be
// understood by asking back: what is said of charges and refunds names an intent but no order.
func (s *Service) stripeCalls() worker.Actor {
	return worker.Actor{Name: "payments.stripe", Concurrency: s.config.Concurrency, Routes: []worker.ActRoute{
		worker.Do(s.createIntent),
		worker.Do(s.capture),
		worker.Do(s.cancel),
		worker.Do(s.refund),
		worker.Do(s.reconcileCharge),
	}}
}

// hears is the rule that takes in what Stripe says about an intent.
func (s *Service) intentRule(in Intent) func(Payment) ([]events.Payload, error) {
	return func(p Payment) ([]events.Payload, error) { return RecordIntent(p, in, s.livemode) }
}

// cancelPayment has the payment of an order that has ended called off, if one was asked for.
func cancelPayment(tx *eventlog.Tx, o events.OrderOutcome, force bool, reason string) error {
	if o.PaymentID == "" {
		return nil
	}
	return decide(tx, o.PaymentID, func(p Payment) ([]events.Payload, error) { return Cancel(p, force, reason) })
}

// decide appends what a rule makes of a payment. The payment's id may come from Stripe, where anybody with the account's
// keys can write what they like into an intent's metadata: one that the shop cannot have made is refused.
func decide(tx *eventlog.Tx, id string, rule func(Payment) ([]events.Payload, error)) error {
	if err := events.CheckID(id); err != nil {
		return err
	}
	p, err := Payments.Load(tx, id)
	if err != nil {
		return err
	}
	facts, err := rule(p)
	return appendFacts(tx, id, facts, err)
}

func appendFacts(tx *eventlog.Tx, id string, facts []events.Payload, err error) error {
	if err != nil || len(facts) == 0 {
		return err
	}
	return Payments.Append(tx, id, facts...)
}
