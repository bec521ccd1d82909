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

// keyLifetime is how long a key is trusted to name the same request. Stripe forgets it after 24 hours.
const keyLifetime = 23 * time.Hour

// createIntent makes the payment's PaymentIntent, once. Its secret is kept for the shopper only after its id is in the log.
func (s *Service) createIntent(ctx context.Context, e events.Event, r events.PaymentRequested) error {
	p, err := s.readPayment(ctx, r.PaymentID)
	if err != nil {
		return err
	}
	if p.PaymentIntent != "" || p.Failure != nil {
		return nil
	}
	in, found, err := s.findOrCreate(ctx, e, p)
	switch {
	case errors.Is(err, ErrPermanent), errors.Is(err, ErrDeclined):
		return s.fail(ctx, e, p, err)
	case err != nil:
		return workerError(ctx, err)
	case !found:
		return nil
	}
	if err := s.recordIntent(ctx, e, in); err != nil {
		return err
	}
	s.secrets.Add(in.ID, in.ClientSecret)
	return nil
}

// findOrCreate looks before it asks again: an earlier attempt may have been carried out though its answer was lost, and
// a 500 is replayed for as long as Stripe database the key. A payment that was called off is not begun, but an intent
// that was made before a crash is found, so that it can be cancelled.
func (s *Service) findOrCreate(ctx context.Context, e events.Event, p Payment) (in Intent, found bool, err error) {
	if s.mustRetrieve(ctx, e) || p.Cancelled {
		in, found, err = s.gateway.FindIntent(ctx, p.ID)
		if err != nil || found || p.Cancelled {
			return in, found, err
		}
	}
	failpoint.At("payments.before_create")
	in, err = s.gateway.CreateIntent(ctx, p)
	failpoint.At("payments.after_create")
	return in, err == nil, err
}

// fail gives the payment up. It says why in Stripe's words, for staff.
func (s *Service) fail(ctx context.Context, e events.Event, p Payment, why error) error {
	var answer *GatewayError
	if !errors.As(why, &answer) {
		return why
	}
	return s.record(ctx, e, p.ID, p.OrderID, func(p Payment) ([]events.Payload, error) { return Fail(p, answer.Code, answer.Message), nil })
}

// capture takes the money, once. It is woken by the order itself, which has accepted the authorisation: that is the
// intention in the log, and a shopper waits for what follows.
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
			return workerError(ctx, err)
		}
		if in.final() {
			return s.recordIntent(ctx, e, in)
		}
	}
	failpoint.At("payments.before_capture")
	in, err := s.gateway.Capture(ctx, p)
	failpoint.At("payments.after_capture")
	if err != nil {
		return s.resolveRefusal(ctx, e, p, err)
	}
	return s.recordIntent(ctx, e, in)
}

