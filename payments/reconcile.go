package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

const (
	reconcileOverlap = time.Minute         // for events that appear in the list late
	restartOverlap   = time.Hour           // how far before the end of the shop's last walk the first one of a process begins
	stripeRetention  = 30 * 24 * time.Hour // how long Stripe lists events
	webhookDelay     = 15 * time.Second    // how long a webhook may be under way before it counts as missed
	openBatch        = 200                 // open intents asked about per run
	quietPeriod      = time.Minute         // how long nothing was heard of an intent before it is asked about
	storedKept       = 40_000
)

// cursor is how far the reconciler of this process has come.
type cursor struct {
	since  time.Time                    // all events created before, by Stripe's clock, are known; zero before the first walk
	open   string                       // the last order whose intent was asked about
	stored *lru.Cache[string, struct{}] // ids of Stripe's events that went into the log lately, by whomever
}

// walked is how far the shop has gone through Stripe's events, by whichever process went furthest. It is the state of a
// checkpoint, so that a process that starts knows what was missed while no process was there to hear it: that a webhook
// arrived since says nothing about those before it.
type progress struct {
	To time.Time `json:"to"` // all events created before, by Stripe's clock, are known
}

// progressName is the name of that checkpoint.
const progressName = "payments.reconcile"

func newCursor() *cursor {
	noted, err := lru.New[string, struct{}](storedKept)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &cursor{stored: noted}
}

// reconcile finds what webhooks missed: first by Stripe's list of events, then by asking about intents that have been
// quiet. Only one run is under way at a time.
func (s *Service) reconcile(ctx context.Context) error {
	return errors.Join(s.reconcileEvents(ctx), s.reconcileOpen(ctx))
}

