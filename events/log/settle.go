package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
	"tillstream/events/failpoint"
)

// How long one try may go unanswered before the next, and the pauses between tries. A broker that dies takes what it had
// read with it and says nothing, and so does a cluster without a leader; one that is merely slow refuses the repetition.
const (
	oneTry     = time.Second
	tryAgain   = 20 * time.Millisecond
	longestGap = 250 * time.Millisecond
)

// storeBatch publishes requests as one atomic batch until each has an answer or patience ends. What of it was sent already
// is nil, or a batch of just these requests.
//
// A batch that was refused for a conflict, or that went unanswered, is not bisected blindly: the log itself shows what
// became of each request (see settle), and those that are still open are sent again. Repeating is safe: what was stored
// after all is refused by its own expectations the second time, and recognised then.
func (c *committer) storeBatch(open []*request, sent *sending) {
	began := time.Now()
	deadline := began.Add(c.log.config.Patience)
	for wait := tryAgain; ; wait = min(2*wait, longestGap) {
		last, err := c.publish(open, sent, earlier(deadline, time.Now().Add(oneTry)))
		sent = nil
		switch err = classify(err); {
		case err == nil:
			failpoint.At("append.stored")
			c.stored(open, last)
			return
		case errors.Is(err, errNoRoom):
			c.answerAll(open, err)
			return
		case errors.Is(err, errRefused), errors.Is(err, ErrNotAllowed):
			c.refused(open, err)
			return
		}
		conflict := errors.Is(err, errConflict)
		if !conflict && wait == tryAgain {
			c.log.config.Logger.Warn("append has no answer", "requests", len(open), "broker", c.log.conn.ConnectedServerName(), "error", err)
		}
		if !conflict {
			for _, r := range open {
				r.uncertain = true
			}
		}
		if !conflict && (time.Now().Add(wait).After(deadline) || c.log.conn.IsClosed()) {
			c.answerAll(open, fmt.Errorf("%w: %w", ErrUnavailable, err))
			return
		}
		before := len(open)
		if open = c.settle(open); len(open) == 0 {
			return
		}
		if conflict && len(open) < before {
			continue // without those that were in conflict
		}
		if conflict && !slices.ContainsFunc(open, func(r *request) bool { return r.uncertain }) {
			c.refused(open, errConflict)
			return
		}
		if time.Now().Add(wait).After(deadline) {
			if conflict { // with an earlier try of its own: what becomes of that is not known
				err = errNoAnswer
			}
			c.answerAll(open, fmt.Errorf("%w: %w", ErrUnavailable, err))
			return
		}
		if time.Since(began) > moveAfter {
			c.log.failover()
		}
		time.Sleep(wait)
	}
}

// publish sends requests once, or what is missing of them, and returns the sequence of the last message.
func (c *committer) publish(open []*request, sent *sending, deadline time.Time) (uint64, error) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	denied, stop := c.log.denials.watch(open)
	defer stop()
	if isClosed(denied) { // by a try before this one, or while the batch was gathered
		return 0, c.log.denials.reason()
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
		err = c.log.denials.reason()
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

// stored answers requests that stand at the end of the log as one batch: without gaps, the last message at last.
func (c *committer) stored(requests []*request, last uint64) {
	next := last + 1
	for i := len(requests) - 1; i >= 0; i-- {
		next -= uint64(len(requests[i].messages))
		requests[i].first = next
	}
	uncertain := slices.ContainsFunc(requests, func(r *request) bool { return r.uncertain })
	err := c.log.high.committed(next, last, uncertain)
	for _, r := range requests {
		r.answer <- err
	}
}

// refused answers a request that the broker refused. Of several each is tried alone: the broker does not say which it was.
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

// settle looks into the log what became of each request, answers those that are settled and returns the others. A request
// that cannot be looked at stays open.
func (c *committer) settle(open []*request) (unsettled []*request) {
	ctx, cancel := context.WithTimeout(context.Background(), oneTry)
	defer cancel()
	outcomes := make([]outcome, len(open))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i, r := range open {
		group.Go(func() error {
			var err error
			if outcomes[i], err = c.lookUp(ctx, r); err != nil {
				c.log.config.Logger.Debug("look up own append", "error", err)
			}
			return nil
		})
	}
	_ = group.Wait() // none of them fails
	for i, r := range open {
		switch o := outcomes[i]; o.kind {
		case outcomeOwn:
			r.first = o.first
			c.answer(r, c.log.high.committed(o.first, o.first+uint64(len(r.messages))-1, true))
		case outcomeForeign:
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
	first uint64 // of outcomeOwn
}

type outcomeKind int

const (
	outcomeOpen    outcomeKind = iota // nothing of it
	outcomeOwn                        // all of it
	outcomeForeign                    // another writer was faster at one of its entities
)

// lookUp finds out what became of a request. It is stored whole or not at all, so one subject on which something follows
// the state that was expected tells: that is either its own message, and then all of it stands in the log, or another
// writer's, and then none of it does or ever will. When nothing follows on any subject it is too early to tell: an earlier
// try may still be on its way through the cluster.
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
		case errors.Is(err, jetstream.ErrMsgNotFound):
			continue
		case err != nil:
			return outcome{}, fmt.Errorf("read %s: %w", m.Subject, err)
		case isCopy(stored, m):
			return outcome{kind: outcomeOwn, first: stored.Sequence - uint64(i)}, nil
		default:
			return outcome{kind: outcomeForeign}, nil
		}
	}
	if expecting || !r.uncertain {
		return outcome{}, nil
	}
	return c.lookUpNoted(ctx, r)
}

// lookUpNoted looks for a request that expects nothing: it reads its subject from where the log was known to end.
func (c *committer) lookUpNoted(ctx context.Context, r *request) (outcome, error) {
	m := r.messages[0]
	for from := r.floor + 1; ; {
		stored, err := c.log.nextOn(ctx, m.Subject, from)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return outcome{}, nil
		case err != nil:
			return outcome{}, fmt.Errorf("read %s: %w", m.Subject, err)
		case isCopy(stored, m):
			return outcome{kind: outcomeOwn, first: stored.Sequence}, nil
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
