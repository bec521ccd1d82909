package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// Bounds of a drive: requested batches that lanes have not answered, and events that are read ahead. A small window keeps the
// rate, because the lanes never have a backlog of batches.
const (
	maxUnanswered = 8
	readAhead     = 4000
)

// errMoved ends a drive whose replay another process has moved on.
var errMoved = errors.New("another process drives the replay")

// drive is one process driving one replay.
type drive struct {
	*Replays
	id       string
	author   events.Author
	progress func(Replay)
	limiter  *rate.Limiter
	size     int // events in a batch

	mu       sync.Mutex
	state    Replay
	early    map[handling]events.Replayed // answers to batches that are not in state yet
	answered chan struct{}                // holds one: an answer has arrived
}

// Drive requests the batches of a replay until it is finished: the next one when the lanes have answered enough of those before,
// and no faster than the rate of the replay. progress is called after each change; it may be nil.
//
// Drive continues where the history of the replay ends, so it may be interrupted at any time and continued in any process. Two
// drives of one replay do not disturb each other: of two batches for the same events the log accepts one. It returns
// [ErrNeedsApproval], [ErrStopped], or [ErrNotFound]. A lane that is paused or runs nowhere lets Drive wait.
func (s *Replays) Drive(ctx context.Context, id string, author events.Author, progress func(Replay)) (Replay, error) {
	if progress == nil {
		progress = func(Replay) {}
	}
	for {
		state, err := s.Get(ctx, id)
		if err != nil || state.State == worker.ReplayFinished {
			return state, err
		}
		if err := state.drivable(); err != nil {
			return state, err
		}
		size := min(events.MaxRedelivery, max(state.Requested.Rate, 1))
		d := &drive{Replays: s, id: id, author: author, progress: progress, state: state, size: size, early: map[handling]events.Replayed{}, answered: make(chan struct{}, 1),
			limiter: rate.NewLimiter(rate.Limit(max(state.Requested.Rate, 1)), size)}
		err = d.run(ctx)
		switch {
		case ctx.Err() != nil:
			return d.snapshot(), ctx.Err()
		case err != nil && !errors.Is(err, errMoved):
			return d.snapshot(), fmt.Errorf("replay %s: %w", id, err)
		}
	}
}

// drivable returns why a replay cannot be driven.
func (r Replay) drivable() error {
	switch r.State {
	case worker.ReplayWaiting:
		return fmt.Errorf("%w: ops replays approve %s", ErrNeedsApproval, r.ID)
	case worker.ReplayStopped:
		return fmt.Errorf("%w by %s: %s; ops redeliver --resume %s continues it", ErrStopped, r.StoppedBy, r.StopReason, r.ID)
	}
	return nil
}

// run requests the rest of the batches and finishes the replay.
func (d *drive) run(ctx context.Context) error {
	last, err := d.reader.LastDeadLetter(ctx)
	if err != nil {
		return err
	}
	if d.state, err = d.Get(ctx, d.id); err != nil { // after last, so that no answer is missed
		return err
	}
	following, stop := context.WithCancelCause(ctx)
	var follower sync.WaitGroup
	follower.Go(func() { stop(d.reader.FollowDeadLetters(following, Range{From: last + 1}, d.receive)) })
	defer follower.Wait()
	defer stop(nil)
	d.progress(d.snapshot())
	err = d.request(following)
	if cause := context.Cause(following); cause != nil && ctx.Err() == nil {
		return cause
	}
	return err
}

// receive adds an outcome.
func (d *drive) receive(m Message) error {
	p, ok := replayed(m)
	if !ok || p.Replay != d.id {
		return nil
	}
	d.mu.Lock()
	if !d.state.answer(p) {
		d.early[handling{p.Worker, p.Request}] = p
	}
	d.mu.Unlock()
	select {
	case d.answered <- struct{}{}:
	default:
	}
	return nil
}

// snapshot returns the replay as it is now.
func (d *drive) snapshot() Replay {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.state
	r.requests = nil
	r.Waiting = slices.SortedFunc(maps.Values(d.state.requests), func(a, b WaitingBatch) int { return int(a.Request) - int(b.Request) })
	r.Counts = events.ReplayCounts{}
	r.Counts.Add(d.state.Counts) // a copy of its slices
	return r
}

