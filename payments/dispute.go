package payments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tillstream/events"
	"tillstream/events/index"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// StripeDispute is a dispute at Stripe (docs.stripe.com/api/disputes/object).
type StripeDispute struct {
	ID            string
	Charge        string
	PaymentIntent string // "" for a charge without an intent, which the shop never makes
	Status        string // one of the Dispute constants of package events, or one that Stripe has added since
	Reason        string
	Amount        events.Money
	EvidenceDue   time.Time    // zero if nothing is to be sent
	Withdrawn     events.Money // taken from the account and not returned, without the fee, in the currency of the account
	Fee           events.Money // in the currency of the account
	Bookings      int          // how often money was taken or returned
	Livemode      bool
}

// RecordDispute returns the fact that a dispute adds to a payment: its state, if it differs from what is recorded and is not older.
// Answers of Stripe may be recorded in another order than they were given. An older one has a status that comes before the recorded
// one, or fewer bookings. It returns [ErrUnmatched], [ErrMismatch] or [ErrUnknownStatus].
func RecordDispute(p Payment, d StripeDispute, live bool) ([]events.Payload, error) {
	switch {
	case !p.Exists() || d.PaymentIntent != p.PaymentIntent: // the caller has recorded the intent
		return nil, fmt.Errorf("%w: dispute %s of intent %s is not about payment %.80q", ErrUnmatched, d.ID, d.PaymentIntent, p.ID)
	case d.Livemode != live:
		return nil, fmt.Errorf("%w: dispute %s has livemode %t, the shop %t", ErrMismatch, d.ID, d.Livemode, live)
	case events.DisputeRank(d.Status) == 0:
		return nil, fmt.Errorf("%w: dispute %s has status %.40q", ErrUnknownStatus, d.ID, d.Status)
	}
	known := p.Disputes[d.ID]
	if events.DisputeRank(d.Status) < events.DisputeRank(known.Status) || d.Bookings < known.Bookings || known.same(d.recorded()) {
		return nil, nil
	}
	return []events.Payload{events.PaymentDisputeUpdated{OrderID: p.OrderID, PaymentID: p.ID, Dispute: d.ID, Charge: d.Charge, Status: d.Status,
		Reason: d.Reason, Amount: d.Amount, EvidenceDue: d.EvidenceDue, Withdrawn: d.Withdrawn, Fee: d.Fee, Bookings: d.Bookings}}, nil
}

// recorded returns the state of the dispute as a payment keeps it.
func (d StripeDispute) recorded() Dispute {
	return Dispute{Status: d.Status, Reason: d.Reason, Amount: d.Amount, EvidenceDue: d.EvidenceDue, Withdrawn: d.Withdrawn, Fee: d.Fee, Bookings: d.Bookings}
}

// same reports whether nothing has changed. An amount of 0 has no currency in the log.
func (d Dispute) same(o Dispute) bool {
	equal := func(a, b events.Money) bool { return a == b || a.IsZero() && b.IsZero() }
	return d.Status == o.Status && d.Reason == o.Reason && d.Amount == o.Amount && d.EvidenceDue.Equal(o.EvidenceDue) &&
		equal(d.Withdrawn, o.Withdrawn) && equal(d.Fee, o.Fee) && d.Bookings == o.Bookings
}

// Open reports whether the dispute, or the bank's inquiry, has not ended.
func (d Dispute) Open() bool { return !events.DisputeClosed(d.Status) }

// Unanswered reports whether the bank waits for the shop's evidence.
func (d Dispute) Unanswered() bool {
	return d.Status == events.DisputeNeedsResponse || d.Status == events.DisputeWarningNeedsResponse
}

// takes reports whether the disputed amount is not the shop's: the dispute is open or lost.
func (d Dispute) takes() bool {
	return d.Status != events.DisputeWon && !events.DisputeInquiry(d.Status)
}

// Disputed returns the sum of the amounts of disputes that are open or lost. This money cannot be refunded. It is the whole captured
// amount if a dispute is in another currency.
func (p Payment) Disputed() (events.Money, error) {
	sum := events.Money{Currency: p.Amount.Currency}
	for id, dispute := range p.Disputes {
		if !dispute.takes() {
			continue
		}
		if dispute.Amount.Currency != sum.Currency {
			return events.Money{Amount: p.Captured.Amount, Currency: sum.Currency}, nil
		}
		var err error
		if sum, err = sum.Add(dispute.Amount); err != nil {
			return events.Money{}, fmt.Errorf("dispute %s of payment %s: %w", id, p.ID, err)
		}
	}
	return sum, nil
}

// hasDispute reports whether a condition holds for a dispute of the payment.
func (p Payment) hasDispute(holds func(Dispute) bool) bool {
	for _, dispute := range p.Disputes {
		if holds(dispute) {
			return true
		}
	}
	return false
}

