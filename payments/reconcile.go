package payments

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

const (
	reconcileOverlap = time.Minute         // for events that appear in the list late
	restartOverlap   = time.Hour           // overlap of the first walk of a process with the shop's last walk
	stripeRetention  = 30 * 24 * time.Hour // how long Stripe lists events
	webhookDelay     = 15 * time.Second    // how late a webhook may arrive before it counts as missed
	openBatch        = 200                 // open payments whose intents are retrieved in one run
	quietPeriod      = time.Minute         // how long a payment must be unchanged before its intent is retrieved
	maxStored        = 40_000              // ids of recently stored events in memory
)

// cursor is the position of this process's reconciler.
type cursor struct {
	since  time.Time                    // all events created before this time, by Stripe's clock, are known; zero before the first walk
	open   string                       // the last payment whose intent was retrieved
	stored *lru.Cache[string, struct{}] // ids of recent Stripe events that are in the log or need not be

	disputes time.Time // when Stripe was asked for all open disputes
	balance  time.Time // all balance transactions created before this time are recorded; zero before the first walk
	refused  time.Time // when Stripe refused to list balance transactions
}

// progress is the position up to which the processes of the shop have walked Stripe's list of events. It is the state of a
// checkpoint, so a process that starts finds the events that were missed while no process ran. The newest stored webhook cannot
// serve as the position, because an earlier one may be missing.
type progress struct {
	To time.Time `json:"to"` // all events created before this time, by Stripe's clock, are known
}

// progressName is the name of the checkpoint.
const progressName = "payments.reconcile"

func newCursor() *cursor {
	stored, err := lru.New[string, struct{}](maxStored)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &cursor{stored: stored}
}

// reconcile finds what webhooks missed: first in Stripe's list of events, then by retrieving the intents and refunds of payments that
// have not changed for a while. Runs never overlap.
func (s *Service) reconcile(ctx context.Context) error {
	return errors.Join(s.reconcileEvents(ctx), s.reconcileOpen(ctx), s.reconcileDisputes(ctx), s.reconcileBalance(ctx))
}

// reconcileEvents stores every listed event that adds a fact, in the same way as a webhook. An entry that cannot be read does not end the
// walk. After an error of the log, or of Stripe that may pass, the next walk begins at the same place; what this one has stored is known
// then. Otherwise it begins at the newest event of this one, not at the time of the local clock: if the clock is fast, the walks would
// skip the events in between.
func (s *Service) reconcileEvents(ctx context.Context) error {
	since, err := s.nextSince(ctx)
	if err != nil {
		return err
	}
	until := s.log.Now().Add(-min(webhookDelay, s.config.ReconcileEvery/4))
	if until.Before(since) {
		return nil // the local clock is slow
	}
	missed, next, failed := 0, since, &failures{}
	err = s.gateway.ListEvents(ctx, since, until, WebhookEventTypes(), func(raw RawEvent) error {
		stored, err := s.storeMissed(ctx, raw)
		if stored {
			missed++
		}
		if err != nil && !temporary(err) {
			s.passOver(raw, err)
			err = nil
		}
		if begin := raw.Created.Add(-reconcileOverlap); begin.After(next) {
			next = begin
		}
		return failed.add(err)
	})
	if missed > 0 {
		s.logger.Warn("missed webhooks recovered", "events", missed, "since", since)
	}
	if err = cmp.Or(err, failed.first); err != nil {
		return fmt.Errorf("reconcile events of Stripe: %w", err)
	}
	s.cursor.since = next
	return s.saveProgress(ctx, progressName, next)
}

// nextSince returns the time at which the next walk begins. The first walk of a process repeats the last hour of the shop's walk
// before it, to find events that entered Stripe's list late; known events change nothing. Without a checkpoint it walks everything
// that Stripe still lists.
func (s *Service) nextSince(ctx context.Context) (time.Time, error) {
	if !s.cursor.since.IsZero() {
		return s.cursor.since, nil
	}
	return s.resume(ctx, progressName)
}

