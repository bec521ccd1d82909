package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
	"tillstream/events/failpoint"
)

// storeBatch publishes requests as one atomic batch until each has an answer or Config.Patience ends. sent is nil, or a batch
// of exactly these requests that is already on its way.
//
// After a conflict, or without an answer, storeBatch does not bisect the batch: the log shows what happened to each request
// (see settle), and the undecided ones are sent again. Repeating is safe, because a request that was stored after all is
// refused by its own expected sequences and recognized.
func (c *committer) storeBatch(open []*request, sent *sending) {
	began, delays := time.Now(), newDelays()
	deadline := began.Add(c.log.config.Patience)
	for attempt := 1; ; attempt++ {
		last, err := c.publish(open, sent, earlier(deadline, time.Now().Add(tryTimeout)))
		sent = nil
		err = classify(err)
		if c.answered(open, last, err) {
			return
		}
		delay, conflict := delays.NextBackOff(), errors.Is(err, errConflict)
		if !conflict {
			c.unanswered(open, attempt, err)
			if time.Now().Add(delay).After(deadline) || c.log.conn.IsClosed() {
				c.answerAll(open, fmt.Errorf("%w: %w", ErrUnavailable, err))
				return
			}
		}
		before := len(open)
		if open = c.settle(open); len(open) == 0 {
			return
		}
		if conflict && len(open) < before {
			continue // without the conflicting requests
		}
		if conflict && !anyUncertain(open) {
			c.refused(open, errConflict)
			return
		}
		if time.Now().Add(delay).After(deadline) {
			if conflict { // with an earlier try of the same requests, whose outcome is unknown
				err = errNoAnswer
			}
			c.answerAll(open, fmt.Errorf("%w: %w", ErrUnavailable, err))
			return
		}
		if time.Since(began) > moveAfter {
			c.log.failover()
		}
		time.Sleep(delay)
	}
}

// answered answers the requests of a batch that was stored or finally refused, and reports whether it did.
func (c *committer) answered(requests []*request, last uint64, err error) bool {
	switch {
	case err == nil:
		failpoint.At("append.stored")
		c.log.reportStored(nil)
		c.stored(requests, last)
	case errors.Is(err, errNoRoom):
		c.log.reportStored(err)
		c.answerAll(requests, err)
	case errors.Is(err, errRefused), errors.Is(err, ErrNotAllowed):
		c.refused(requests, err)
	default:
		return false
	}
	return true
}

// unanswered records that a try of the requests may still be stored.
func (c *committer) unanswered(requests []*request, attempt int, err error) {
	c.log.reportStored(err)
	if attempt == 1 {
		c.log.config.Logger.Warn("append unanswered", "requests", len(requests), "broker", c.log.conn.ConnectedServerName(), "error", err)
	}
	for _, r := range requests {
		r.uncertain = true
	}
}

func anyUncertain(requests []*request) bool {
	return slices.ContainsFunc(requests, func(r *request) bool { return r.uncertain })
}

// publish sends requests once, or the rest of a batch that is on its way, and returns the sequence of the last message.
func (c *committer) publish(open []*request, sent *sending, deadline time.Time) (uint64, error) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	denied, stop := c.log.denials.watch(open)
	defer stop()
	if isClosed(denied) { // in an earlier try, or while the batch was gathered
		return 0, c.log.denials.err()
	}
	go func() {
		select {
		case <-denied:
			cancel()
		case <-ctx.Done():
		}
	}()
	last, err := c.send(ctx, open, sent)
	if err != nil && isClosed(denied) {
		err = c.log.denials.err()
	}
	return last, err
}

func (c *committer) send(ctx context.Context, open []*request, sent *sending) (uint64, error) {
	if sent == nil && len(open) == 1 && len(open[0].messages) == 1 {
		m := open[0].messages[0]
		clearBatch(m)
		ack, err := c.log.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
		if err != nil {
			return 0, err
		}
		return ack.Sequence, nil
	}
	if sent == nil {
		sent = begin(c.log.js, open...)
	}
	failpoint.At("append.half_sent")
	return sent.commit(ctx)
}

// stored answers requests that were stored as one batch. Their messages have contiguous sequences that end at last.
func (c *committer) stored(requests []*request, last uint64) {
	next := last + 1
	for i := len(requests) - 1; i >= 0; i-- {
		next -= uint64(len(requests[i].messages))
		requests[i].first = next
	}
	err := c.log.high.committed(next, last, anyUncertain(requests))
	for _, r := range requests {
		r.answer <- err
	}
}

// refused answers a request that the broker refused. The broker does not say which of several requests it refused, so each
// of them is then tried alone.
func (c *committer) refused(requests []*request, err error) {
	if len(requests) == 1 {
		c.answer(requests[0], err)
		return
	}
	for _, r := range requests {
		c.storeBatch([]*request{r}, nil)
	}
}

func (c *committer) answerAll(requests []*request, err error) {
	for _, r := range requests {
		c.answer(r, err)
	}
}

// settle reads from the log what happened to each request, answers the settled ones and returns the others. A request whose
// outcome cannot be read stays open.
func (c *committer) settle(open []*request) (unsettled []*request) {
	ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
	defer cancel()
	outcomes := make([]outcome, len(open))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i, r := range open {
		group.Go(func() error {
			o, err := c.lookUp(ctx, r)
			if outcomes[i] = o; err != nil {
				c.log.config.Logger.Debug("append not looked up", "error", err)
			}
			return nil
		})
	}
	_ = group.Wait() // its functions return nil
	c.distrustUnwritten(open, outcomes)
	for i, r := range open {
		switch o := outcomes[i]; o.kind {
		case outcomeStored:
			r.first = o.first
			c.log.reportStored(nil)
			c.answer(r, c.log.high.committed(o.first, o.first+uint64(len(r.messages))-1, true))
		case outcomeConflict:
			c.answer(r, errConflict)
		default:
			unsettled = append(unsettled, r)
		}
	}
	return unsettled
}

