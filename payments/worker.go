package payments

import (
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// actConcurrency is the default number of concurrent requests to Stripe. Stripe allows 100 a second in live mode, and each
// takes about 300 ms.
const actConcurrency = 32

// Worker returns the lanes of this domain, for decisions and for calls to Stripe, and the reconciler.
func (s *Service) Worker() worker.Domain {
	return worker.Domain{
		Name:      "payments",
		Log:       s.log,
		Routes:    s.routes(),
		Actors:    []worker.Actor{s.stripeCalls()},
		Watches:   []worker.Watch{{Prefixes: []string{events.PrefixPayment}, Handle: s.follow, Ready: s.hub.markCaughtUp}, s.index.Watch()},
		Periodics: []worker.Periodic{{Name: "payments-reconcile", Every: s.config.ReconcileEvery, Run: s.reconcile}},
	}
}

// routes maps each event to the decision that follows from it. A webhook about a known payment is decided in the commit that
// stores it (see receiveWebhook), so its route usually adds nothing. A webhook that the rules refused there is refused here
// again and becomes a dead letter.
func (s *Service) routes() []worker.Route {
	return []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, o events.OrderAwaitingPayment) error {
			p, err := Payments.LoadNew(tx, o.PaymentID)
			if err != nil {
				return err
			}
			facts, err := Request(p, o, s.config.terms())
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
		worker.On(func(tx *eventlog.Tx, _ events.Event, o events.OrderRefundRequested) error {
			return decide(tx, o.PaymentID, func(p Payment) ([]events.Payload, error) { return AcceptRefund(p, o) })
		}),
		worker.On(s.decideReport),
	}
}

// stripeCalls is the lane that calls Stripe. It also handles webhooks whose intent must be retrieved: those about charges and
// refunds, which name an intent but no order, and those about a capture, which would confirm an order.
func (s *Service) stripeCalls() worker.Actor {
	return worker.Actor{Name: "payments.stripe", Concurrency: s.config.Concurrency, Routes: []worker.ActRoute{
		worker.DoOnce(s.createIntent, s.intentMade),
		worker.DoOnce(s.capture, s.captureMade),
		worker.DoOnce(s.captureParcel, s.parcelCaptured),
		worker.DoOnce(s.cancel, s.cancelMade),
		worker.DoOnce(s.refund, s.refundMade),
		worker.DoOnce(s.checkReport, s.reportChecked),
	}}
}

// intentRule returns the rule that records an intent.
func (s *Service) intentRule(in Intent) func(Payment) ([]events.Payload, error) {
	return s.limitDeclines(func(p Payment) ([]events.Payload, error) { return RecordIntent(p, in, s.livemode) })
}

// reportRule returns the rule that records an intent which an event of Stripe reports.
func (s *Service) reportRule(in Intent) func(Payment) ([]events.Payload, error) {
	return s.limitDeclines(func(p Payment) ([]events.Payload, error) { return RecordReport(p, in, s.livemode) })
}

func (s *Service) limitDeclines(rule func(Payment) ([]events.Payload, error)) func(Payment) ([]events.Payload, error) {
	return func(p Payment) ([]events.Payload, error) {
		facts, err := rule(p)
		return LimitDeclines(p, facts, s.config.CardAttempts), err
	}
}

// cancelPayment cancels the payment of an order that has ended, if one was requested.
func cancelPayment(tx *eventlog.Tx, o events.OrderOutcome, force bool, reason string) error {
	if o.PaymentID == "" {
		return nil
	}
	return decide(tx, o.PaymentID, func(p Payment) ([]events.Payload, error) { return Cancel(p, force, reason) })
}

// decide appends the facts that a rule decides on a payment. It refuses an invalid id: the id may come from the metadata of an
// intent, which everyone with the account's keys can write.
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
