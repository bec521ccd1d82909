package payments

import (
	"context"
	"errors"

	"tillstream/events"
	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// captureParcel captures what is due for a parcel, once. An earlier attempt may have captured it without an answer, so a repeated one
// records the state of the intent first, and decides on the result.
func (s *Service) captureParcel(ctx context.Context, e events.Event, r events.OrderFulfilmentCreated) error {
	p, err := s.readPayment(ctx, r.PaymentID)
	if err != nil {
		return err
	}
	part, wanted, err := PartFor(p, r)
	if err == nil && wanted && s.mustRetrieve(ctx, e) {
		if p, err = s.refreshed(ctx, e, p); err != nil {
			return err
		}
		part, wanted, err = PartFor(p, r)
	}
	switch {
	case errors.Is(err, ErrEarlierPart):
		return worker.RetryAfter(backoff(worker.Attempt(ctx)), err)
	case err != nil:
		return worker.DeadLetter(err)
	case !wanted:
		return nil
	}
	if err := s.capturePart(ctx, e, p, part); err != nil {
		return err
	}
	if p, err = s.newest(ctx, p.ID, 0); err != nil {
		return err
	}
	if _, _, err = PartFor(p, r); errors.Is(err, ErrAuthorizationGone) { // Stripe refused the capture, because the intent has ended
		return worker.DeadLetter(err)
	}
	return nil
}

// refreshed records the intent of a payment as it is at Stripe now, and returns the payment after that.
func (s *Service) refreshed(ctx context.Context, e events.Event, p Payment) (Payment, error) {
	in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
	if err != nil {
		return p, s.callError(ctx, e, err)
	}
	if err := s.recordIntent(ctx, e, in); err != nil {
		return p, err
	}
	return s.newest(ctx, p.ID, 0)
}

// capturePart captures a part of an authorization and records the result.
func (s *Service) capturePart(ctx context.Context, e events.Event, p Payment, part Part) error {
	failpoint.At("payments.before_capture")
	in, err := s.gateway.Capture(ctx, p, part)
	failpoint.At("payments.after_capture")
	if err != nil {
		return s.resolveRefusal(ctx, e, p, err)
	}
	return s.recordIntent(ctx, e, in)
}

// parcelCaptured reports whether what is due for a parcel is captured.
func (s *Service) parcelCaptured(ctx context.Context, r events.OrderFulfilmentCreated) (worker.Done, error) {
	p, _, err := Payments.Read(ctx, s.log, r.PaymentID)
	if err != nil {
		return worker.Done{}, err
	}
	_, wanted, err := PartFor(p, r)
	return p.madeIf(!wanted && err == nil, "captured "+p.Captured.String()), nil // after an error, the act tells what is wrong
}

// leavesToCheck reports whether an intent that a webhook reports tells something that RecordReport leaves to the lane.
func (p Payment) leavesToCheck(reported Intent, live bool) bool {
	all, err := RecordIntent(p, reported, live)
	if err != nil {
		return false // the route makes the event a dead letter
	}
	believed, err := RecordReport(p, reported, live)
	return err == nil && len(all) > len(believed)
}

// confirmReport retrieves an intent that a webhook reports with something that is not believed without asking Stripe, and records
// Stripe's answer. Usually the shop has captured the payment itself and recorded it, and no request is made.
func (s *Service) confirmReport(ctx context.Context, e events.Event, reported Intent) error {
	p, err := s.newest(ctx, reported.PaymentID, e.Sequence)
	if errors.Is(err, eventlog.ErrUnreadable) || errors.Is(err, events.ErrBadID) {
		return nil // the route makes the event a dead letter
	}
	if err != nil || !p.leavesToCheck(reported, s.livemode) {
		return err
	}
	in, err := s.gateway.RetrieveIntent(ctx, reported.ID)
	if err != nil {
		return s.callError(ctx, e, err)
	}
	if reported.Status == IntentSucceeded && in.Status != IntentSucceeded {
		s.logger.Error("webhook reports a capture that Stripe does not know", "payment", p.ID, "intent", in.ID, "status", in.Status)
	}
	return s.recordIntent(ctx, e, in)
}
