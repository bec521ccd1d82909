package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// keyLifetime is how long an idempotency key is trusted. Stripe deletes it after 24 hours.
const keyLifetime = 23 * time.Hour

// createIntent creates the payment's PaymentIntent, once. It caches the client secret only after the id of the intent is in the log.
func (s *Service) createIntent(ctx context.Context, e events.Event, r events.PaymentRequested) error {
	p, err := s.readPayment(ctx, r.PaymentID)
	if err != nil {
		return err
	}
	if p.intentMade().IsDone() {
		return nil
	}
	in, found, err := s.findOrCreate(ctx, e, p)
	switch {
	case errors.Is(err, ErrPermanent), errors.Is(err, ErrDeclined):
		return s.fail(ctx, e, p, err)
	case err != nil:
		return s.callError(ctx, e, err)
	case !found:
		return nil
	}
	if err := s.recordIntent(ctx, e, in); err != nil {
		return err
	}
	s.secrets.Add(in.ID, in.ClientSecret)
	return nil
}

// findOrCreate searches for the intent before it repeats a creation: an earlier attempt may have succeeded without an answer,
// and Stripe replays a 500 for as long as it stores the key. For a cancelled payment it only searches, so that an intent that
// was created before a crash can be cancelled.
func (s *Service) findOrCreate(ctx context.Context, e events.Event, p Payment) (in Intent, found bool, err error) {
	if s.mustRetrieve(ctx, e) || p.Cancelled {
		in, found, err = s.gateway.FindIntent(ctx, p)
		if err != nil || found || p.Cancelled {
			return in, found, err
		}
	}
	failpoint.At("payments.before_create")
	in, err = s.gateway.CreateIntent(ctx, p)
	failpoint.At("payments.after_create")
	return in, err == nil, err
}

// fail ends the payment, with Stripe's code and message as the reason for staff.
func (s *Service) fail(ctx context.Context, e events.Event, p Payment, cause error) error {
	var answer *GatewayError
	if !errors.As(cause, &answer) {
		return cause
	}
	return s.record(ctx, e, p.ID, p.OrderID, func(p Payment) ([]events.Payload, error) { return Fail(p, answer.Code, answer.Message), nil })
}

// capture captures the payment, once. The order's orders.payment_accepted is the request for it in the log: another event
// would cost a commit while the shopper waits.
func (s *Service) capture(ctx context.Context, e events.Event, r events.OrderPaymentAccepted) error {
	p, err := s.readPayment(ctx, r.PaymentID)
	if err != nil {
		return err
	}
	wanted, err := ShouldCapture(p, r.Amount)
	if err != nil {
		return worker.DeadLetter(err)
	}
	if !wanted {
		return nil
	}
	if s.mustRetrieve(ctx, e) {
		in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
		if err != nil {
			return s.callError(ctx, e, err)
		}
		if in.final() {
			return s.recordIntent(ctx, e, in)
		}
	}
	return s.capturePart(ctx, e, p, p.Whole())
}

// cancel cancels the intent at Stripe. It retrieves the intent first, because the shopper may have paid a moment ago.
func (s *Service) cancel(ctx context.Context, e events.Event, r events.PaymentCancelRequested) error {
	p, err := s.readPayment(ctx, r.PaymentID)
	if err != nil {
		return err
	}
	if p.cancelMade().IsDone() {
		return nil
	}
	in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
	if err != nil {
		return s.callError(ctx, e, err)
	}
	paid := in.Status == IntentRequiresCapture && !p.CancelForce
	if in.final() || paid {
		return s.recordIntent(ctx, e, in)
	}
	failpoint.At("payments.before_cancel")
	in, err = s.gateway.Cancel(ctx, p)
	failpoint.At("payments.after_cancel")
	if err != nil {
		return s.resolveRefusal(ctx, e, p, err)
	}
	return s.recordIntent(ctx, e, in)
}

// resolveRefusal handles an error of a capture or a cancellation. A refusal usually means that the intent has ended in another
// way, so it is retrieved and recorded. If it has not ended, the second refusal becomes a dead letter. The first one is
// retried, because the bank may have answered between the refusal and the retrieval.
func (s *Service) resolveRefusal(ctx context.Context, e events.Event, p Payment, cause error) error {
	if errors.Is(cause, ErrRetry) || ctx.Err() != nil {
		return s.callError(ctx, e, cause)
	}
	in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
	switch {
	case err != nil:
		return s.callError(ctx, e, err)
	case in.final():
		return s.recordIntent(ctx, e, in)
	case in.Status == IntentProcessing && p.takesDays():
		return s.recordIntent(ctx, e, in) // the webhook about the result follows in days, see declined and captured
	case in.Status == IntentProcessing:
		return worker.RetryAfter(backoff(worker.Attempt(ctx)), cause)
	}
	return s.secondRefusal(ctx, e, fmt.Errorf("intent %s is %s: %w", in.ID, in.Status, cause))
}

// callError turns an error of a call to Stripe into an instruction to the worker. After an answer that is about the request, or that this
// release does not know, the second such answer becomes a dead letter, and staff decide. For other errors see [workerError].
func (s *Service) callError(ctx context.Context, e events.Event, err error) error {
	if errors.Is(err, ErrRequest) {
		return s.secondRefusal(ctx, e, err)
	}
	return workerError(ctx, err)
}

// secondRefusal retries an act that is refused for the first time, and makes the event a dead letter the second time.
func (s *Service) secondRefusal(ctx context.Context, e events.Event, cause error) error {
	if s.firstRefusal(e) {
		return worker.RetryAfter(backoff(worker.Attempt(ctx)), cause)
	}
	s.refused.Remove(e.ID) // after a redrive, the first refusal is retried again
	return worker.DeadLetter(cause)
}