// selected is an event that is to be requested.
type selected struct {
	sequence uint64
	lanes    []string
}

// request requests the batches.
func (d *drive) request(ctx context.Context) error {
	left, err := d.reader.quarantine(ctx, d.state.Requested.Force, d.state.sequence)
	if err != nil {
		return err
	}
	for {
		page, err := d.page(ctx, left)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return d.finish(ctx)
		}
		for chunk := range slices.Chunk(page, d.size) {
			if err := d.requestChunk(ctx, chunk); err != nil {
				return err
			}
		}
	}
}

// page reads the next events of the selection, without those in quarantine.
func (d *drive) page(ctx context.Context, left quarantine) (page []selected, err error) {
	selection := d.state.Requested.Selection
	if d.state.Position >= selection.To {
		return nil, nil
	}
	err = d.eachSelected(ctx, selection, d.state.Position+1, func(m Message, lanes []string) error {
		lanes = slices.DeleteFunc(lanes, func(lane string) bool { return left[handling{lane, m.Sequence}] >= maxReplays })
		if len(lanes) > 0 {
			page = append(page, selected{m.Sequence, lanes})
		}
		if len(page) == readAhead {
			return errEnd
		}
		return nil
	})
	if errors.Is(err, errEnd) {
		err = nil
	}
	return page, err
}

// requestChunk requests one batch from each lane that handles one of the events, when the window and the rate allow it.
func (d *drive) requestChunk(ctx context.Context, chunk []selected) error {
	if err := d.awaitAnswers(ctx, maxUnanswered-1); err != nil {
		return err
	}
	if err := d.limiter.WaitN(ctx, len(chunk)); err != nil {
		return err
	}
	byLane, position := map[string][]uint64{}, chunk[len(chunk)-1].sequence
	for _, event := range chunk {
		for _, lane := range event.lanes {
			byLane[lane] = append(byLane[lane], event.sequence)
		}
	}
	var requests []events.ReplayBatchRequested
	for _, lane := range slices.Sorted(maps.Keys(byLane)) {
		requests = append(requests, events.ReplayBatchRequested{Lane: lane, Sequences: byLane[lane], Position: position})
	}
	var committed *eventlog.Tx
	err := d.step(ctx, func(tx *eventlog.Tx) error {
		committed = tx
		for _, request := range requests {
			if err := worker.Replays.Append(tx, d.id, request); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.requested(requests, position, committed)
	d.progress(d.snapshot())
	return nil
}

// requested adds batches that are in the log, and the answers that were faster.
func (d *drive) requested(requests []events.ReplayBatchRequested, position uint64, committed *eventlog.Tx) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Position = position
	for i, request := range requests {
		key := handling{request.Lane, committed.Sequence(i)}
		d.state.requests[key] = WaitingBatch{request.Lane, key.sequence, len(request.Sequences), committed.Now()}
		if p, early := d.early[key]; early {
			d.state.answer(p)
			delete(d.early, key)
		}
	}
}

// step appends to the replay, unless another process has moved it on or operators have stopped it.
func (d *drive) step(ctx context.Context, fn func(tx *eventlog.Tx) error) error {
	return d.reader.log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithAuthor(d.author)
		r, err := worker.Replays.Load(tx, d.id)
		switch {
		case err != nil:
			return err
		case r.State != worker.ReplayRunning, r.Position != d.state.Position:
			return errMoved
		}
		return fn(tx)
	})
}

// checkEvery is how often a drive that waits for answers looks whether the replay was stopped.
const checkEvery = time.Second

// awaitAnswers waits until at most n batches are unanswered.
func (d *drive) awaitAnswers(ctx context.Context, n int) error {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		d.mu.Lock()
		unanswered := len(d.state.requests)
		d.mu.Unlock()
		if unanswered <= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			if err := d.step(ctx, func(*eventlog.Tx) error { return nil }); err != nil {
				return err
			}
		case <-d.answered:
			d.progress(d.snapshot())
		}
	}
}

// finish waits for the last answers and appends the end of the replay.
func (d *drive) finish(ctx context.Context) error {
	if err := d.awaitAnswers(ctx, 0); err != nil {
		return err
	}
	return d.step(ctx, func(tx *eventlog.Tx) error {
		return worker.Replays.Append(tx, d.id, events.ReplayFinished{ReplayCounts: d.snapshot().Counts})
	})
}
