package log

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/failpoint"
)

// committer is the only writer that a process has for the log. It gathers what waits into one atomic batch, has one batch
// in flight, and answers its requests when the batch is on disk: a batch is what queued up while the last one was being
// committed, so one fsync serves as many writers as there are. Writers that are answered together mostly ask again
// together, so after a batch of many requests the next one waits briefly for as many; a lone writer never waits.
// (PostgreSQL calls this commit_delay.)
type committer struct {
	log   *core
	queue chan *request
	left  *request // taken from the queue, did not fit into the batch

	// of the last batch
	answered int // requests
	took     time.Duration

	mu     sync.RWMutex // closing excludes sending
	closed bool
	done   chan struct{}
}

// request is the messages of one transaction on their way. They are stored together or not at all.
type request struct {
	messages []*nats.Msg
	first    uint64     // sequence of the first message, once stored
	answer   chan error // buffered
	// uncertain: an earlier try ended without an answer, so a conflict may be with ourselves
	uncertain bool
	floor     uint64 // how far the log was known to go when this was first sent
}

// maxPatience bounds how long a batch waits for more requests.
const maxPatience = 2 * time.Millisecond

func startCommitter(l *core) *committer {
	c := &committer{log: l, queue: make(chan *request, 4096), done: make(chan struct{})}
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

// enqueue queues messages to be stored together. Their outcome must then be waited for: "gave up" would be a third outcome
// on which nothing can be decided.
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
		b := c.gather()
		if b == nil {
			return
		}
		failpoint.At("append.gathered")
		started := time.Now()
		c.store(b)
		c.answered, c.took = len(b.requests), time.Since(started)
		c.log.metrics.observe(b, c.took)
	}
}

// gather waits for a request and takes along what else is there or about to come, as long as it fits and concerns other
// entities. It returns nil when the committer is closed and nothing is left.
func (c *committer) gather() *batch {
	first := c.left
	c.left = nil
	for first == nil || c.overtaken(first) {
		var ok bool
		if first, ok = <-c.queue; !ok {
			return nil
		}
	}
	b := newBatch(c.log.js, c.answered)
	b.add(first)
	var patience <-chan time.Time // nil until a request is waited for
	for {
		r := c.queued()
		if r == nil && len(b.requests) < b.expected {
			if patience == nil {
				patience = time.After(min(c.took/4, maxPatience))
			}
			select {
			case r = <-c.queue:
			case <-patience:
			}
		}
		switch {
		case r == nil: // none is coming, or closed
			return b
		case c.overtaken(r):
		case !b.fits(r):
			c.left = r
			return b
		default:
			b.add(r)
		}
	}
}

// queued returns a request that is there, nil when none is. Goroutines that are ready to queue one may run first.
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

// overtaken refuses a request that is known to conflict: this process has seen a newer event of one of its entities. Sent
// to the broker it would take the whole batch down with it.
func (c *committer) overtaken(r *request) bool {
	for _, m := range r.messages {
		if expected, expects := expectation(m); expects && c.log.cache.newest(m.Subject) > expected {
			c.answer(r, errConflict)
			return true
		}
	}
	return false
}

// store commits a batch and answers its requests.
func (c *committer) store(b *batch) {
	known := c.log.high.reached()
	for _, r := range b.requests {
		r.floor = known
	}
	if b.sent != nil {
		c.storeBatch(b.requests, b.sent)
		return
	}
	if open := c.storeSingles(b.requests); len(open) > 0 {
		c.storeBatch(open, nil)
	}
}

// storeSingles publishes lone messages one after the other without waiting in between, and returns those that have no
// answer. The client repeats none by itself: each would come a quarter of a second later in an order of its own, and later
// messages with earlier sequences are what a log that went back in time looks like.
func (c *committer) storeSingles(group []*request) (open []*request) {
	denied, stop := c.log.denials.watch(group)
	defer stop()
	futures := make([]jetstream.PubAckFuture, len(group))
	for i, r := range group {
		clearBatch(r.messages[0])
		future, err := c.log.js.PublishMsgAsync(r.messages[0], jetstream.WithRetryAttempts(0))
		if err == nil {
			futures[i] = future
		}
	}
	for i, r := range group {
		err := errNotSent
		if futures[i] != nil {
			select {
			case ack := <-futures[i].Ok():
				r.first, err = ack.Sequence, c.log.high.committed(ack.Sequence, ack.Sequence, false)
				failpoint.At("append.stored")
			case err = <-futures[i].Err():
			case <-denied:
				err = ErrUnavailable // which of them was denied is found out below
			}
		}
		switch err = classify(err); {
		case err == nil, errors.Is(err, errConflict), errors.Is(err, errRefused), errors.Is(err, errNoRoom), errors.Is(err, ErrTruncated):
			c.answer(r, err)
		default:
			r.uncertain = true
			open = append(open, r)
		}
	}
	return open
}

// answer tells a request what became of it. One that the broker had no room or no answer for is counted.
func (c *committer) answer(r *request, err error) {
	if errors.Is(err, ErrUnavailable) {
		c.log.metrics.refused.Inc()
	}
	r.answer <- err
}