// cancel gives the intent up at Stripe. It looks first: the shopper may have paid a moment ago.
func (s *Service) cancel(ctx context.Context, e events.Event, r events.PaymentCancelRequested) error {
	p, err := s.readPayment(ctx, r.PaymentID)
	if err != nil {
		return err
	}
	if !p.Captured.IsZero() || p.CancelledIntent || p.PaymentIntent == "" {
		return nil
	}
	in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
	if err != nil {
		return workerError(ctx, err)
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

// resolveRefusal deals with an error of a capture or cancellation. A refusal usually means that the intent has ended in
// another way: it is looked at, and what it says counts. One that has not ended is for staff, if it is refused twice: the
// bank may have answered between the first refusal and the look.
func (s *Service) resolveRefusal(ctx context.Context, e events.Event, p Payment, why error) error {
	if errors.Is(why, ErrRetry) || ctx.Err() != nil {
		return workerError(ctx, why)
	}
	in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
	switch {
	case err != nil:
		return workerError(ctx, err)
	case in.final():
		return s.recordIntent(ctx, e, in)
	case in.Status == IntentProcessing, s.firstRefusal(e):
		return worker.RetryAfter(backoff(worker.Attempt(ctx)), why)
	}
	s.refused.Remove(e.ID) // staff may have it tried again
	return worker.DeadLetter(fmt.Errorf("intent %s is %s: %w", in.ID, in.Status, why))
}

// firstRefusal reports whether what an event wants is refused for the first time, and database that it was. The number of
// the attempt does not tell: an earlier one may have found Stripe away, or died with its process.
func (s *Service) firstRefusal(e events.Event) bool {
	known, _ := s.refused.ContainsOrAdd(e.ID, struct{}{})
	return !known
}

// refund sends money back, once per refund id.
func (s *Service) refund(ctx context.Context, e events.Event, r events.PaymentRefundRequested) error {
	p, err := s.readPayment(ctx, r.PaymentID)
	if err != nil {
		return err
	}
	if known := p.Refunds[r.RefundID]; known.Succeeded || known.Failed {
		return nil
	}
	if s.mustRetrieve(ctx, e) {
		if made, err := s.recordRefunds(ctx, e, p, r.RefundID); made || err != nil {
			return err
		}
	}
	made, err := s.gateway.Refund(ctx, p, r.RefundID, r.Amount)
	switch {
	case errors.Is(err, ErrPermanent), errors.Is(err, ErrDeclined):
		return s.failRefund(ctx, e, p, r.RefundID, err)
	case err != nil:
		return workerError(ctx, err)
	}
	return s.record(ctx, e, p.ID, p.OrderID, func(p Payment) ([]events.Payload, error) { return RecordRefund(p, made) })
}

// recordRefunds takes in all refunds that Stripe knows of the payment, and says whether one of them has our id.
func (s *Service) recordRefunds(ctx context.Context, e events.Event, p Payment, refundID string) (made bool, err error) {
	refunds, err := s.gateway.ListRefunds(ctx, p.PaymentIntent)
	if err != nil {
		return false, workerError(ctx, err)
	}
	for _, r := range refunds {
		made = made || r.RefundID == refundID
		if err := s.record(ctx, e, p.ID, p.OrderID, func(p Payment) ([]events.Payload, error) { return RecordRefund(p, r) }); err != nil {
			return made, err
		}
	}
	return made, nil
}

// failRefund gives the refund up, unless Stripe has made it all the same.
func (s *Service) failRefund(ctx context.Context, e events.Event, p Payment, refundID string, why error) error {
	if made, err := s.recordRefunds(ctx, e, p, refundID); made || err != nil {
		return err
	}
	return s.record(ctx, e, p.ID, p.OrderID, func(p Payment) ([]events.Payload, error) { return FailRefund(p, refundID, why.Error()), nil })
}

// reconcileCharge finds out what a webhook about a charge or a refund means. Such an event names the intent, and the intent
// names the payment; it also carries only what changed, so the whole list of refunds is taken in. The intent comes first:
// a refund counts only after what was captured is known.
func (s *Service) reconcileCharge(ctx context.Context, e events.Event, w events.WebhookReceived) error {
	intentID, found, err := intentIDFrom(w)
	if err != nil {
		return worker.DeadLetter(err)
	}
	if !found {
		return nil
	}
	in, err := s.gateway.RetrieveIntent(ctx, intentID)
	if errors.Is(err, ErrPermanent) {
		return worker.DeadLetter(fmt.Errorf("%w: %w", ErrUnmatched, err))
	}
	if err != nil {
		return workerError(ctx, err)
	}
	if err := s.recordIntent(ctx, e, in); err != nil {
		return err
	}
	p, _, err := Payments.Read(ctx, s.log, in.PaymentID)
	if err != nil {
		return err
	}
	_, err = s.recordRefunds(ctx, e, p, "")
	return err
}

// heard takes in an intent that Stripe has just shown us.
func (s *Service) recordIntent(ctx context.Context, e events.Event, in Intent) error {
	return s.record(ctx, e, in.PaymentID, in.OrderID, s.intentRule(in))
}

// say appends what a rule makes of the newest state, and what follows from it in the other domains of this process. What
// the rule refuses would be refused again, so the event becomes a dead letter; not so when it cannot be told whether the
// state was the newest.
func (s *Service) record(ctx context.Context, cause events.Event, id, orderID string, rule func(Payment) ([]events.Payload, error)) error {
	var refused error
	err := s.log.DoCascade(ctx, func(tx *eventlog.Tx) error {
		tx.CausedBy(cause)
		tx.WithCorrelation(orderID) // the cause may be an event of Stripe's that names no order
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

// readPayment reads the payment that an act is about. At the first attempt the cached state will do: it is as new as the event, and
// what it lacks is found by the keys at Stripe and by the expectation of the append.
func (s *Service) readPayment(ctx context.Context, id string) (p Payment, err error) {
	if worker.Attempt(ctx) > 1 {
		p, _, err = Payments.Read(ctx, s.log, id)
		return p, err
	}
	p, _, err = Payments.ReadAtLeast(ctx, s.log, id, 1)
	return p, err
}

// mustRetrieve reports whether an earlier attempt may have left something at Stripe that its key no longer brings back.
func (s *Service) mustRetrieve(ctx context.Context, e events.Event) bool {
	return worker.Attempt(ctx) > 1 || s.log.Now().Sub(e.Time) > keyLifetime
}

// final reports whether an intent has come to its end.
func (in Intent) final() bool { return in.Status == IntentSucceeded || in.Status == IntentCanceled }

// later has an act repeated for as long as Stripe is away or busy. Stripe refusing our key concerns every payment: the lane
// waits until it is taken again. Anything else follows the worker's own schedule and ends as a dead letter.
func workerError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrKeyRefused):
		return worker.OpenCircuit(err)
	case errors.Is(err, ErrRetry):
		return worker.RetryAfter(backoff(worker.Attempt(ctx)), err)
	}
	return err
}

// backoff doubles from half a second to half a minute. The worker spreads it, so that what failed together does not
// come back together.
func backoff(attempt int) time.Duration {
	return min(30*time.Second, 500*time.Millisecond<<min(max(attempt-1, 0), 10))
}
