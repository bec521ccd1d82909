package payments

import (
	"context"
	"errors"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// The functions of this file tell which calls to Stripe were made already. They look at the payment in the log and do not ask
// Stripe: a call whose result is not in the log is made again, with the same idempotency key or after a search.

// madeIf is the answer of a look: what was done, if it was. When is the last change of the payment.
func (p Payment) madeIf(made bool, what string) worker.Done {
	if !made {
		return worker.Done{}
	}
	return worker.Done{What: what, When: p.UpdatedAt}
}

// intentMade reports whether the intent of a payment was created, or refused by Stripe.
func (p Payment) intentMade() worker.Done {
	if p.Failure != nil {
		return p.madeIf(true, "refused by Stripe: "+p.Failure.Code)
	}
	return p.madeIf(p.PaymentIntent != "", "intent "+p.PaymentIntent+" created")
}

// cancelMade reports whether the intent of a payment needs no cancellation any more.
func (p Payment) cancelMade() worker.Done {
	switch {
	case !p.Captured.IsZero():
		return p.madeIf(true, "captured before it could be cancelled")
	case p.PaymentIntent == "":
		return p.madeIf(true, "no intent to cancel")
	}
	return p.madeIf(p.CancelledIntent, "intent "+p.PaymentIntent+" cancelled")
}

// refundMade reports whether Stripe has accepted or refused a refund. One that is pending is followed by webhooks and by the
// reconciler.
func (p Payment) refundMade(refundID string) worker.Done {
	known := p.Refunds[refundID]
	if known.Failed {
		return p.madeIf(true, "refund failed: "+known.Reason)
	}
	if known.Pending {
		return p.madeIf(true, "refund "+known.StripeRefund+" accepted")
	}
	return p.madeIf(known.Succeeded, "refund "+known.StripeRefund+" made")
}

func (s *Service) intentMade(ctx context.Context, r events.PaymentRequested) (worker.Done, error) {
	p, _, err := Payments.Read(ctx, s.log, r.PaymentID)
	return p.intentMade(), err
}

func (s *Service) captureMade(ctx context.Context, r events.OrderPaymentAccepted) (worker.Done, error) {
	p, _, err := Payments.Read(ctx, s.log, r.PaymentID)
	if err != nil {
		return worker.Done{}, err
	}
	wanted, err := ShouldCapture(p, r.Amount)
	what := "captured " + p.Captured.String()
	if p.Captured.IsZero() {
		what = "not to be captured: the payment is " + string(p.Status())
	}
	return p.madeIf(!wanted && err == nil, what), err
}

func (s *Service) cancelMade(ctx context.Context, r events.PaymentCancelRequested) (worker.Done, error) {
	p, _, err := Payments.Read(ctx, s.log, r.PaymentID)
	return p.cancelMade(), err
}

func (s *Service) refundMade(ctx context.Context, r events.PaymentRefundRequested) (worker.Done, error) {
	p, _, err := Payments.Read(ctx, s.log, r.PaymentID)
	return p.refundMade(r.RefundID), err
}

// reportChecked reports whether a webhook needs no request to Stripe. One about a charge or a refund always does: the log has only
// the last change.
func (s *Service) reportChecked(ctx context.Context, w events.WebhookReceived) (worker.Done, error) {
	if isDispute(w) && w.Livemode == s.livemode {
		return disputeChecked(w)
	}
	in, found, err := s.intentFrom(w)
	switch {
	case err != nil:
		return worker.Done{What: "nothing to ask: the route of the event makes it a dead letter"}, nil //nolint:nilerr // as checkReport does
	case w.Livemode != s.livemode:
		return worker.Done{What: "nothing to ask Stripe"}, nil
	case !found:
		if !needsIntent(w) || targetOf(w).intent == "" {
			return worker.Done{What: "nothing to ask Stripe"}, nil
		}
		return worker.Done{}, nil
	}
	p, _, err := Payments.Read(ctx, s.log, in.PaymentID)
	if errors.Is(err, eventlog.ErrNotFound) || errors.Is(err, events.ErrBadID) {
		return worker.Done{What: "not a payment of the shop"}, nil
	}
	return p.madeIf(err == nil && !p.leavesToCheck(in, s.livemode), "the payment is "+string(p.Status())), err
}
