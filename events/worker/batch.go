package worker

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
)

// Batch is a lane that passes messages to a projection or to the archive in batches. It runs in one process at a time.
type Batch struct {
	Name string
	Kind Kind // KindProject or KindArchive
	// Filter selects the messages that are passed to Handle; nil: all of them.
	Filter func(*Item) bool
	// Handle writes consecutive messages. It is repeated until it returns nil, and no later message is handled before that. After
	// [ErrReposition] the lane calls Prepare again instead.
	Handle func(ctx context.Context, items []*Item) error
	// Max is the largest number of messages in a batch; default 4,000.
	Max int
	// Prepare runs before the first batch of a new holder, and is repeated until it succeeds. It gets the position of the
	// checkpoint and returns the position from which the lane continues. Default: the checkpoint's.
	Prepare func(ctx context.Context, checkpoint uint64) (uint64, error)
	// Window is the longest time that messages are gathered for a batch; default 2 s.
	Window time.Duration
	// Quiet ends the gathering early when no message has arrived for this time; default: Window.
	Quiet time.Duration
}

// gatherEvery is the interval at which a lane that gathers a batch takes new messages from the ring. It is short enough that the
// ring does not drop them first.
const gatherEvery = 50 * time.Millisecond

// How long a lane waits before it repeats Handle or Prepare.
const (
	batchRetryInitial = 100 * time.Millisecond
	batchRetryMaximum = 5 * time.Second
)

// ErrReposition is returned by a Handle whose destination does not end where the batch begins, because it was replaced or
// dropped. Prepare then returns the position from which the lane continues.
var ErrReposition = errors.New("the lane must continue from another position")

// batchLane runs one [Batch].
type batchLane struct {
	*lane
	Batch

	cursor cursor
	taken  uint64
	fatal  error // why the process must stop
}

func newBatchLane(l *lane, b Batch) *batchLane {
	if b.Filter == nil {
		b.Filter = func(*Item) bool { return true }
	}
	if b.Max == 0 {
		b.Max = 4000
	}
	if b.Prepare == nil {
		b.Prepare = func(_ context.Context, checkpoint uint64) (uint64, error) { return checkpoint, nil }
	}
	if b.Window == 0 {
		b.Window = 2 * time.Second
	}
	if b.Quiet == 0 {
		b.Quiet = b.Window
	}
	return &batchLane{lane: l, Batch: b}
}

// run passes batches to Handle until ctx ends. The messages gathered by then are still written, on the context work.
func (b *batchLane) run(ctx, work context.Context) error {
	arrivals := b.reader.ring.subscribe(b.Filter)
	defer b.reader.ring.unsubscribe(arrivals)
	defer b.end()
	if !b.untilDone(ctx, work, func() error { return b.prepare(ctx) }) {
		return b.fatal
	}
	for ctx.Err() == nil {
		items := b.gather(ctx, arrivals)
		if len(items) > 0 {
			failpoint.AtPlace(b.name, "batch.fetched")
			if !b.handle(ctx, work, items) {
				break // the position does not advance: the next holder writes the batch
			}
			failpoint.AtPlace(b.name, "batch.written")
		}
		b.advance(b.taken)
		if b.newer() != nil {
			break
		}
		if err := b.saveIfDue(work, noState); errors.Is(err, eventlog.ErrCheckpointConflict) {
			return nil
		}
	}
	b.saveLast(ctx, nil)
	return b.newer()
}

// prepare finds the position from which the lane continues.
func (b *batchLane) prepare(ctx context.Context) error {
	checkpoint, err := b.begin(ctx)
	if err != nil {
		return err
	}
	position, err := b.Prepare(ctx, checkpoint.Position)
	if err != nil {
		return err
	}
	b.moveTo(position)
	if position < checkpoint.Position { // before the first write: if the process dies then, the next holder continues from here
		if err := b.save(ctx, nil); err != nil {
			return err
		}
	}
	b.taken, b.cursor = position, cursor{reader: b.reader, next: position + 1, raw: b.Kind == KindArchive}
	return nil
}

// handle writes a batch, or finds another position to continue from.
func (b *batchLane) handle(ctx, work context.Context, items []*Item) bool {
	reposition := false
	return b.untilDone(ctx, work, func() error {
		if reposition {
			return b.prepare(ctx)
		}
		err := b.Handle(work, items)
		reposition = errors.Is(err, ErrReposition)
		return err
	})
}

// gather waits for a message and returns it with the consecutive ones that arrive within Window, or until none arrives for
// Quiet.
func (b *batchLane) gather(ctx context.Context, arrivals *subscription) (items []*Item) {
	var until, quiet time.Time // zero: nothing is gathered yet
	for last, bytes := false, 0; ; {
		if b.isPaused() && len(items) == 0 {
			b.wait(ctx, nil)
			return nil
		}
		taken, err := b.cursor.take(ctx, b.Max-len(items))
		b.report(err)
		if err != nil {
			if b.newer() == nil {
				Sleep(ctx, time.Second)
			}
			return items
		}
		before := len(items)
		for _, item := range taken {
			b.taken = item.Sequence
			if b.Filter(item) {
				items, bytes = append(items, item), bytes+size(item)
			}
		}
		if len(items) >= b.Max || bytes >= ringBytes || last || ctx.Err() != nil {
			return items
		}
		if len(items) > before {
			now := time.Now()
			if quiet = now.Add(b.Quiet); until.IsZero() {
				until = now.Add(b.Window)
			}
		}
		if len(taken) > 0 && b.taken+1 < b.reader.ring.begin() {
			continue // behind the ring: the log has more
		}
		if until.IsZero() {
			if !b.wait(ctx, arrivals.C) {
				return items
			}
			continue
		}
		left := min(time.Until(until), time.Until(quiet))
		last = left <= gatherEvery // after the messages that arrive until then
		if !Sleep(ctx, min(left, gatherEvery)) {
			return items // the next holder takes what arrives from now on
		}
	}
}

// wait returns true when a message may have arrived, false when a checkpoint may be due, the lane was paused or resumed, or
// ctx ended.
func (b *batchLane) wait(ctx context.Context, arrivals <-chan struct{}) bool {
	timer := time.NewTimer(checkpointEvery)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-b.wake:
	case <-arrivals:
		return true
	}
	return false
}

// untilDone repeats a step until it succeeds. It reports false when the process stops or the lease is lost first, and after
// [eventlog.ErrTruncated], which stops the process.
func (b *batchLane) untilDone(ctx, work context.Context, step func() error) bool {
	return retry(ctx, doubling(batchRetryInitial, batchRetryMaximum), func() error {
		err := safely(step)
		b.report(err)
		if errors.Is(err, eventlog.ErrTruncated) {
			b.fatal = err
			return backoff.Permanent(err)
		}
		if err != nil && work.Err() != nil {
			return backoff.Permanent(err)
		}
		return err
	}, func(err error) { b.log.Logger().Warn("batch retried", "lane", b.name, "error", err) })
}
