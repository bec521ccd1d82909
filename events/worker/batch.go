package worker

import (
	"context"
	"errors"
	"time"

	"tillstream/events/failpoint"
	"tillstream/events/log"
)

// Batch hands a domain's events, or all of them, on in batches: to a projection, or to the archive. It runs in one process
// at a time.
type Batch struct {
	Name string
	Kind Kind // KindProject or KindArchive
	// Cares says which messages are handed on; nil: all of them.
	Cares func(*Item) bool
	// Handle writes messages that follow each other. It is repeated until it returns nil: nothing behind a batch is ever
	// handled before the batch is. After [ErrReposition] the lane is prepared anew instead.
	Handle func(ctx context.Context, items []*Item) error
	// Max is how many messages are handed on at once; default 4,000.
	Max int
	// Prepare runs before the first batch of a process that takes the lane over, again until it succeeds. It returns where
	// the lane goes on; the checkpoint says where it was. Default: at the checkpoint.
	Prepare func(ctx context.Context, checkpoint uint64) (uint64, error)
	// Window is how long messages are gathered at most before they are handed on; default 2 s.
	Window time.Duration
	// Quiet hands them on earlier, once none has arrived for so long; default: never.
	Quiet time.Duration
}

// gatherEvery is how often a lane that gathers takes what has arrived: more often than the ring is full again.
const gatherEvery = 50 * time.Millisecond

// ErrReposition is returned by a Handle that cannot take a batch because what it writes to does not end where the batch
// begins: it was replaced, or dropped. Prepare then says where the lane goes on.
var ErrReposition = errors.New("the lane must go on elsewhere")

// batchLane runs one [Batch].
type batchLane struct {
	*lane
	Batch

	cursor cursor
	taken  uint64
	fatal  error // why the process must not go on
}

func newBatchLane(l *lane, b Batch) *batchLane {
	if b.Cares == nil {
		b.Cares = func(*Item) bool { return true }
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

// run hands on until ctx ends; what was gathered by then is still written on the context work.
func (b *batchLane) run(ctx, work context.Context) error {
	signal := b.reader.ring.subscribe(b.Cares)
	defer b.reader.ring.unsubscribe(signal)
	defer b.end()
	if !b.restore(ctx, work) {
		return b.fatal
	}
	for ctx.Err() == nil {
		items := b.gather(ctx, signal)
		if len(items) > 0 {
			failpoint.AtPlace(b.name, "batch.fetched")
			if !b.handle(ctx, work, items) {
				break // the place does not move on: a successor writes what was not written
			}
			failpoint.AtPlace(b.name, "batch.written")
		}
		b.advance(b.taken)
		if b.newer() != nil {
			break
		}
		if err := b.saveIfDue(work, noState); errors.Is(err, log.ErrCheckpointConflict) {
			return nil
		}
	}
	b.saveLast(ctx, nil)
	return b.newer()
}

func (b *batchLane) restore(ctx, work context.Context) bool {
	return b.untilDone(ctx, work, func() error { return b.prepare(ctx) })
}

// prepare finds where the lane goes on.
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
	b.taken, b.cursor = position, cursor{reader: b.reader, next: position + 1, raw: b.Kind == KindArchive}
	return nil
}

// handle writes a batch, or finds another place to go on from.
func (b *batchLane) handle(ctx, work context.Context, items []*Item) bool {
	elsewhere := false
	return b.untilDone(ctx, work, func() error {
		if elsewhere {
			return b.prepare(ctx)
		}
		err := b.Handle(work, items)
		elsewhere = errors.Is(err, ErrReposition)
		return err
	})
}

// gather waits for a message and returns it with those that arrive within the window or before it is quiet, as far as they
// follow each other.
func (b *batchLane) gather(ctx context.Context, signal *signal) (items []*Item) {
	var until, quiet time.Time // zero: nothing is gathered yet
	for over, bytes := false, 0; ; {
		if b.pausedNow() && len(items) == 0 {
			b.idle(ctx)
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
			if b.Cares(item) {
				items, bytes = append(items, item), bytes+size(item)
			}
		}
		if len(items) >= b.Max || bytes >= ringBytes || over || ctx.Err() != nil {
			return items
		}
		if len(items) > before {
			now := time.Now()
			if quiet = now.Add(b.Quiet); until.IsZero() {
				until = now.Add(b.Window)
			}
		}
		if len(taken) > 0 && b.taken+1 < b.reader.ring.begin() {
			continue // far behind: there is more
		}
		if until.IsZero() {
			if !b.wait(ctx, signal) {
				return items
			}
			continue
		}
		left := min(time.Until(until), time.Until(quiet))
		over = left <= gatherEvery // after what arrives until then
		if !Sleep(ctx, min(left, gatherEvery)) {
			return items // what arrives from now on is a successor's
		}
	}
}

// wait returns true when a message may have arrived, false when there is none for now.
func (b *batchLane) wait(ctx context.Context, signal *signal) bool {
	idle := time.NewTimer(checkpointEvery)
	defer idle.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-idle.C:
		return false
	case <-b.wake:
		return false
	case <-signal.C:
		return true
	}
}

// idle waits while the lane is paused.
func (b *batchLane) idle(ctx context.Context) {
	timer := time.NewTimer(checkpointEvery)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-b.wake:
	case <-timer.C:
	}
}

// untilDone repeats a step until it succeeds, and reports whether it did: not when the process stops or the lease is lost.
func (b *batchLane) untilDone(ctx, work context.Context, step func() error) bool {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := safely(step)
		b.report(err)
		if err == nil {
			return true
		}
		if errors.Is(err, log.ErrTruncated) {
			b.fatal = err
			return false
		}
		if ctx.Err() != nil || work.Err() != nil {
			return false
		}
		b.log.Logger().Warn("batch waits", "lane", b.name, "error", err)
		if !Sleep(ctx, wait) {
			return false
		}
	}
}
