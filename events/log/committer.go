package log

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

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
		if expected, expects := expectation(m); expects && c.log.filled.expected(m.Subject, c.log.cache.newest(m.Subject)) > expected {
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
				c.log.reportStored(nil)
				r.first, err = ack.Sequence, c.log.high.committed(ack.Sequence, ack.Sequence, false)
				failpoint.At("append.stored")
			case err = <-futures[i].Err():
			case <-denied:
				err = ErrUnavailable // storeBatch tries each alone and finds the denied ones
			}
		}
		if err = classify(err); errors.Is(err, errNoRoom) {
			c.log.reportStored(err)
		}
		switch {
		case err == nil, errors.Is(err, errConflict), errors.Is(err, errRefused), errors.Is(err, errNoRoom), errors.Is(err, ErrTruncated):
			c.answer(r, err)
		default:
			c.log.reportStored(err)
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

// batch is a group of requests that are stored together.
type batch struct {
	js       jetstream.JetStream
	requests []*request
	messages int
	expected int             // how many requests the last batch held
	subjects map[string]bool // subjects with an expected sequence
	sent     *sending        // nil while its messages are to be published one by one
}

func newBatch(js jetstream.JetStream, expected int) *batch {
	return &batch{js: js, expected: expected, subjects: map[string]bool{}}
}

// fits reports whether a request may join. Two expected sequences of one subject cannot both hold in one batch.
func (b *batch) fits(r *request) bool {
	if b.messages+len(r.messages) > MaxBatch {
		return false
	}
	for _, m := range r.messages {
		if _, expects := expectation(m); expects && b.subjects[m.Subject] {
			return false
		}
	}
	return true
}

// maxSingles is the largest number of single messages that are published one by one rather than as an atomic batch. For
// each atomic batch a broker with one replica creates and deletes a store: 2.1 to 2.9 ms, plus 12 µs per message, against
// 80 to 220 µs for a single message, whose fsync overlaps with others in flight (ext4, nats-server 2.15.2).
const maxSingles = 20

// add adds a request. As soon as an atomic batch is certain or likely, its messages are sent while more requests are
// gathered, so that the broker creates the batch's store meanwhile.
func (b *batch) add(r *request) {
	b.requests = append(b.requests, r)
	b.messages += len(r.messages)
	for _, m := range r.messages {
		if _, expects := expectation(m); expects {
			b.subjects[m.Subject] = true
		}
	}
	switch {
	case b.sent != nil:
		b.sent.add(r)
	case len(r.messages) > 1 || max(len(b.requests), b.expected) > maxSingles:
		b.sent = begin(b.js, b.requests...)
	}
}

// expectation returns the expected sequence of a message: the last one of its subject when it was decided.
func expectation(m *nats.Msg) (seq uint64, expects bool) {
	values := m.Header[jetstream.ExpectedLastSubjSeqHeader]
	if len(values) == 0 {
		return 0, false
	}
	seq, err := strconv.ParseUint(values[0], 10, 64)
	return seq, err == nil
}

// sending is an atomic batch that the broker is staging. The last message is held back and sent as the commit.
type sending struct {
	publisher jetstreamext.BatchPublisher
	held      *nats.Msg
	err       error // of the first message that could not be sent
}

func begin(js jetstream.JetStream, requests ...*request) *sending {
	s := &sending{}
	s.publisher, s.err = jetstreamext.NewBatchPublisher(js, jetstreamext.BatchFlowControl{AckFirst: false})
	for _, r := range requests {
		s.add(r)
	}
	return s
}

func (s *sending) add(r *request) {
	for _, m := range r.messages {
		if s.held != nil && s.err == nil {
			s.err = s.publisher.AddMsg(s.held)
		}
		delete(m.Header, jetstreamext.BatchCommitHeader) // set by an earlier try in another batch
		s.held = m
	}
}

// commit sends the held message and returns the sequence of the last message.
func (s *sending) commit(ctx context.Context) (uint64, error) {
	if s.err != nil {
		return 0, s.err
	}
	ack, err := s.publisher.CommitMsg(ctx, s.held)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// clearBatch removes the headers that an earlier try in a batch has set.
func clearBatch(m *nats.Msg) {
	for _, header := range []string{jetstreamext.BatchIDHeader, jetstreamext.BatchSeqHeader, jetstreamext.BatchCommitHeader} {
		delete(m.Header, header)
	}
}
