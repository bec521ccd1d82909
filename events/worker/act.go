package worker

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"tillstream/events/failpoint"
)

// Actor calls another system for events, such as Stripe or a mail server. It runs in one process at a time.
type Actor struct {
	Concurrency int    // acts at a time; default 8
	Name        string // of the lane
	Routes      []ActRoute
}

// maxOpenActs is how many acts may have begun and not ended, and so how many a checkpoint holds. A lane with so many open
// acts takes no event.
const maxOpenActs = 1000

// actLane runs one [Actor].
type actLane struct {
	*lane
	routes      *actRoutes
	concurrency int
	dispatcher  *Dispatcher
	replayer    *replayer
	opening     chan *opening // acts of a replay

	cursor       cursor
	taken        uint64
	redelivering []redelivery // the rest of the request that was taken last
	inherited    uint64       // the previous holder may have begun acts for events up to this sequence
	open         map[uint64]*act
	running      int
	results      chan actResult

	failures int // in a row
	probes   int // since the circuit opened
	probeAt  time.Time
}

type actResult struct {
	act *act
	err error
}

func newActLane(l *lane, a Actor, d *Dispatcher, open *openDeadLetters, pacer *pacer) *actLane {
	if a.Concurrency == 0 {
		a.Concurrency = 8
	}
	routes := actRoutesOf(a)
	d.actors = append(d.actors, routes)
	lane := &actLane{lane: l, routes: routes, concurrency: a.Concurrency, dispatcher: d, results: make(chan actResult, a.Concurrency),
		replayer: newReplayer(l, open, pacer), opening: make(chan *opening)}
	lane.replayer.again, lane.replayer.end = lane.actAgain, lane.openAll
	return lane
}

func (a *actLane) matches(item *Item) bool {
	return a.routes.takes(item.Type()) || a.isRequested(item)
}

// run acts until ctx ends. Acts that have begun are finished on the context work, and the last checkpoint holds their
// results.
func (a *actLane) run(ctx, work context.Context) error {
	defer a.end()
	if !a.restore(ctx) {
		return a.newer() // without a checkpoint: the stored one may hold acts that were not restored
	}
	arrivals := a.reader.ring.subscribe(a.matches)
	defer a.reader.ring.unsubscribe(arrivals)
	var workers sync.WaitGroup
	replaying, stopReplaying := context.WithCancel(ctx)
	defer stopReplaying()
	workers.Go(func() { a.replayer.run(replaying) })
	for ctx.Err() == nil {
		a.startDue(ctx, work, &workers)
		if a.newer() != nil {
			break
		}
		if err := a.saveIfDue(work, a.state); err != nil {
			break // another process runs the lane
		}
		timer := time.NewTimer(a.nextDue())
		select {
		case <-ctx.Done():
		case r := <-a.results:
			a.finish(work, r)
		case o := <-a.openings():
			o.result <- a.openReplayed(work, o.batch)
		case <-arrivals.C:
		case <-a.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	stopReplaying()
	for a.running > 0 {
		a.finish(work, <-a.results)
	}
	workers.Wait()
	a.saveLast(ctx, a.state())
	return a.newer()
}

// startDue starts the acts that are due, then acts for new events, as many as may run.
func (a *actLane) startDue(ctx, work context.Context, workers *sync.WaitGroup) {
	if a.isPaused() {
		return
	}
	if a.log.Damage() != nil {
		if len(a.open) < maxOpenActs { // this lane may have found the damage: only another take shows that it is repaired
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
	for a.running < a.concurrency && len(a.open) < maxOpenActs {
		o, err := a.take(ctx)
		a.report(err)
		if err != nil || o == nil {
			return
		}
		a.start(work, workers, o)
	}
}

// nextDue is how long the loop may wait.
func (a *actLane) nextDue() time.Duration {
	wait := checkpointEvery / 2
	o := a.earliest()
	if o == nil || a.isPaused() || a.log.Damage() != nil || a.running >= a.concurrency || a.probes > 0 && a.running > 0 {
		return wait
	}
	at := o.Due
	if a.probes > 0 {
		at = a.probeAt
	}
	return max(min(wait, at.Sub(a.log.Now())), time.Millisecond)
}

// take opens an act for the next event that has a route or is redelivered; nil when the lane has caught up.
func (a *actLane) take(ctx context.Context) (*act, error) {
	for {
		if len(a.redelivering) > 0 {
			o, err := a.takeRedelivery(ctx)
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
		if a.redelivering = a.redeliveries(items[0]); len(a.redelivering) > 0 {
			continue
		}
		if b := a.batch(items[0]); b != nil {
			a.replayer.add(*a.replayer.requestOf(b))
		}
		if !a.routes.takes(items[0].Type()) || items[0].Voided() {
			a.advance(a.taken)
			continue
		}
		if _, err := items[0].Event(); err != nil {
			a.skip(items[0], err)
			a.advance(a.taken)
			continue
		}
		o := &act{Sequence: a.taken, item: items[0]}
		if a.taken <= a.inherited {
			o.Attempt = 1
		}
		a.addOpen(o)
		a.advance(a.taken) // the checkpoint holds the open acts besides the position
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
		a.results <- actResult{o, err}
	})
}

type attemptKey struct{}

// Attempt returns the number of the attempt, from 1, that the context of an act belongs to. From the second on, an earlier
// attempt may have had an effect, so the act must look for that effect before it repeats the call.
func Attempt(ctx context.Context) int {
	attempt, _ := ctx.Value(attemptKey{}).(int)
	return max(attempt, 1)
}

// finish ends an act, schedules another attempt, or makes its event a dead letter.
func (a *actLane) finish(ctx context.Context, r actResult) {
	a.running--
	o := r.act
	o.running = false
	defer func() {
		o.probe = false
		a.setOpen(len(a.open))
	}()
	a.change()
	if r.err == nil {
		r.err = a.concludeRedelivery(ctx, o, nil)
	}
	if r.err == nil {
		delete(a.open, o.Sequence)
		a.succeeded()
		return
	}
	if ctx.Err() != nil { // the process stops: the next holder retries
		o.Due = a.log.Now()
		return
	}
	delay, deadLetter := afterFailure(r.err, a.countedAttempts(o), rand.Float64())
	if deadLetter {
		err := a.deadLetter(ctx, o, r.err)
		if err == nil {
			delete(a.open, o.Sequence)
			return
		}
		delay, r.err = actSchedule[0], err
	}
	a.log.Logger().Warn("act retried", "lane", a.name, "sequence", o.Sequence, "attempt", o.Attempt, "after", delay, "error", r.err)
	o.Due = a.log.Now().Add(delay)
	if o.deferred = isDeferred(r.err); o.deferred {
		a.succeeded()
	} else {
		a.failed(o, r.err)
	}
	a.metrics.retries.Inc()
}
