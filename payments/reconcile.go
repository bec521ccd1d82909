package payments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
	"tillstream/events/log"
)

const (
	reconcileOverlap = time.Minute         // for events that appear in the list late
	reconcileStart   = time.Hour           // how far before the last known event the first walk of a process begins
	reconcileKept    = 30 * 24 * time.Hour // how long Stripe lists events
	settleTime       = 15 * time.Second    // how long a webhook may be under way before it counts as missed
	openBatch        = 200                 // open intents asked about per run
	openQuiet        = time.Minute         // how long nothing was heard of an intent before it is asked about
	notedKept        = 40_000
)

// cursor is how far the reconciler has come. It lives in memory: a new process begins somewhat before the last event
// that the log had when it started, and what it sees again changes nothing.
type cursor struct {
	begin atomic.Pointer[time.Time]    // where the first walk begins
	since time.Time                    // all events created before, by Stripe's clock, are known
	open  string                       // the last order whose intent was asked about
	noted *lru.Cache[string, struct{}] // ids of Stripe's events that went into the journal lately, by whomever
}

func newCursor() *cursor {
	noted, err := lru.New[string, struct{}](notedKept)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &cursor{noted: noted}
}

// reconcile finds what webhooks missed: first by Stripe's list of events, then by asking about intents that have been
// quiet. Only one run is under way at a time.
func (s *Service) reconcile(ctx context.Context) error {
	return errors.Join(s.walkEvents(ctx), s.askOpen(ctx))
}

