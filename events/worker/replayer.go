package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
)

// The life of one batch of a replay, and what a crash before each step leaves behind:
//
//	operators append ops.replay_batch_requested          nothing
//	the lane reads it and holds its position before it   the checkpoint is before the request
//	it handles each event again, beside its own events   the same, and the effects of the events
//	an act lane opens the acts that were not made yet,   the same
//	  and writes them into its checkpoint
//	it appends worker.replayed                           the same; the next holder handles the batch again
//	it releases its position                             the outcome, which the next holder finds
//
// Decisions are idempotent by state and acts that were made are not opened, so a batch that is handled twice has one effect. The
// counts of an outcome are then those of the second time.
//
// A lane replays batches in a goroutine of its own, so that no live event waits for one; see also [pacer]. A decision is made in a transaction of
// its own, and the events that it appends lead to further decisions when lanes read them. The dead letters of a decide lane are
// redriven there too.

// request is what operators requested from a lane: to handle some events again.
type request struct {
	sequence uint64                          // of its event
	run      func(ctx context.Context) error // repeated after an error: a log that is unavailable
}

// replayer carries out the requests to one lane, one after another.
type replayer struct {
	lane  *lane
	open  *openDeadLetters
	pacer *pacer                                                     // of all lanes of the process
	again func(ctx context.Context, b *batchAgain, item *Item) error // handles one event
	end   func(ctx context.Context, b *batchAgain) error             // runs before the outcome is appended

	mu      sync.Mutex
	waiting []request
	arrived chan struct{} // holds one
}

// batchAgain is a batch of a replay with its progress.
type batchAgain struct {
	events.ReplayBatchRequested
	request events.Event
	next    int // index of the first sequence that was not handled again
	counts  events.ReplayCounts
	acts    []*Item // to be opened
}

func newReplayer(l *lane, open *openDeadLetters, pacer *pacer) *replayer {
	return &replayer{lane: l, open: open, pacer: pacer, arrived: make(chan struct{}, 1), end: func(context.Context, *batchAgain) error { return nil }}
}

var replayRequested = events.ReplayBatchRequested{}.EventType()

// batch returns the batch that a message requests from this lane; nil when the message is not such a request. A request counts
// only under the subjects that operators may append to.
func (l *lane) batch(item *Item) *batchAgain {
	if item.Type() != replayRequested || !strings.HasPrefix(item.Subject, events.PrefixReplay) {
		return nil
	}
	e, err := item.Event()
	request, ok := e.Payload.(events.ReplayBatchRequested)
	if err != nil || !ok || request.Lane != l.name {
		return nil
	}
	return &batchAgain{ReplayBatchRequested: request, request: e}
}

// requestOf returns the request to handle a batch.
func (p *replayer) requestOf(b *batchAgain) *request {
	return &request{b.request.Sequence, func(ctx context.Context) error { return p.replay(ctx, b) }}
}

// add takes a request. The lane's position stays before it until the outcome is stored.
func (p *replayer) add(r request) {
	p.lane.hold(r.sequence)
	p.mu.Lock()
	p.waiting = append(p.waiting, r)
	p.mu.Unlock()
	select {
	case p.arrived <- struct{}{}:
	default:
	}
}

// next waits for a request. It reports false when ctx ended.
func (p *replayer) next(ctx context.Context) (request, bool) {
	for ctx.Err() == nil {
		p.mu.Lock()
		if len(p.waiting) > 0 {
			r := p.waiting[0]
			p.waiting = p.waiting[1:]
			p.mu.Unlock()
			return r, true
		}
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-p.arrived:
		}
	}
	return request{}, false
}