// reconcileEvents hands on every listed event that would still say something new. It goes the way of the webhooks, so what
// it means is decided in one place. The next walk begins at the newest event of this one and not where our clock was: were
// that a few minutes fast, the walks would pass over everything that happens between them.
func (s *Service) reconcileEvents(ctx context.Context) error {
	since, err := s.nextSince(ctx)
	if err != nil {
		return err
	}
	until := s.log.Now().Add(-min(webhookDelay, s.config.ReconcileEvery/4))
	if until.Before(since) {
		return nil // our clock is slow: what Stripe has is still to come
	}
	missed, next := 0, since
	err = s.gateway.ListEvents(ctx, since, until, slices.Concat(intentTypes, chargeTypes), func(raw RawEvent) error {
		handedOn, err := s.storeMissed(ctx, raw)
		if handedOn {
			missed++
		}
		if begin := raw.Created.Add(-reconcileOverlap); begin.After(next) {
			next = begin
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reconcile with Stripe's events: %w", err)
	}
	if missed > 0 {
		s.logger.Warn("webhooks had missed events", "events", missed, "since", since)
	}
	s.cursor.since = next
	return s.saveProgress(ctx, next)
}

// nextSince is where the next walk begins. The first one of a process repeats an hour of what the shop has gone through: it
// costs little, changes nothing, and catches what entered Stripe's list very late. Where the shop never went through it,
// everything that Stripe still lists may have been missed.
func (s *Service) nextSince(ctx context.Context) (time.Time, error) {
	if !s.cursor.since.IsZero() {
		return s.cursor.since, nil
	}
	_, done, err := s.loadProgress(ctx)
	if err != nil {
		return time.Time{}, err
	}
	begin, earliest := done.To.Add(-restartOverlap), s.log.Now().Add(-stripeRetention)
	if begin.Before(earliest) {
		return earliest, nil
	}
	return begin, nil
}

func (s *Service) loadProgress(ctx context.Context) (c eventlog.Checkpoint, done progress, err error) {
	if c, err = s.log.LoadCheckpoint(ctx, progressName); err != nil || len(c.State) == 0 {
		return c, progress{}, err
	}
	if err := json.Unmarshal(c.State, &done); err != nil {
		return c, progress{}, fmt.Errorf("read checkpoint of %s: %w", progressName, err)
	}
	return c, done, nil
}

// saveProgress notes how far a walk came, unless the shop has come as far already. Of two processes that save at once one is
// refused; it saves after its next walk.
func (s *Service) saveProgress(ctx context.Context, to time.Time) error {
	c, done, err := s.loadProgress(ctx)
	if err != nil || !to.After(done.To) {
		return err
	}
	if c.State, err = json.Marshal(progress{To: to}); err != nil {
		return fmt.Errorf("write checkpoint of %s: %w", progressName, err)
	}
	if err := s.log.SaveCheckpoint(ctx, &c); !errors.Is(err, eventlog.ErrCheckpointConflict) {
		return err
	}
	return nil
}

// storeMissed stores a listed event, unless the log has it already or it is of no consequence.
func (s *Service) storeMissed(ctx context.Context, raw RawEvent) (bool, error) {
	if s.cursor.stored.Contains(raw.ID) {
		return false, nil
	}
	received, err := parseListed(raw)
	if err != nil {
		return false, err
	}
	news, err := s.addsFacts(ctx, received)
	if err != nil || !news {
		return false, err
	}
	if err := s.Receive(ctx, received); err != nil {
		return false, err
	}
	s.cursor.stored.Add(raw.ID, struct{}{})
	return true, nil
}

// addsFacts reports whether an event would change what is known. Intents of orders that we never heard of belong to
// somebody else who uses the same account. What cannot be read, or of which Stripe shows nothing, is news too: it is stored,
// becomes a dead letter, and the walk goes on to the other events.
func (s *Service) addsFacts(ctx context.Context, w events.WebhookReceived) (bool, error) {
	if slices.Contains(chargeTypes, w.StripeType) {
		return s.addsRefundFacts(ctx, w)
	}
	in, found, err := intentFrom(w)
	switch {
	case errors.Is(err, ErrUnmatched):
		return false, nil
	case err != nil:
		return true, nil //nolint:nilerr // the dead letter says what is wrong
	case !found:
		return false, nil
	}
	return s.wouldAppend(ctx, in.PaymentID, s.intentRule(in))
}

// addsRefundFacts asks Stripe which payment an event about a charge belongs to, and how its refunds stand. The intent is
// looked at as well: the list has the newest first, and a refund of money of which nobody has told us yet says nothing;
// by the next walk it would have left the list.
func (s *Service) addsRefundFacts(ctx context.Context, w events.WebhookReceived) (bool, error) {
	id, found, err := intentIDFrom(w)
	if err != nil {
		return true, nil //nolint:nilerr // see addsFacts
	}
	if !found {
		return false, nil
	}
	in, err := s.gateway.RetrieveIntent(ctx, id)
	if errors.Is(err, ErrPermanent) {
		return true, nil // see addsFacts
	}
	if err != nil || in.PaymentID == "" {
		return false, err
	}
	news, err := s.wouldAppend(ctx, in.PaymentID, s.intentRule(in))
	if news || err != nil {
		return news, err
	}
	refunds, err := s.gateway.ListRefunds(ctx, id)
	if err != nil {
		return false, err
	}
	for _, r := range refunds {
		news, err := s.wouldAppend(ctx, in.PaymentID, func(p Payment) ([]events.Payload, error) { return RecordRefund(p, r) })
		if news || err != nil {
			return news, err
		}
	}
	return false, nil
}

// wouldAppend tries a rule on what is remembered of a payment, and if that makes something of it, on the newest state. A rule
// that refuses is news too, and so is a payment that cannot be read: staff should see it.
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
	return refused != nil || len(facts) > 0, nil //nolint:nilerr // a refusal is news: it becomes a dead letter
}

// reconcileOpen asks Stripe about payments that wait and of which nothing was heard for a while, some at each run.
func (s *Service) reconcileOpen(ctx context.Context) error {
	var open []string
	err := s.pace.Ask(func() (err error) {
		if open, err = s.openPayments(ctx, s.cursor.open, s.log.Now().Add(-quietPeriod), openBatch); err != nil {
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
	for _, id := range open {
		group.Go(func() error { return s.reconcilePayment(ctx, id) })
	}
	return group.Wait()
}

// ask takes in what Stripe says about one payment's intent now. Only Stripe or a log that is away ends the run: a payment
// with which something is wrong must not keep the others from being asked about.
func (s *Service) reconcilePayment(ctx context.Context, id string) error {
	err := s.retrieveAndRecord(ctx, id)
	if errors.Is(err, ErrRetry) || worker.IsInfrastructure(err) {
		return err
	}
	if err != nil {
		s.logger.Error("payment cannot be reconciled", "payment", id, "error", err)
	}
	return nil
}

func (s *Service) retrieveAndRecord(ctx context.Context, id string) error {
	p, err := s.newest(ctx, id, 0)
	if err != nil || !p.Payable() {
		return err
	}
	in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
	if err != nil {
		return err
	}
	return s.log.DoCascade(ctx, func(tx *eventlog.Tx) error {
		tx.WithActor(events.ActorStripe)
		tx.WithCorrelation(p.OrderID)
		return decide(tx, id, s.intentRule(in))
	})
}
