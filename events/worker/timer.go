package worker

import (
	"container/heap"
	"context"
	"errors"
	"time"

	"tillstream/events"
	"tillstream/events/failpoint"
	"tillstream/events/log"
)

// Timer wakes a domain at deadlines that its events set. It is a heap rebuilt from the log: the checkpoint stands before the
// oldest event whose deadline is open. The deadline in the entity decides, so firing early, late or twice is harmless.
type Timer struct {
	Name string
	// Types are the events that At reads.
	Types []events.Payload
	// At returns the deadline that an event sets for an entity; the zero time: the entity has no deadline any more.
	At func(e events.Event) (id string, deadline time.Time)
	// Fire is called with an entity whose deadline has passed, again for as long as the log is away. Another error is final:
	// staff, or a sweep behind the timer, see to the entity.
	Fire func(ctx context.Context, id string) error
}

// timerLane runs one [Timer].
type timerLane struct {
	*lane
	Timer
	types map[string]bool

	cursor   cursor
	taken    uint64
	takeover uint64 // nothing fires before what stood in the log when the lease was taken is taken over
	open     map[string]*deadline
	queue    deadlines
}

// deadline is one entity's.
type deadline struct {
	id    string
	at    time.Time
	seq   uint64 // of the event that set it
	index int    // in the heap
}

func newTimerLane(l *lane, t Timer) *timerLane {
	types := make(map[string]bool, len(t.Types))
	for _, p := range t.Types {
		types[p.EventType()] = true
	}
	lane := &timerLane{lane: l, Timer: t, types: types}
	l.floor = lane.settled
	return lane
}

func (t *timerLane) cares(item *Item) bool { return t.types[item.Type()] }

// run fires deadlines until ctx ends.
func (t *timerLane) run(ctx, work context.Context) error {
	defer t.end()
	for err := t.restore(ctx); err != nil; err = t.restore(ctx) {
		t.report(err)
		t.log.Logger().Warn("begin lane", "lane", t.name, "error", err)
		if !Sleep(ctx, time.Second) {
			return nil
		}
	}
	signal := t.reader.ring.subscribe(t.cares)
	defer t.reader.ring.unsubscribe(signal)
	for ctx.Err() == nil {
		err := t.step(ctx, work)
		t.report(err)
		if t.newer() != nil {
			break
		}
		if err != nil {
			t.log.Logger().Warn("timers wait", "lane", t.name, "error", err)
			Sleep(ctx, time.Second)
			continue
		}
		if err := t.saveIfDue(work, noState); errors.Is(err, log.ErrCheckpointConflict) {
			return nil
		}
		t.wait(ctx, signal)
	}
	t.saveLast(ctx, nil)
	return t.newer()
}

// restore finds where the lane goes on. A deadline that was dropped long ago may stand before the event that dropped it, so
// all of the log is read before anything fires.
func (t *timerLane) restore(ctx context.Context) error {
	end, err := t.log.End(ctx, 0)
	if err != nil {
		return err
	}
	checkpoint, err := t.begin(ctx)
	if err != nil {
		return err
	}
	t.takeover = end
	t.taken, t.cursor = checkpoint.Position, cursor{reader: t.reader, next: checkpoint.Position + 1}
	t.open, t.queue = map[string]*deadline{}, nil
	return nil
}

// wait returns when an event arrives, a deadline passes, or a checkpoint may be due.
func (t *timerLane) wait(ctx context.Context, signal *signal) {
	d := checkpointEvery
	if len(t.queue) > 0 && t.mayFire() {
		d = max(min(d, t.queue[0].at.Sub(t.log.Now())), time.Millisecond)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-signal.C:
	case <-t.wake:
	case <-timer.C:
	}
}

// step takes over what has arrived and fires what has passed.
func (t *timerLane) step(ctx, work context.Context) error {
	for {
		items, err := t.cursor.take(ctx, maxJobs)
		if err != nil {
			return err
		}
		if len(items) == 0 {
			break
		}
		for _, item := range items {
			t.taken = item.Sequence
			if t.cares(item) && !item.Voided() {
				t.set(item)
			}
		}
	}
	t.advance(t.taken)
	for len(t.queue) > 0 && t.mayFire() && !t.log.Now().Before(t.queue[0].at) && ctx.Err() == nil {
		failpoint.At("timers.fired")
		d := t.queue[0]
		if err := safely(func() error { return t.Fire(work, d.id) }); err != nil && IsInfrastructure(err) {
			return err
		} else if err != nil { // the sweep behind the timer, or staff, will see to it
			t.log.Logger().Error("deadline cannot be acted on", "lane", t.name, "id", d.id, "error", err)
		}
		t.drop(d.id)
	}
	return nil
}

// mayFire reports whether the lane knows every deadline, operators have not paused it, and the log is whole.
func (t *timerLane) mayFire() bool {
	return t.taken >= t.takeover && !t.pausedNow() && t.log.Damage() == nil
}

// set takes over what an event says about a deadline. An event that cannot be read is a dead letter of the lanes that decide.
func (t *timerLane) set(item *Item) {
	e, err := item.Event()
	if err != nil {
		return
	}
	var id string
	var at time.Time
	err = safely(func() error { id, at = t.At(e); return nil })
	if err != nil {
		t.log.Logger().Error("deadline cannot be read", "lane", t.name, "sequence", item.Sequence, "error", err)
		return
	}
	t.drop(id)
	if at.IsZero() {
		return
	}
	d := &deadline{id: id, at: at, seq: item.Sequence}
	t.open[id] = d
	heap.Push(&t.queue, d)
}

func (t *timerLane) drop(id string) {
	if d, ok := t.open[id]; ok {
		heap.Remove(&t.queue, d.index)
		delete(t.open, id)
		t.change()
	}
}

// settled is the sequence before the oldest event whose deadline is open.
func (t *timerLane) settled() uint64 {
	oldest := t.taken
	for _, d := range t.queue {
		oldest = min(oldest, d.seq-1)
	}
	return oldest
}

// deadlines is a heap, the earliest first.
type deadlines []*deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i]; d[i].index, d[j].index = i, j }

// Push implements heap.Interface.
func (d *deadlines) Push(x any) {
	added := x.(*deadline)
	added.index = len(*d)
	*d = append(*d, added)
}

// Pop implements heap.Interface.
func (d *deadlines) Pop() any {
	last := (*d)[len(*d)-1]
	(*d)[len(*d)-1] = nil
	*d = (*d)[:len(*d)-1]
	return last
}