// run carries out requests until ctx ends. One that meets an unavailable log is continued later.
func (p *replayer) run(ctx context.Context) {
	for r, ok := p.next(ctx); ok; r, ok = p.next(ctx) {
		done := retry(ctx, doubling(blockInitial, blockMaximum), func() error { return r.run(ctx) }, func(err error) {
			p.lane.log.Logger().Warn("replay waits", "lane", p.lane.name, "request", r.sequence, "error", err)
		})
		if done {
			p.lane.release(r.sequence)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = nil // the next holder reads them again
}

// replay handles the rest of a batch and appends its outcome, unless an earlier holder of the lane has.
func (p *replayer) replay(ctx context.Context, b *batchAgain) error {
	if b.next == 0 {
		if answered, err := p.lane.isAnswered(ctx, b); err != nil || answered {
			return err
		}
	}
	for ; b.next < len(b.Sequences); b.next++ {
		if err := p.pacer.do(ctx, func() error { return p.handle(ctx, b, b.Sequences[b.next]) }); err != nil {
			return err
		}
	}
	if err := p.end(ctx, b); err != nil {
		return err
	}
	failpoint.AtPlace(p.lane.name, "replay.handled")
	err := p.lane.answer(ctx, b)
	failpoint.AtPlace(p.lane.name, "replay.answered")
	return err
}

// handle handles one event again. An event that fails opens its dead letter; one that succeeds settles it.
func (p *replayer) handle(ctx context.Context, b *batchAgain, sequence uint64) error {
	item, err := p.lane.reader.get(ctx, sequence)
	if err != nil && !errors.Is(err, eventlog.ErrNotFound) {
		return err
	}
	before := b.effects()
	switch {
	case err != nil:
		b.fail(sequence, err)
	case item.Voided():
	default:
		if err := p.handleItem(ctx, b, item); err != nil {
			return err
		}
	}
	if b.counts.Handled++; b.effects() == before {
		b.counts.Nothing++
	}
	return nil
}

// effects counts what the batch has led to so far.
func (b *batchAgain) effects() int {
	return b.counts.Appended() + b.counts.Done + len(b.acts) + b.counts.Failed
}

func (p *replayer) handleItem(ctx context.Context, b *batchAgain, item *Item) error {
	opened := len(b.acts)
	cause := p.again(ctx, b, item)
	switch {
	case cause != nil && IsInfrastructure(cause):
		return cause
	case cause != nil:
		if err := p.lane.recordReplay(ctx, b.request.Sequence, item, cause); err != nil {
			return err
		}
		b.fail(item.Sequence, cause)
	case len(b.acts) == opened && p.open.mayHave(p.lane.name, item.Sequence):
		return p.lane.recordReplay(ctx, b.request.Sequence, item, nil)
	}
	return nil
}

func (b *batchAgain) fail(sequence uint64, cause error) {
	b.counts.AddFailure(events.ReplayFailure{Lane: b.Lane, Sequence: sequence, Error: validUTF8(truncate(cause.Error(), maxReplayError))})
}

// maxReplayError bounds the text of an error in an outcome. The dead letter has more of it.
const maxReplayError = 300

// isAnswered reports whether the outcome of a batch is stored.
func (l *lane) isAnswered(ctx context.Context, b *batchAgain) (bool, error) {
	subject := DeadLetterSubject(l.name, b.request.Sequence)
	_, err := l.readDeadLetter(ctx, subject, func(ctx context.Context, stream jetstream.Stream) (*jetstream.RawStreamMsg, error) {
		return stream.GetLastMsgForSubject(ctx, subject)
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil, err
}

// answer appends the outcome of a batch. A conflict is no error: another process was faster.
func (l *lane) answer(ctx context.Context, b *batchAgain) error {
	replay, _ := events.ParseSubject(events.PrefixReplay, b.request.Subject)
	slices.SortFunc(b.counts.Facts, func(x, y events.TypeCount) int { return strings.Compare(x.Type, y.Type) })
	e := events.Event{ID: fmt.Sprintf("%s-%d", l.name, b.request.Sequence), CorrelationID: b.request.CorrelationID, CausationID: b.request.ID,
		Payload: events.Replayed{Worker: l.name, Replay: replay, Request: b.request.Sequence, ReplayCounts: b.counts}}
	_, err := publishDeadLetter(ctx, l, b.request.Sequence, e, 0)
	return err
}

// recordReplay opens the dead letter of an event that could not be handled again, or settles the open one of an event that was.
// It changes nothing when the replay has done so before.
func (l *lane) recordReplay(ctx context.Context, request uint64, item *Item, cause error) error {
	subject := DeadLetterSubject(l.name, item.Sequence)
	newest, err := l.readDeadLetter(ctx, subject, func(ctx context.Context, stream jetstream.Stream) (*jetstream.RawStreamMsg, error) {
		return stream.GetLastMsgForSubject(ctx, subject)
	})
	none := errors.Is(err, jetstream.ErrMsgNotFound)
	if err != nil && !none {
		return err
	}
	before, last, attempt := events.Event{}, uint64(0), 1
	if !none {
		before, _ = events.Decode(newest.Subject, newest.Header, newest.Data) // zero when no lane wrote it
		last, attempt = newest.Sequence, 2
	}
	open := false
	switch p := before.Payload.(type) {
	case events.DeadLettered:
		open, attempt = true, p.Attempt+1
		if p.Redelivery >= request || p.Messages() > 1 {
			return nil
		}
	case events.DeadLetterRedriven:
		attempt = p.Attempt + 1
		if p.Redelivery >= request {
			return nil
		}
	}
	if cause == nil && !open {
		return nil
	}
	return appendToDeadLetter(ctx, l, item.Sequence, l.replayOutcome(request, item, attempt, cause), last)
}

// replayOutcome is the event that a replay appends to the dead letter of an event.
func (l *lane) replayOutcome(request uint64, item *Item, attempt int, cause error) events.Event {
	dead, e := newDeadLetter(l, item, attempt)
	e.ID = fmt.Sprintf("%s-%d-%d", l.name, item.Sequence, request)
	if cause == nil {
		e.Payload = events.DeadLetterRedriven{Worker: l.name, Sequence: item.Sequence, Attempt: attempt, Redelivery: request}
		return e
	}
	dead.Redelivery = request
	setCause(&dead, cause)
	e.Payload = dead
	return e
}
