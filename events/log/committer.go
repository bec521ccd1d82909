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

// committer is a process's only writer to the log. It gathers the queued requests into one atomic batch, has one batch in
// flight, and answers the requests when the batch is on disk. A batch holds what was queued while the previous one was
// committed, so one fsync serves all concurrent writers. Writers that are answered together usually append again together,
// so after a batch of many requests the committer waits briefly for as many again; a single writer never waits.
// (PostgreSQL calls this commit_delay.)
type committer struct {
	log   *core
	queue chan *request
	left  *request // taken from the queue, but did not fit into the batch

	lastRequests int           // how many requests the last batch held
	lastDuration time.Duration // how long it took to commit

	mu     sync.RWMutex // close excludes enqueue
	closed bool
	done   chan struct{}
}

// request is the messages of one part of a transaction. They are stored together or not at all.
type request struct {
	messages  []*nats.Msg
	first     uint64     // sequence of the first message, once stored
	answer    chan error // buffered
	uncertain bool       // an earlier try had no answer, so a conflict may be with that try
	floor     uint64     // the last sequence that this process knew when it first sent the request
}

// maxGatherDelay bounds how long a batch waits for more requests.
const maxGatherDelay = 2 * time.Millisecond

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

// enqueue queues messages that are stored together. The caller must wait for the answer, even after its context has ended:
// without the outcome it could decide nothing.
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
		c.lastRequests, c.lastDuration = len(b.requests), time.Since(started)
		c.log.metrics.observe(b, c.lastDuration)
	}
}

// gather waits for a request and adds the requests that are queued, or expected soon, as long as they fit and concern other
// entities. It returns nil when the committer is closed and its queue is empty.
func (c *committer) gather() *batch {
	first := c.left
	c.left = nil
	for first == nil || c.refuseStale(first) {
		var ok bool
		if first, ok = <-c.queue; !ok {
			return nil
		}
	}
	b := newBatch(c.log.js, c.lastRequests)
	b.add(first)
	var timeout <-chan time.Time // nil until the batch waits
	for {
		r := c.queued()
		if r == nil && len(b.requests) < b.expected {
			if timeout == nil {
				timeout = time.After(min(c.lastDuration/4, maxGatherDelay))
			}
			select {
			case r = <-c.queue:
			case <-timeout:
			}
		}
		switch {
		case r == nil: // timed out, or closed
			return b
		case c.refuseStale(r):
		case !b.fits(r):
			c.left = r
			return b
		default:
			b.add(r)
		}
	}
}

// queued returns a request from the queue, nil when it is empty. Goroutines that are about to queue one run first.
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

// refuseStale refuses a request, and reports true, when this process has already seen a newer event of one of its entities.
// The broker would refuse the request together with all others in its batch.
func (c *committer) refuseStale(r *request) bool {
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
	last := c.log.high.reached()
	for _, r := range b.requests {
		r.floor = last
	}
	if b.sent != nil {
		c.storeBatch(b.requests, b.sent)
		return
	}
	if open := c.storeSingles(b.requests); len(open) > 0 {
		c.storeBatch(open, nil)
	}
}

// storeSingles publishes requests of one message each without waiting in between, and returns those without an answer. The
// client's own retries are off: they would arrive 250 ms later in any order, and later messages with earlier sequences look
// like a truncated log.
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
				err = ErrUnavailable // storeBatch tries each alone and finds the denied ones
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

// answer answers a request, and counts those that the broker had no room for or did not answer.
func (c *committer) answer(r *request, err error) {
	if errors.Is(err, ErrUnavailable) {
		c.log.metrics.refused.Inc()
	}
	r.answer <- err
}
