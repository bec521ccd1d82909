package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tillstream/events/failpoint"
)

// Actor makes something happen in the world for events. It runs in one process at a time.
type Actor struct {
	Concurrency int    // acts at a time; default 8
	Name        string // of the lane
	Routes      []ActRoute
}

// maxOpen is how many acts may be begun and not ended, and so how many a checkpoint holds. A lane that has as many takes no
// more events.
const maxOpen = 1000

// actLane runs one [Actor].
type actLane struct {
	*lane
	acts        *actor
	concurrency int
	dispatcher  *Dispatcher

	cursor   cursor
	taken    uint64
	again    []redelivery // of the request that was taken last
	takeover uint64       // what stood in the log when the lease was taken may have been begun by the predecessor
	open     map[uint64]*act
	running  int
	results  chan result

	failures int // in a row
	probes   int // since the lane is on hold
	probeAt  time.Time
}

// act is one event that is being acted on.
type act struct {
	Sequence uint64    `json:"sequence"`
	Attempt  int       `json:"attempt"` // the last one begun, from 1
	Due      time.Time `json:"due"`     // when it is tried next; zero: it runs
	// Redelivery is the sequence of the request by which the event is delivered again; 0: it is not.
	Redelivery uint64 `json:"redelivery,omitempty"`

	item    *Item
	running bool
	probe   bool // tried to see whether the destination is whole again
	putOff  bool // waits for a reason of its own, see [Defer]
}

type result struct {
	act *act
	err error
}

func newActLane(l *lane, a Actor, d *Dispatcher) *actLane {
	if a.Concurrency == 0 {
		a.Concurrency = 8
	}
	acts := actorOf(a)
	d.actors = append(d.actors, acts)
	return &actLane{lane: l, acts: acts, concurrency: a.Concurrency, dispatcher: d, results: make(chan result, a.Concurrency)}
}

func (a *actLane) cares(item *Item) bool {
	return a.acts.routes[item.Type()] != nil || len(a.redeliveries(item)) > 0
}