// resume returns the time at which the first walk of a process begins, from the checkpoint of the shop.
func (s *Service) resume(ctx context.Context, checkpoint string) (time.Time, error) {
	_, done, err := s.loadProgress(ctx, checkpoint)
	if err != nil {
		return time.Time{}, err
	}
	begin, earliest := done.To.Add(-restartOverlap), s.log.Now().Add(-stripeRetention)
	if begin.Before(earliest) {
		return earliest, nil
	}
	return begin, nil
}

func (s *Service) loadProgress(ctx context.Context, checkpoint string) (c eventlog.Checkpoint, done progress, err error) {
	if c, err = s.log.LoadCheckpoint(ctx, checkpoint); err != nil || len(c.State) == 0 {
		return c, progress{}, err
	}
	if err := json.Unmarshal(c.State, &done); err != nil {
		return c, progress{}, fmt.Errorf("decode checkpoint %s: %w", checkpoint, err)
	}
	return c, done, nil
}

// saveProgress saves the position of a walk unless the saved position is ahead of it. If two processes save at once, one is refused and
// saves after its next walk.
func (s *Service) saveProgress(ctx context.Context, checkpoint string, to time.Time) error {
	c, done, err := s.loadProgress(ctx, checkpoint)
	if err != nil || !to.After(done.To) {
		return err
	}
	if c.State, err = json.Marshal(progress{To: to}); err != nil {
		return fmt.Errorf("encode checkpoint %s: %w", checkpoint, err)
	}
	if err := s.log.SaveCheckpoint(ctx, &c); !errors.Is(err, eventlog.ErrCheckpointConflict) {
		return err
	}
	return nil
}

// temporary reports whether an error says nothing about the event or payment at hand: the log or Stripe is not available.
func temporary(err error) bool { return errors.Is(err, ErrRetry) || worker.IsInfrastructure(err) }

// passOver counts and logs an entry of Stripe's list that cannot be read or checked, once. What it reports may still be found when the
// intent of an open payment is retrieved.
func (s *Service) passOver(raw RawEvent, cause error) {
	s.metrics.webhooks.WithLabelValues(webhookUnreadable).Inc()
	s.logger.Error("listed event passed over", "event", raw.ID, "error", cause)
	if raw.ID != "" {
		s.cursor.stored.Add(raw.ID, struct{}{})
	}
}

// storeMissed stores a listed event, unless the event is in the log or adds no fact. It reports whether it stored the event.
func (s *Service) storeMissed(ctx context.Context, raw RawEvent) (bool, error) {
	if s.cursor.stored.Contains(raw.ID) {
		return false, nil
	}
	received, err := parseListed(raw, s.livemode)
	if errors.Is(err, ErrForeign) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	adds, err := s.addsFacts(ctx, received)
	if err == nil && !adds && onlyStripeKnows(received) {
		s.cursor.stored.Add(raw.ID, struct{}{}) // the next walk need not ask Stripe again: a later change has an event of its own
	}
	if err != nil || !adds {
		return false, err
	}
	if err := s.Receive(ctx, received); err != nil {
		return false, err
	}
	s.cursor.stored.Add(raw.ID, struct{}{})
	return true, nil
}

// addsFacts reports whether an event would add a fact to a payment of the shop. It also returns true for an event that names a payment of
// the shop and contradicts it, or whose intent cannot be read or is not returned by Stripe. Such an event is stored and becomes a dead
// letter. An event that names no payment of the shop is passed over.
func (s *Service) addsFacts(ctx context.Context, w events.WebhookReceived) (bool, error) {
	about := targetOf(w)
	named, err := about.find(s.readAny(ctx))
	switch {
	case errors.Is(err, eventlog.ErrUnreadable):
		return true, nil
	case err != nil:
		return false, err
	case !named.Exists() && about.foreign():
		return false, nil
	case isDispute(w):
		return s.addsDisputeFact(ctx, w)
	case needsIntent(w):
		return s.addsRefundFacts(ctx, about, named)
	}
	in, found, err := intentFrom(w)
	switch {
	case err != nil:
		return true, nil //nolint:nilerr // the dead letter has the error
	case !found:
		return false, nil
	}
	return s.wouldAppend(ctx, named.ID, s.intentRule(in))
}

