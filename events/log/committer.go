package log

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/crash"
)

// committer is the one writer that this process has for a stream. It gathers what waits into one atomic batch, has one
// in flight, and answers everybody when it is on disk: a batch is what queued up while the last one was being committed,
// so one fsync serves as many writers as there are. Those who were answered together mostly ask again together, so after
// a batch of many the next one waits for as many, a little; a lone writer waits for nobody. (PostgreSQL knows this as
// commit_delay.)
type committer struct {
	log    *Log
	stream string
	queue  chan *request
	left   *request // taken from the queue, did not fit into the batch

	// of the last batch
	answered int // requests
	took     time.Duration

	mu     sync.RWMutex // closing excludes sending
	closed bool
	done   chan struct{}
}

// request is one transaction's messages on their way.
type request struct {
	messages []*nats.Msg
	first    uint64     // sequence of the first message, once stored
	answer   chan error // buffered
	// uncertain: an earlier try ended without an answer, so a conflict may be with ourselves
	uncertain bool
}

// maxPatience bounds how long a batch waits for more requests.
const maxPatience = 2 * time.Millisecond

func startCommitter(l *Log, stream string) *committer {
	c := &committer{log: l, stream: stream, queue: make(chan *request, 4096), done: make(chan struct{})}
	go c.run()
	return c
}

func (c *committer) close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.queue)
	}
	c.mu.Unlock()
	<-c.done
}

// enqueue queues messages to be stored together. Once they are queued their outcome is to be waited for, because "gave
// up" would be a third answer that nobody can act on.
func (c *committer) enqueue(ctx context.Context, messages []*nats.Msg) (*request, error) {
	r := &request{messages: messages, answer: make(chan error, 1)}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return nil, fmt.Errorf("%w: shutting down", ErrUnavailable)
	}
	select {
	case c.queue <- r:
		return r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *committer) run() {
	defer close(c.done)
	for {
		g := c.gather()
		if g == nil {
			return
		}
		crash.In(c.stream, "append.gathered")
		started := time.Now()
		c.store(g)
		c.answered, c.took = len(g.requests), time.Since(started)
		c.log.metrics.observe(c.stream, g, c.took)
	}
}

// gather waits for a request and takes along what else is there or about to come, as long as it fits and touches other
// subjects.
func (c *committer) gather() *group {
	first := c.left
	c.left = nil
	if first == nil {
		var ok bool
		if first, ok = <-c.queue; !ok {
			return nil
		}
	}
	g := newGroup(c.log.js, c.answered)
	g.add(first)
	var patience <-chan time.Time // nil until somebody is waited for
	for {
		r := c.queued()
		if r == nil && len(g.requests) < g.expected {
			if patience == nil {
				patience = time.After(min(c.took/4, maxPatience))
			}
			select {
			case r = <-c.queue:
			case <-patience:
			}
		}
		if r == nil { // nobody else, or closed
			return g
		}
		if !g.fits(r) {
			c.left = r
			return g
		}
		g.add(r)
	}
}

// queued returns a request that is there, nil when none is. Others that are ready to run may run before that is said.
func (c *committer) queued() *request {
	for yielded := false; ; yielded = true {
		select {
		case r := <-c.queue:
			return r
		default:
			if yielded {
				return nil
			}
			runtime.Gosched()
		}
	}
}

// store commits a group and answers its requests.
func (c *committer) store(g *group) {
	if g.sent == nil {
		c.storeSingles(g.requests)
	} else {
		c.storeBatch(g.requests, g.sent)
	}
}