// isDispute reports whether the object of an event of Stripe is a dispute.
func isDispute(w events.WebhookReceived) bool { return slices.Contains(disputeTypes, w.StripeType) }

// checkDispute handles an event about a dispute. The event has the state of the time when it was created, so Stripe is asked for the
// dispute. The dispute of a payment that the shop did not make is passed over.
func (s *Service) checkDispute(ctx context.Context, e events.Event, w events.WebhookReceived) error {
	object := objectOf(w.Body)
	if object.PaymentIntent == "" {
		return nil
	}
	in, p, err := s.retrieveOurs(ctx, string(object.PaymentIntent))
	switch {
	case errors.Is(err, ErrPermanent) || err == nil && !p.Exists():
		s.metrics.webhooks.WithLabelValues(webhookForeign).Inc()
		return nil
	case err != nil:
		return workerError(ctx, err)
	}
	if p.PaymentIntent == "" { // a restored log may lack it
		if err := s.recordIntent(ctx, e, in); err != nil {
			return err
		}
	}
	d, err := s.gateway.RetrieveDispute(ctx, string(object.ID))
	if err != nil {
		return workerError(ctx, err)
	}
	return s.record(ctx, e, p.ID, p.OrderID, func(p Payment) ([]events.Payload, error) { return RecordDispute(p, d, s.livemode) })
}

// disputeChecked reports whether a webhook about a dispute names nothing that could be asked for.
func disputeChecked(w events.WebhookReceived) (worker.Done, error) {
	if objectOf(w.Body).PaymentIntent == "" {
		return worker.Done{What: "nothing to ask Stripe"}, nil
	}
	return worker.Done{}, nil
}

// addsDisputeFact reports whether a listed event about a dispute would add a fact, for which Stripe is asked. It also returns true for
// one whose dispute Stripe does not return, so that it becomes a dead letter.
func (s *Service) addsDisputeFact(ctx context.Context, w events.WebhookReceived) (bool, error) {
	object := objectOf(w.Body)
	if object.PaymentIntent == "" {
		return false, nil
	}
	_, p, err := s.retrieveOurs(ctx, string(object.PaymentIntent))
	if err != nil || !p.Exists() {
		return false, retriable(err)
	}
	d, err := s.gateway.RetrieveDispute(ctx, string(object.ID))
	if err != nil {
		return refusedByStripe(err), retriable(err)
	}
	return s.wouldAppend(ctx, p.ID, func(p Payment) ([]events.Payload, error) { return RecordDispute(p, d, s.livemode) })
}

// retriable returns an error that a later run may not meet, and nil for one that Stripe would give again.
func retriable(err error) error {
	if refusedByStripe(err) {
		return nil
	}
	return err
}

// refusedByStripe reports whether Stripe refuses a request and would refuse it again.
func refusedByStripe(err error) bool {
	return errors.Is(err, ErrPermanent) || errors.Is(err, ErrRequest)
}

// How often Stripe is asked again for the disputes that are not closed, and for how many.
const (
	disputesEvery   = 15 * time.Minute
	maxOpenDisputes = 1000
)

// reconcileDisputes asks Stripe again for the disputes that are not closed, because a webhook may be lost. The list of payments in
// memory has them.
func (s *Service) reconcileDisputes(ctx context.Context) error {
	if now := s.log.Now(); now.Sub(s.cursor.disputes) < disputesEvery {
		return nil
	}
	open, err := s.index.Find(ctx, index.Query[Payment]{Limit: maxOpenDisputes}, func(p *Payment) bool { return p.hasDispute(Dispute.Open) })
	if err != nil {
		return fmt.Errorf("find open disputes: %w", err)
	}
	for _, p := range open.Rows {
		for id, known := range p.Disputes {
			if !known.Open() {
				continue
			}
			if err := s.reconcileDispute(ctx, p, id); err != nil {
				return err
			}
		}
	}
	s.cursor.disputes = s.log.Now()
	return nil
}

// reconcileDispute records the current state of a dispute. An error that concerns this dispute alone is logged.
func (s *Service) reconcileDispute(ctx context.Context, p Payment, id string) error {
	d, err := s.gateway.RetrieveDispute(ctx, id)
	if err == nil {
		err = s.log.DoCascade(ctx, func(tx *eventlog.Tx) error {
			tx.WithActor(events.ActorStripe)
			tx.WithCorrelation(p.OrderID)
			return decide(tx, p.ID, func(p Payment) ([]events.Payload, error) { return RecordDispute(p, d, s.livemode) })
		})
	}
	if errors.Is(err, ErrRetry) || worker.IsInfrastructure(err) {
		return fmt.Errorf("reconcile dispute %s: %w", id, err)
	}
	if err != nil {
		s.logger.Error("reconcile dispute", "payment", p.ID, "dispute", id, "error", err)
	}
	return nil
}