// run acts until ctx ends. Acts that have begun are finished on the context work, and their results are in the last
// checkpoint.
func (a *actLane) run(ctx, work context.Context) error {
	defer a.end()
	if !a.restore(ctx) {
		return a.newer() // and the checkpoint as it is: it may name acts that could not be restored
	}
	signal := a.reader.ring.subscribe(a.cares)
	defer a.reader.ring.unsubscribe(signal)
	var workers sync.WaitGroup
	for ctx.Err() == nil {
		a.startDue(ctx, work, &workers)
		if a.newer() != nil {
			break
		}
		if err := a.saveIfDue(work, a.state); err != nil {
			break // another process has the lane
		}
		timer := time.NewTimer(a.nextDue())
		select {
		case <-ctx.Done():
		case r := <-a.results:
			a.settle(work, r)
		case <-signal.C:
		case <-a.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	for a.running > 0 {
		a.settle(work, <-a.results)
	}
	workers.Wait()
	a.saveLast(ctx, a.state())
	return a.newer()
}

// restore loads the checkpoint and the acts that were open then, and reports whether it has. What stood in the log already
// is acted on as after a failed attempt: the predecessor may have begun it, or have done it.
func (a *actLane) restore(ctx context.Context) bool {
	for {
		err := a.tryRestore(ctx)
		if a.report(err); err == nil {
			return true
		}
		a.log.Logger().Warn("begin lane", "lane", a.name, "error", err)
		if a.newer() != nil || !Sleep(ctx, time.Second) {
			return false
		}
	}
}

func (a *actLane) tryRestore(ctx context.Context) error {
	end, err := a.log.End(ctx, 0)
	if err != nil {
		return err
	}
	checkpoint, err := a.begin(ctx)
	if err != nil {
		return err
	}
	a.takeover = end
	a.open, a.running, a.failures, a.probes, a.again = map[uint64]*act{}, 0, 0, 0, nil
	a.taken, a.cursor = checkpoint.Position, cursor{reader: a.reader, next: checkpoint.Position + 1}
	if len(checkpoint.State) == 0 {
		return nil
	}
	var open []*act
	if err := json.Unmarshal(checkpoint.State, &open); err != nil {
		return fmt.Errorf("read open acts: %w", err)
	}
	for _, o := range open {
		if o.item, err = a.reader.get(ctx, o.Sequence); err != nil {
			return err
		}
		if err := a.log.ReportNewer(o.item.Message); err != nil {
			return err
		}
		o.Attempt = max(o.Attempt, 1)
		a.open[o.Sequence] = o
	}
	a.setOpen(len(a.open))
	return nil
}

// state is what the checkpoint holds besides the position: the acts that have begun and not ended.
func (a *actLane) state() any {
	open := make([]*act, 0, len(a.open))
	for _, o := range a.open {
		open = append(open, o)
	}
	slices.SortFunc(open, func(x, y *act) int { return cmp.Compare(x.Sequence, y.Sequence) })
	return open
}

// startDue starts what is due and what has arrived, as far as there is room.
func (a *actLane) startDue(ctx, work context.Context, workers *sync.WaitGroup) {
	if a.pausedNow() {
		return
	}
	if a.log.Damage() != nil {
		if len(a.open) < maxOpen { // the lane itself may stand before the gap, and be the one to see that it is filled
			_, err := a.take(ctx)
			a.report(err)
		}
		return
	}
	now := a.log.Now()
	if a.probes > 0 {
		a.probe(ctx, work, workers)
		return
	}
	for a.running < a.concurrency {
		o := a.earliest()
		if o == nil || now.Before(o.Due) {
			break
		}
		a.start(work, workers, o)
	}
	for a.running < a.concurrency && len(a.open) < maxOpen {
		o, err := a.take(ctx)
		a.report(err)
		if err != nil || o == nil {
			return
		}
		a.start(work, workers, o)
	}
}

// earliest is the open act that is due first and does not run.
func (a *actLane) earliest() (first *act) {
	for _, o := range a.open {
		if !o.running && (first == nil || o.Due.Before(first.Due) || o.Due.Equal(first.Due) && o.Sequence < first.Sequence) {
			first = o
		}
	}
	return first
}

// nextDue is how long the loop may wait.
func (a *actLane) nextDue() time.Duration {
	wait := checkpointEvery / 2
	o := a.earliest()
	if o == nil || a.pausedNow() || a.log.Damage() != nil || a.running >= a.concurrency || a.probes > 0 && a.running > 0 {
		return wait
	}
	at := o.Due
	if a.probes > 0 {
		at = a.probeAt
	}
	return max(min(wait, at.Sub(a.log.Now())), time.Millisecond)
}

// take takes the next event that the lane has a route for, or that is to be delivered again; nil when none is there.
func (a *actLane) take(ctx context.Context) (*act, error) {
	for {
		if len(a.again) > 0 {
			o, err := a.takeAgain(ctx)
			if err != nil || o != nil {
				return o, err
			}
			continue
		}
		items, err := a.cursor.take(ctx, 1)
		if err != nil || len(items) == 0 {
			return nil, err
		}
		a.taken = items[0].Sequence
		if a.again = a.redeliveries(items[0]); len(a.again) > 0 {
			continue
		}
		if !a.cares(items[0]) || items[0].Voided() {
			a.advance(a.taken)
			continue
		}
		o := &act{Sequence: a.taken, item: items[0]}
		if a.taken <= a.takeover {
			o.Attempt = 1
		}
		a.open[o.Sequence] = o
		a.setOpen(len(a.open))
		a.advance(a.taken) // what is open stands in the checkpoint beside the position
		return o, nil
	}
}

func (a *actLane) start(work context.Context, workers *sync.WaitGroup, o *act) {
	o.Attempt++
	o.running, o.Due = true, time.Time{}
	a.running++
	workers.Go(func() {
		failpoint.AtPlace(a.name, "act.begun")
		_, err := a.dispatcher.Dispatch(work, Delivery{Item: o.item, Lane: a.name, Attempt: o.Attempt}, false)
		failpoint.AtPlace(a.name, "act.done")
		a.results <- result{o, err}
	})
}

type attemptKey struct{}

// Attempt is which attempt at its event an act is, from 1. From the second on an earlier one may have left something in the
// world, so the act looks before it repeats.
func Attempt(ctx context.Context) int {
	attempt, _ := ctx.Value(attemptKey{}).(int)
	return max(attempt, 1)
}

// settle ends an act, has it repeated later, or makes its event a dead letter.
func (a *actLane) settle(ctx context.Context, r result) {
	a.running--
	o := r.act
	o.running = false
	defer func() {
		o.probe = false
		a.setOpen(len(a.open))
	}()
	a.change()
	if r.err == nil {
		r.err = a.conclude(ctx, o, nil)
	}
	if r.err == nil {
		delete(a.open, o.Sequence)
		a.succeeded()
		return
	}
	if ctx.Err() != nil { // the process stops: the successor tries again
		o.Due = a.log.Now()
		return
	}
	delay, deadLetter := next(r.err, a.counted(o), rand.Float64())
	if deadLetter {
		err := a.bury(ctx, o, r.err)
		if err == nil {
			delete(a.open, o.Sequence)
			return
		}
		delay, r.err = retrySchedule[0], err
	}
	a.log.Logger().Warn("act is repeated", "lane", a.name, "sequence", o.Sequence, "attempt", o.Attempt, "after", delay, "error", r.err)
	o.Due = a.log.Now().Add(delay)
	if o.putOff = isDeferred(r.err); o.putOff {
		a.succeeded()
	} else {
		a.failed(o, r.err)
	}
	a.metrics.retries.Inc()
}
