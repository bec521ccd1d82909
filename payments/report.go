package payments

import (
	"context"
	"errors"
	"fmt"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// decideReport decides about an event of Stripe that was stored. One that names no payment of the shop is passed over. The event of a
// payment whose intent cannot be read, and one that contradicts its payment, become dead letters.
func (s *Service) decideReport(tx *eventlog.Tx, _ events.Event, w events.WebhookReceived) error {
	in, found, unreadable := s.intentFrom(w)
	if !found && unreadable == nil {
		return nil
	}
	p, err := targetOf(w).find(func(id string) (Payment, error) { return Payments.Load(tx, id) })
	switch {
	case err != nil:
		return err
	case !p.Exists():
		return nil
	case unreadable != nil:
		return unreadable
	}
	tx.WithCorrelation(in.OrderID)
	return decide(tx, in.PaymentID, s.reportRule(in))
}

// checkReport handles a webhook that alone is not believed or not complete: Stripe is asked for the intent. An event about another
// intent needs nothing here, and the route of an unreadable one makes it a dead letter.
func (s *Service) checkReport(ctx context.Context, e events.Event, w events.WebhookReceived) error {
	if isDispute(w) && w.Livemode == s.livemode {
		return s.checkDispute(ctx, e, w)
	}
	in, found, err := s.intentFrom(w)
	switch {
	case err != nil:
		return nil //nolint:nilerr // the route of the event makes it a dead letter
	case w.Livemode != s.livemode:
		return nil
	case found:
		return s.confirmReport(ctx, e, in)
	}
	return s.checkCharge(ctx, e, w)
}

// checkCharge handles an event whose intent must be retrieved, such as one about a charge or a refund. The intent names the payment. The
// event has only the last change, so the whole list of refunds is recorded. The intent is recorded first, because a refund counts only
// after the capture. An event about an intent that is not the shop's, or that Stripe does not return, is passed over.
func (s *Service) checkCharge(ctx context.Context, e events.Event, w events.WebhookReceived) error {
	about := targetOf(w)
	if !needsIntent(w) || about.intent == "" {
		return nil
	}
	named, err := about.find(s.readAny(ctx))
	switch {
	case errors.Is(err, eventlog.ErrUnreadable):
		return worker.DeadLetter(err)
	case err != nil:
		return err
	case !named.Exists() && about.foreign():
		return nil
	case named.Exists() && named.ID == about.payment && named.PaymentIntent != "" && named.PaymentIntent != about.intent:
		return worker.DeadLetter(fmt.Errorf("%w: payment %s has intent %s, not %s", ErrUnmatched, named.ID, named.PaymentIntent, about.intent))
	}
	in, p, err := s.retrieveOurs(ctx, about.intent)
	switch {
	case errors.Is(err, ErrPermanent) && named.Exists():
		return worker.DeadLetter(fmt.Errorf("%w: %w", ErrUnmatched, err))
	case err != nil && !errors.Is(err, ErrPermanent):
		return s.callError(ctx, e, err)
	case !p.Exists():
		s.metrics.webhooks.WithLabelValues(webhookForeign).Inc()
		return nil
	}
	if err := s.recordIntent(ctx, e, in); err != nil {
		return err
	}
	if p, _, err = Payments.Read(ctx, s.log, p.ID); err != nil {
		return err
	}
	_, err = s.recordRefunds(ctx, e, p, "")
	return err
}

// retrieveOurs retrieves an intent and returns it with the payment of the shop that it names, the zero Payment if it names none.
func (s *Service) retrieveOurs(ctx context.Context, intent string) (in Intent, p Payment, err error) {
	if in, err = s.gateway.RetrieveIntent(ctx, intent); err != nil {
		return in, Payment{}, err
	}
	p, err = target{intent: in.ID, payment: in.PaymentID, order: in.OrderID}.find(s.readAny(ctx))
	return in, p, err
}

// readAny returns a function that reads a payment; the cached state of one that exists is enough.
func (s *Service) readAny(ctx context.Context) func(id string) (Payment, error) {
	return func(id string) (Payment, error) {
		p, _, err := Payments.ReadAtLeast(ctx, s.log, id, 1)
		return p, err
	}
}