// outcome is what the log shows of a request.
type outcome struct {
	kind  outcomeKind
	first uint64 // sequence of the first message, for outcomeStored
}

type outcomeKind int

const (
	outcomeOpen     outcomeKind = iota // nothing is stored yet
	outcomeStored                      // all messages are stored
	outcomeConflict                    // another writer appended to one of the entities first
)

// lookUp returns the outcome of a request. A request is stored whole or not at all, so one subject with a message after
// the expected sequence decides: if the message is the request's own, all of the request is stored; if it is another
// writer's, none of it is or will be. When no subject has such a message the outcome is open, because an earlier try may
// still be on its way through the cluster.
func (c *committer) lookUp(ctx context.Context, r *request) (outcome, error) {
	expecting := false
	for i, m := range r.messages {
		expected, expects := expectation(m)
		if !expects {
			continue
		}
		expecting = true
		stored, err := c.log.nextOn(ctx, m.Subject, expected+1)
		switch {
		case isNotFound(err):
			continue
		case err != nil:
			return outcome{}, fmt.Errorf("read %s: %w", m.Subject, err)
		case isCopy(stored, m):
			return outcome{kind: outcomeStored, first: stored.Sequence - uint64(i)}, nil
		default:
			return outcome{kind: outcomeConflict}, nil
		}
	}
	if expecting || !r.uncertain {
		return outcome{}, nil
	}
	return c.lookUpUnexpecting(ctx, r)
}

// lookUpUnexpecting looks for a request without expectations: it reads the subject from where the log was known to end.
func (c *committer) lookUpUnexpecting(ctx context.Context, r *request) (outcome, error) {
	m := r.messages[0]
	for from := r.floor + 1; ; {
		stored, err := c.log.nextOn(ctx, m.Subject, from)
		switch {
		case isNotFound(err):
			return outcome{}, nil
		case err != nil:
			return outcome{}, fmt.Errorf("read %s: %w", m.Subject, err)
		case isCopy(stored, m):
			return outcome{kind: outcomeStored, first: stored.Sequence}, nil
		}
		from = stored.Sequence + 1
	}
}

func isCopy(stored *jetstream.RawStreamMsg, m *nats.Msg) bool {
	return stored.Header.Get(events.HeaderID) == m.Header.Get(events.HeaderID)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// How long one try waits for an answer, and the delays between tries. A broker that dies loses the requests that it had
// read without an answer, and so does a cluster without a leader. A broker that is only slow refuses the repeated request.
const (
	tryTimeout   = time.Second
	firstDelay   = 20 * time.Millisecond
	longestDelay = 250 * time.Millisecond
)

func newDelays() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: firstDelay, Multiplier: 2, MaxInterval: longestDelay}
}

// When the connection moves to another server of the cluster: first after moveAfter without an answer, then at intervals
// that double from shortestMoveInterval to longestMoveInterval. Each move loses the requests in flight.
const (
	moveAfter            = 2 * time.Second
	shortestMoveInterval = 3 * time.Second
	longestMoveInterval  = 30 * time.Second
)

// failover moves the connection to another server of the cluster, if there is one, when the current server has not answered
// for a while. A server that is cut off from its cluster never regains a majority, but it keeps its clients. The intervals
// between moves grow because a slow cluster serves no client that reconnects every few seconds. A connection that is
// already reconnecting is left alone.
func (l *core) failover() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.config.Now()
	sinceMove := now.Sub(l.movedAt)
	if len(l.conn.Servers()) < 2 || !l.conn.IsConnected() || sinceMove < l.moveInterval {
		return
	}
	l.movedAt, l.moveInterval = now, min(2*l.moveInterval, longestMoveInterval)
	if sinceMove > 2*longestMoveInterval { // the last move helped
		l.moveInterval = shortestMoveInterval
	}
	l.config.Logger.Warn("broker unresponsive, reconnecting to another server", "broker", l.conn.ConnectedServerName())
	if err := l.conn.ForceReconnect(); err != nil {
		l.config.Logger.Warn("not reconnected to another server", "error", err)
	}
}

// Retry repeats a request to the broker after temporary errors, until Config.Patience ends.
func (l *core) Retry(ctx context.Context, request func(context.Context) error) error {
	return l.retryFor(ctx, l.config.Patience, request)
}

func (l *core) retryFor(ctx context.Context, patience time.Duration, request func(context.Context) error) (err error) {
	began := time.Now()
	deadline := began.Add(patience)
	try := func() (struct{}, error) {
		trying, cancel := context.WithDeadline(ctx, earlier(deadline, time.Now().Add(tryTimeout)))
		defer cancel()
		err = request(trying)
		return struct{}{}, permanent(err)
	}
	move := func(error, time.Duration) {
		if time.Since(began) > moveAfter {
			l.failover()
		}
	}
	// err says why the last try failed; the error of Retry may be only that ctx ended.
	_, _ = backoff.Retry(ctx, try, backoff.WithBackOff(newDelays()), backoff.WithMaxElapsedTime(patience), backoff.WithNotify(move))
	return err
}

// permanent marks an error that no further try can remove.
func permanent(err error) error {
	if err == nil || IsTemporary(err) {
		return err
	}
	return backoff.Permanent(err)
}