// addsRefundFacts is addsFacts for an event about a charge, whose payment and refunds are retrieved from Stripe. It also returns
// true if the intent adds a fact. The list has the newest events first, so a refund may come before its capture and add no fact
// yet; the next walk would begin after the refund and miss it. named is the payment that the event names, if it names one.
func (s *Service) addsRefundFacts(ctx context.Context, about target, named Payment) (bool, error) {
	in, p, err := s.retrieveOurs(ctx, about.intent)
	switch {
	case errors.Is(err, ErrPermanent):
		return named.Exists(), nil
	case err != nil || !p.Exists():
		return false, err
	}
	adds, err := s.wouldAppend(ctx, p.ID, s.intentRule(in))
	if adds || err != nil {
		return adds, err
	}
	refunds, err := s.gateway.ListRefunds(ctx, about.intent)
	if err != nil {
		return false, err
	}
	for _, r := range refunds {
		adds, err := s.wouldAppend(ctx, p.ID, func(p Payment) ([]events.Payload, error) { return RecordRefund(p, r) })
		if adds || err != nil {
			return adds, err
		}
	}
	return false, nil
}

// wouldAppend reports whether a rule would append facts to a payment. It tries the rule on the cached state first, and on the
// newest state only if the cached one would change. It also returns true for a refusal and an unreadable payment, because staff
// must see the dead letter.
func (s *Service) wouldAppend(ctx context.Context, id string, rule func(Payment) ([]events.Payload, error)) (bool, error) {
	p, _, err := Payments.ReadAtLeast(ctx, s.log, id, 1)
	if facts, refused := rule(p); err == nil && refused == nil && len(facts) == 0 {
		return false, nil
	}
	p, _, err = Payments.Read(ctx, s.log, id)
	switch {
	case errors.Is(err, eventlog.ErrNotFound), errors.Is(err, events.ErrBadID):
		return false, nil
	case errors.Is(err, eventlog.ErrUnreadable):
		return true, nil
	case err != nil:
		return false, err
	}
	facts, refused := rule(p)
	return refused != nil || len(facts) > 0, nil //nolint:nilerr // a refusal becomes a dead letter
}

// reconcileOpen retrieves the intents and pending refunds of unsettled payments that have not changed for a while, a batch per run.
func (s *Service) reconcileOpen(ctx context.Context) error {
	var open []string
	err := s.pace.Ask(func() (err error) {
		if open, err = s.unsettledPayments(ctx, s.cursor.open, s.log.Now().Add(-quietPeriod), openBatch); err != nil {
			return err
		}
		s.cursor.open = ""
		if len(open) == openBatch {
			s.cursor.open = open[len(open)-1]
		}
		return nil
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(actConcurrency / 4)
	failed := &failures{}
	for _, id := range open {
		group.Go(func() error { return failed.add(s.reconcilePayment(ctx, id)) })
	}
	return cmp.Or(group.Wait(), failed.first)
}

// reconcilePayment records the current state of one payment's intent and of its refunds. It returns an error only if Stripe or the log is
// unavailable, which ends the run. Other errors concern this payment alone and are logged.
func (s *Service) reconcilePayment(ctx context.Context, id string) error {
	err := s.retrieveAndRecord(ctx, id)
	if temporary(err) {
		return err
	}
	if err != nil {
		s.logger.Error("reconcile payment", "payment", id, "error", err)
	}
	return nil
}

func (s *Service) retrieveAndRecord(ctx context.Context, id string) error {
	p, err := s.newest(ctx, id, 0)
	if err != nil || !p.unsettled() {
		return err
	}
	in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
	if err != nil {
		return err
	}
	if err := s.recordRetrieved(ctx, p, s.intentRule(in)); err != nil || !p.refundPending() {
		return err
	}
	refunds, err := s.gateway.ListRefunds(ctx, p.PaymentIntent)
	if err != nil {
		return err
	}
	return s.recordRetrieved(ctx, p, func(p Payment) ([]events.Payload, error) { return RecordRefunds(p, refunds) })
}

// recordRetrieved appends the facts that a rule decides about what Stripe has returned.
func (s *Service) recordRetrieved(ctx context.Context, p Payment, rule func(Payment) ([]events.Payload, error)) error {
	return s.log.DoCascade(ctx, func(tx *eventlog.Tx) error {
		tx.WithActor(events.ActorStripe)
		tx.WithCorrelation(p.OrderID)
		return decide(tx, p.ID, rule)
	})
}