// storeSingles publishes lone messages one after the other without waiting in between. What has no answer goes the
// patient way, all of it together, so that nobody waits for the patience of others. The client does not repeat any by
// itself: each would come a quarter of a second later in an order of its own, and later ones that have earlier sequences
// are what a log that went back in time looks like.
func (c *committer) storeSingles(group []*request) {
	futures := make([]jetstream.PubAckFuture, len(group))
	for i, r := range group {
		clearBatch(r.messages[0])
		future, err := c.log.js.PublishMsgAsync(r.messages[0], jetstream.WithRetryAttempts(0))
		if err == nil {
			futures[i] = future
		}
	}
	var open []*request
	for i, r := range group {
		err := errNotSent
		if futures[i] != nil {
			select {
			case ack := <-futures[i].Ok():
				r.first, err = ack.Sequence, c.log.highest.committed(c.stream, ack.Sequence, ack.Sequence, false)
				crash.In(c.stream, "append.stored")
			case err = <-futures[i].Err():
			}
		}
		switch err = classify(err); {
		case err == nil, errors.Is(err, errConflict), errors.Is(err, errRefused), errors.Is(err, ErrWentBack):
			c.answer(r, err)
		default:
			r.uncertain = true
			open = append(open, r)
		}
	}
	if len(open) > 0 {
		c.storeBatch(open, nil)
	}
}

// storeBatch commits requests as one atomic batch and answers them. A refusal is halved until the culprit stands alone,
// so only a true conflict pays for itself. What of it has been sent already is nil, or a batch of just these requests.
func (c *committer) storeBatch(batch []*request, sent *sending) {
	last, err := c.publishPatiently(batch, sent)
	switch {
	case err == nil:
		crash.In(c.stream, "append.stored")
		c.settle(batch, last)
	case len(batch) > 1 && (errors.Is(err, errConflict) || errors.Is(err, errRefused)):
		c.storeBatch(batch[:len(batch)/2], nil)
		c.storeBatch(batch[len(batch)/2:], nil)
	default:
		for _, r := range batch {
			c.answer(r, err)
		}
	}
}

// answer tells a request what became of it. One that the broker had no room or no answer for is counted.
func (c *committer) answer(r *request, err error) {
	if errors.Is(err, ErrUnavailable) {
		c.log.metrics.refused.WithLabelValues(c.stream).Inc()
	}
	r.answer <- err
}

// settle tells everybody where their messages stand: a batch is stored without gaps and ends at last.
func (c *committer) settle(batch []*request, last uint64) {
	next := last + 1
	for i := len(batch) - 1; i >= 0; i-- {
		next -= uint64(len(batch[i].messages))
		batch[i].first = next
	}
	uncertain := slices.ContainsFunc(batch, func(r *request) bool { return r.uncertain })
	err := c.log.highest.committed(c.stream, next, last, uncertain)
	for _, r := range batch {
		r.answer <- err
	}
}

// publishPatiently publishes until there is an answer or patience ends. Repeating is safe: a batch that was stored after
// all is refused by its own expectations, and recognise tells that from a stranger's conflict.
func (c *committer) publishPatiently(batch []*request, sent *sending) (uint64, error) {
	began := time.Now()
	deadline := began.Add(c.log.config.Patience)
	for wait := tryAgain; ; wait = min(2*wait, longestGap) {
		last, err := c.publish(batch, sent, earlier(deadline, time.Now().Add(oneTry)))
		sent = nil
		err = classify(err)
		if errors.Is(err, errConflict) && len(batch) == 1 && batch[0].uncertain {
			last, err = c.recognise(batch[0])
		}
		if err == nil || errors.Is(err, errConflict) || errors.Is(err, errRefused) {
			return last, err
		}
		if wait == tryAgain {
			c.log.config.Logger.Warn("append has no answer", "stream", c.stream, "requests", len(batch),
				"broker", c.log.conn.ConnectedServerName(), "error", err)
		}
		for _, r := range batch {
			r.uncertain = true
		}
		if time.Now().Add(wait).After(deadline) || c.log.conn.IsClosed() {
			return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if time.Since(began) > moveAfter {
			c.log.LookElsewhere()
		}
		time.Sleep(wait)
	}
}

// publish sends the batch once, or what is missing of it, and returns the sequence of its last message.
func (c *committer) publish(batch []*request, sent *sending, deadline time.Time) (uint64, error) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	if sent == nil {
		if len(batch) == 1 && len(batch[0].messages) == 1 {
			return c.publishSingle(ctx, batch[0].messages[0])
		}
		sent = begin(c.log.js, batch...)
	}
	crash.In(c.stream, "append.half_sent")
	return sent.commit(ctx)
}

func (c *committer) publishSingle(ctx context.Context, m *nats.Msg) (uint64, error) {
	clearBatch(m)
	ack, err := c.log.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}
