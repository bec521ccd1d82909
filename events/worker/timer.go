package worker

import (
	"container/heap"
	"context"
	"errors"
	"time"

	"tillstream/events"
	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
)

// Timer calls a domain at deadlines that its events set. The lane keeps the open deadlines in memory and rebuilds them from the
// log, so its checkpoint is before the oldest event with an open deadline. Fire may be called early, late or twice, so it must
// check the deadline in the state of the entity.
type Timer struct {
	Name string
	// Types are the events that At reads.
	Types []events.Payload
	// At returns the entity of an event and the deadline that the event sets; the zero time clears the deadline.
	At func(e events.Event) (id string, deadline time.Time)
	// Fire is called with an entity whose deadline has passed. It is repeated while the log is unavailable. After any other
	// error the deadline is dropped: the periodic job that checks for missed timers, or staff, must handle the entity.
	Fire func(ctx context.Context, id string) error
}

// timerLane runs one [Timer].
type timerLane struct {
	*lane
	Timer
	types map[string]bool

	cursor cursor
	taken  uint64
	logEnd uint64 // when the lane began; no deadline fires before the lane has read up to it
	open   map[string]*deadline
	queue  deadlines
}

// deadline is the open deadline of one entity.
type deadline struct {
	id       string
	at       time.Time
	sequence uint64 // of the event that set it
	index    int    // in the heap
}

func newTimerLane(l *lane, t Timer) *timerLane {
	types := make(map[string]bool, len(t.Types))
	for _, p := range t.Types {
		types[p.EventType()] = true
	}
	lane := &timerLane{lane: l, Timer: t, types: types}
	l.restartAt = lane.beforeOldest
	return lane
}

func (t *timerLane) matches(item *Item) bool { return t.types[item.Type()] }

// run fires deadlines until ctx ends.
func (t *timerLane) run(ctx, work context.Context) error {
	defer t.end()
	if !retry(ctx, everySecond(), func() error { return t.restore(ctx) }, func(err error) {
		t.report(err)
		t.warnBegin(err)
	}) {
		return nil
	}
	arrivals := t.reader.ring.subscribe(t.matches)
	defer t.reader.ring.unsubscribe(arrivals)
	for ctx.Err() == nil {
		err := t.step(ctx, work)
		t.report(err)
		if t.newer() != nil {
			break
		}
		if err != nil {
			t.log.Logger().Warn("timer lane waits", "lane", t.name, "error", err)
			Sleep(ctx, time.Second)
			continue
		}
		if err := t.saveIfDue(work, noState); errors.Is(err, eventlog.ErrCheckpointConflict) {
			return nil
		}
		t.wait(ctx, arrivals)
	}
	t.saveLast(ctx, nil)
	return t.newer()
}

// restore finds the position from which the lane continues. The events up to the end of the log must all be read before a
// deadline fires: a later one of them may have cleared it.
func (t *timerLane) restore(ctx context.Context) error {
	end, err := t.log.End(ctx, 0)
	if err != nil {
		return err
	}
	checkpoint, err := t.begin(ctx)
	if err != nil {
		return err
	}
	t.logEnd = end
	t.taken, t.cursor = checkpoint.Position, cursor{reader: t.reader, next: checkpoint.Position + 1}
	t.open, t.queue = map[string]*deadline{}, nil
	return nil
}

// wait returns when an event arrives, a deadline passes, or a checkpoint may be due.
func (t *timerLane) wait(ctx context.Context, arrivals *subscription) {
	d := checkpointEvery
	if len(t.queue) > 0 && t.mayFire() {
		d = max(min(d, t.queue[0].at.Sub(t.log.Now())), time.Millisecond)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-arrivals.C:
	case <-t.wake:
	case <-timer.C:
	}
}

// step reads the events that have arrived and fires the deadlines that have passed.
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
			if t.matches(item) && !item.Voided() {
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
		} else if err != nil {
			t.log.Logger().Error("deadline not handled", "lane", t.name, "id", d.id, "error", err)
		}
		t.drop(d.id)
	}
	return nil
}

// mayFire reports whether the lane has read every deadline, operators have not paused it, and the log has no gap.
func (t *timerLane) mayFire() bool {
	return t.taken >= t.logEnd && !t.isPaused() && t.log.Damage() == nil
}

// set sets or clears the deadline of an event's entity. An unreadable event is skipped; decide lanes make it a dead letter.
func (t *timerLane) set(item *Item) {
	e, err := item.Event()
	if err != nil {
		return
	}
	var id string
	var at time.Time
	err = safely(func() error { id, at = t.At(e); return nil })
	if err != nil {
		t.log.Logger().Error("deadline not read", "lane", t.name, "sequence", item.Sequence, "error", err)
		return
	}
	t.drop(id)
	if at.IsZero() {
		return
	}
	d := &deadline{id: id, at: at, sequence: item.Sequence}
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

// beforeOldest is the sequence before the oldest event with an open deadline.
func (t *timerLane) beforeOldest() uint64 {
	oldest := t.taken
	for _, d := range t.queue {
		oldest = min(oldest, d.sequence-1)
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