// walkEvents hands on every listed event that would still say something new. It goes the way of the webhooks, so what
// it means is decided in one place. The next walk begins at the newest event of this one and not where our clock was: were
// that a few minutes fast, the walks would pass over everything that happens between them.
func (s *Service) walkEvents(ctx context.Context) error {
	since, err := s.walkFrom(ctx)
	if err != nil {
		return err
	}
	until := s.log.Now().Add(-min(settleTime, s.config.ReconcileEvery/4))
	if until.Before(since) {
		return nil // our clock is slow: what Stripe has is still to come
	}
	missed, next := 0, since
	err = s.gateway.ListEvents(ctx, since, until, slices.Concat(intentTypes, chargeTypes), func(raw RawEvent) error {
		handedOn, err := s.handOn(ctx, raw)
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
	return nil
}

// walkFrom is where the next walk begins.
func (s *Service) walkFrom(ctx context.Context) (time.Time, error) {
	if !s.cursor.since.IsZero() {
		return s.cursor.since, nil
	}
	return s.firstWalk(ctx)
}

// firstWalk is where the first walk of this process begins. It is settled before the process takes its first webhook,
// because that one would stand for the last event, and hide whatever was missed while nobody was there. Of webhooks that
// come at once the first to settle it counts: none of them is noted before.
func (s *Service) firstWalk(ctx context.Context) (time.Time, error) {
	if s.cursor.begin.Load() == nil {
		last, err := s.lastWebhook(ctx)
		if err != nil {
			return time.Time{}, err
		}
		begin := last.Add(-reconcileStart)
		s.cursor.begin.CompareAndSwap(nil, &begin)
	}
	begin := *s.cursor.begin.Load()
	if earliest := s.log.Now().Add(-reconcileKept); begin.Before(earliest) {
		return earliest, nil
	}
	return begin, nil
}

// lastWebhook is when the newest event went into the journal. Where none ever did everything may be missing.
func (s *Service) lastWebhook(ctx context.Context) (time.Time, error) {
	stream, err := s.log.Stream(events.StreamPayments)
	if err != nil {
		return time.Time{}, err
	}
	last, err := stream.GetLastMsgForSubject(ctx, events.SubjectWebhooks)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return s.log.Now().Add(-reconcileKept), nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("find the last webhook: %w: %w", log.ErrUnavailable, err)
	}
	return last.Time, nil
}

// handOn notes a listed event in the journal, unless it stands there already or is of no consequence.
func (s *Service) handOn(ctx context.Context, raw RawEvent) (bool, error) {
	if s.cursor.noted.Contains(raw.ID) {
		return false, nil
	}
	received, err := readListed(raw)
	if err != nil {
		return false, err
	}
	news, err := s.isNews(ctx, received)
	if err != nil || !news {
		return false, err
	}
	if err := s.note(ctx, received); err != nil {
		return false, err
	}
	s.cursor.noted.Add(raw.ID, struct{}{})
	return true, nil
}

// isNews reports whether an event would change what is known. Intents of orders that we never heard of belong to
// somebody else who uses the same account. What cannot be read, or of which Stripe shows nothing, is news too: whoever
// books it parks it, and the walk goes on to the other events.
func (s *Service) isNews(ctx context.Context, w events.WebhookReceived) (bool, error) {
	if slices.Contains(chargeTypes, w.StripeType) {
		return s.isRefundNews(ctx, w)
	}
	in, found, err := intentFrom(w)
	switch {
	case errors.Is(err, ErrUnmatched):
		return false, nil
	case err != nil:
		return true, nil //nolint:nilerr // whoever books it says what is wrong
	case !found:
		return false, nil
	}
	return s.wouldSay(ctx, in.OrderID, func(p Payment) ([]events.Payload, error) { return Heard(p, in, s.livemode) })
}

// isRefundNews asks Stripe which order an event about a charge belongs to, and how its refunds stand. The intent is
// looked at as well: the list has the newest first, and a refund of money of which nobody has told us yet says nothing;
// by the next walk it would have left the list.
func (s *Service) isRefundNews(ctx context.Context, w events.WebhookReceived) (bool, error) {
	id, found, err := intentIDFrom(w)
	if err != nil {
		return true, nil //nolint:nilerr // see isNews
	}
	if !found {
		return false, nil
	}
	in, err := s.gateway.RetrieveIntent(ctx, id)
	if errors.Is(err, ErrPermanent) {
		return true, nil // see isNews
	}
	if err != nil || in.OrderID == "" {
		return false, err
	}
	news, err := s.wouldSay(ctx, in.OrderID, func(p Payment) ([]events.Payload, error) { return Heard(p, in, s.livemode) })
	if news || err != nil {
		return news, err
	}
	refunds, err := s.gateway.ListRefunds(ctx, id)
	if err != nil {
		return false, err
	}
	for _, r := range refunds {
		news, err := s.wouldSay(ctx, in.OrderID, func(p Payment) ([]events.Payload, error) { return RefundHeard(p, r) })
		if news || err != nil {
			return news, err
		}
	}
	return false, nil
}

// wouldSay tries a rule on what is remembered of a payment, and if that makes something of it, on the newest state. A
// rule that refuses is news too: staff should see it.
func (s *Service) wouldSay(ctx context.Context, orderID string, rule func(Payment) ([]events.Payload, error)) (bool, error) {
	p, _, err := Payments.ReadAtLeast(ctx, s.log, orderID, 1)
	if facts, refused := rule(p); err == nil && refused == nil && len(facts) == 0 {
		return false, nil
	}
	p, _, err = Payments.Read(ctx, s.log, orderID)
	if errors.Is(err, log.ErrNotFound) || errors.Is(err, events.ErrBadID) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	facts, refused := rule(p)
	return refused != nil || len(facts) > 0, nil //nolint:nilerr // a refusal is news as well: whoever books it parks it
}

// askOpen asks Stripe about payments that wait and of which nothing was heard for a while, some at each run.
func (s *Service) askOpen(ctx context.Context) error {
	var orders []string
	err := s.sweeping.Ask(func() (err error) {
		if orders, err = s.openPayments(ctx, s.cursor.open, s.log.Now().Add(-openQuiet), openBatch); err != nil {
			return err
		}
		s.cursor.open = ""
		if len(orders) == openBatch {
			s.cursor.open = orders[len(orders)-1]
		}
		return nil
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(actConcurrency / 4)
	for _, orderID := range orders {
		group.Go(func() error { return s.ask(ctx, orderID) })
	}
	return group.Wait()
}

// ask takes in what Stripe says about one payment's intent now. Only a Stripe that is away ends the run.
func (s *Service) ask(ctx context.Context, orderID string) error {
	p, err := s.newest(ctx, orderID, 0)
	if err != nil || !p.Payable() {
		return err
	}
	in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
	if errors.Is(err, ErrRetry) || ctx.Err() != nil {
		return err
	}
	if err == nil {
		err = s.log.Do(ctx, func(tx *log.Tx) error {
			tx.About(orderID)
			return decide(tx, orderID, func(p Payment) ([]events.Payload, error) { return Heard(p, in, s.livemode) })
		})
	}
	if err != nil {
		s.logger.Error("intent cannot be reconciled", "order", orderID, "intent", p.PaymentIntent, "error", err)
	}
	return nil
}