// firstRefusal reports whether the act of an event is refused for the first time, and records the refusal. The attempt number
// cannot be used for this, because an earlier attempt may have ended with a timeout or a crash.
func (s *Service) firstRefusal(e events.Event) bool {
	known, _ := s.refused.ContainsOrAdd(e.ID, struct{}{})
	return !known
}

// refund makes a refund at Stripe, once per refund id.
func (s *Service) refund(ctx context.Context, e events.Event, r events.PaymentRefundRequested) error {
	p, err := s.readPayment(ctx, r.PaymentID)
	if err != nil {
		return err
	}
	if p.refundMade(r.RefundID).IsDone() {
		return nil
	}
	if s.mustRetrieve(ctx, e) {
		if made, err := s.recordRefunds(ctx, e, p, r.RefundID); made || err != nil {
			return err
		}
	}
	failpoint.At("payments.before_refund")
	made, err := s.gateway.Refund(ctx, p, r.RefundID, r.Amount)
	failpoint.At("payments.after_refund")
	switch {
	case errors.Is(err, ErrPermanent), errors.Is(err, ErrDeclined):
		return s.failRefund(ctx, e, p, r.RefundID, err)
	case err != nil:
		return s.callError(ctx, e, err)
	}
	return s.record(ctx, e, p.ID, p.OrderID, func(p Payment) ([]events.Payload, error) { return RecordRefund(p, made) })
}

// recordRefunds records all refunds that the payment has at Stripe. made reports whether one of them has the refund id.
func (s *Service) recordRefunds(ctx context.Context, e events.Event, p Payment, refundID string) (made bool, err error) {
	refunds, err := s.gateway.ListRefunds(ctx, p.PaymentIntent)
	if err != nil {
		return false, s.callError(ctx, e, err)
	}
	for _, r := range refunds {
		made = made || r.RefundID == refundID
		if err := s.record(ctx, e, p.ID, p.OrderID, func(p Payment) ([]events.Payload, error) { return RecordRefund(p, r) }); err != nil {
			return made, err
		}
	}
	return made, nil
}

// failRefund records that a refund failed, unless Stripe has made it after all.
func (s *Service) failRefund(ctx context.Context, e events.Event, p Payment, refundID string, cause error) error {
	if made, err := s.recordRefunds(ctx, e, p, refundID); made || err != nil {
		return err
	}
	return s.record(ctx, e, p.ID, p.OrderID, func(p Payment) ([]events.Payload, error) { return FailRefund(p, refundID, cause.Error()), nil })
}

// recordIntent appends the facts of an intent that Stripe has just returned.
func (s *Service) recordIntent(ctx context.Context, e events.Event, in Intent) error {
	return s.record(ctx, e, in.PaymentID, in.OrderID, s.intentRule(in))
}

// record appends the facts that a rule decides on the newest state, and the cascade in the other domains of this process. If the
// rule refuses, it would refuse again, so the event becomes a dead letter. An error of the log makes no dead letter: the act is
// tried again.
func (s *Service) record(ctx context.Context, cause events.Event, id, orderID string, rule func(Payment) ([]events.Payload, error)) error {
	var refused error
	err := s.log.DoCascade(ctx, func(tx *eventlog.Tx) error {
		tx.CausedBy(cause)
		tx.WithCorrelation(orderID) // the cause may be a webhook, which names no order
		return decide(tx, id, func(p Payment) (facts []events.Payload, err error) {
			facts, refused = rule(p)
			return facts, refused
		})
	})
	if refused != nil && errors.Is(err, refused) || errors.Is(err, events.ErrBadID) {
		return worker.DeadLetter(err)
	}
	return err
}

// readPayment reads the payment of an act. At the first attempt the cached state is enough: it is at least as new as the event.
// If it is not the newest, the idempotency keys and the expected sequence of the append prevent a second effect.
func (s *Service) readPayment(ctx context.Context, id string) (p Payment, err error) {
	if worker.Attempt(ctx) > 1 {
		p, _, err = Payments.Read(ctx, s.log, id)
		return p, err
	}
	p, _, err = Payments.ReadAtLeast(ctx, s.log, id, 1)
	return p, err
}

// mustRetrieve reports whether an earlier attempt may have created an object at Stripe that the idempotency key no longer
// returns.
func (s *Service) mustRetrieve(ctx context.Context, e events.Event) bool {
	return worker.Attempt(ctx) > 1 || s.log.Now().Sub(e.Time) > keyLifetime
}

// final reports whether an intent can no longer change.
func (in Intent) final() bool { return in.Status == IntentSucceeded || in.Status == IntentCanceled }

// workerError turns an error into an instruction to the worker. A temporary error is retried without a limit. A refused API key
// affects every payment, so it opens the circuit of the lane. Any other error is retried by the worker's own rules and then
// becomes a dead letter.
func workerError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrAccount), errors.Is(err, ErrCircuitOpen):
		return worker.OpenCircuit(err)
	case errors.Is(err, ErrRetry):
		return worker.RetryAfter(backoff(worker.Attempt(ctx)), err)
	}
	return err
}

// backoff returns the delay after an attempt: half a second, doubling up to half a minute. The worker adds jitter, so that acts
// which failed together are not repeated together.
func backoff(attempt int) time.Duration {
	return min(30*time.Second, 500*time.Millisecond<<min(max(attempt-1, 0), 10))
}
