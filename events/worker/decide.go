package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"tillstream/events"
	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
)

// decider is the loop that decides about events for all domains of a process. There is one per process, so that two of its
// decisions about the same stock share a transaction instead of conflicting.
type decider struct {
	*Dispatcher
	log      *eventlog.Log
	reader   *reader
	arrivals *subscription

	submitted chan *job
	received  *job          // from submitted, and not decided yet
	closing   chan struct{} // closed when no more jobs are accepted
	stopping  sync.RWMutex  // no submit runs while stopped is set
	stopped   bool

	mu      sync.Mutex
	changes []func() // lanes to begin or end between two rounds
	woken   chan struct{}
}

// Bounds of one transaction of the loop: jobs of a lane or submitted, and the time for deciding them. While every state takes
// the broker long to read, a small transaction makes progress; a large one would be abandoned before it is full.
const (
	maxJobs      = 500
	maxRoundTime = time.Second
)

func newDecider(l *eventlog.Log, r *reader) *decider {
	return &decider{Dispatcher: &Dispatcher{}, log: l, reader: r, submitted: make(chan *job, 1024), closing: make(chan struct{}), woken: make(chan struct{}, 1)}
}

// matches reports whether any lane of the loop handles a message.
func (d *decider) matches(item *Item) bool {
	for _, l := range d.decides {
		if l.routes[item.Type()] != nil || l.owns(item) || l.isRequested(item) {
			return true
		}
	}
	return false
}

// run decides until stop is closed, after the lanes have ended. When ctx ends no job begins; jobs that have begun are
// finished on the context work.
func (d *decider) run(ctx, work context.Context, stop <-chan struct{}) {
	d.arrivals = d.reader.ring.subscribe(d.matches)
	defer d.reader.ring.unsubscribe(d.arrivals)
	defer d.close()
	for !isClosed(stop) {
		d.applyChanges()
		jobs := d.gather(ctx)
		if len(jobs) > 0 {
			failpoint.At("decide.fetched")
			d.handle(ctx, work, jobs)
		}
		d.saveCheckpoints(work)
		if len(jobs) == 0 {
			d.wait(stop)
		}
	}
}

// wait returns when there may be a job, or a checkpoint may be due.
func (d *decider) wait(stop <-chan struct{}) {
	timeout := checkpointEvery / 2
	for _, l := range d.decides {
		if l.active && l.blocked {
			timeout = max(min(timeout, time.Until(l.retryAt)), 0)
		}
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-stop:
	case <-d.arrivals.C:
	case <-d.woken:
	case <-timer.C:
	case d.received = <-d.submitted:
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// applyChanges begins and ends lanes between two rounds.
func (d *decider) applyChanges() {
	d.mu.Lock()
	changes := d.changes
	d.changes = nil
	d.mu.Unlock()
	for _, change := range changes {
		change()
	}
}

// betweenRounds runs fn between two rounds of the loop and returns when it has run.
func (d *decider) betweenRounds(fn func()) {
	done := make(chan struct{})
	d.mu.Lock()
	d.changes = append(d.changes, func() { fn(); close(done) })
	d.mu.Unlock()
	d.wake()
	<-done
}

// wake makes the loop begin another round.
func (d *decider) wake() {
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

// runLane lets the loop decide for a lane until ctx ends, because the process stops or has lost the lease.
func (d *decider) runLane(ctx context.Context, l *decideLane) error {
	var checkpoint eventlog.Checkpoint
	if !retry(ctx, everySecond(), func() (err error) {
		if checkpoint, err = l.begin(ctx); err != nil {
			l.report(err)
		}
		return err
	}, l.warnBegin) {
		return nil
	}
	defer l.end()
	lost := make(chan struct{})
	d.betweenRounds(func() {
		l.active, l.blocked, l.taken, l.jobs, l.handled, l.lost = true, false, checkpoint.Position, nil, map[uint64]bool{}, lost
		l.cursor = cursor{reader: d.reader, next: checkpoint.Position + 1}
	})
	replaying, stopReplaying := context.WithCancel(ctx)
	var replayer sync.WaitGroup
	replayer.Go(func() { l.replayer.run(replaying) })
	select {
	case <-ctx.Done():
	case <-lost:
	}
	stopReplaying()
	replayer.Wait()
	d.betweenRounds(func() { l.active, l.jobs = false, nil })
	l.saveLast(ctx, nil)
	return l.newer()
}

// gather returns the jobs of a round: those of each lane, in the order of the log, then those that were submitted. A lane
// with a backlog delays a submitted job by one round at most.
func (d *decider) gather(ctx context.Context) (jobs []*job) {
	end := d.reader.ring.next() // one end for all lanes, so that no lane is ahead of another one when a cascade enters it
	for _, l := range d.decides {
		if !l.active || l.isPaused() || ctx.Err() != nil || l.blocked && time.Now().Before(l.retryAt) {
			continue
		}
		l.blocked = false
		if len(l.jobs) == 0 {
			err := l.fetch(ctx, end)
			if errors.Is(err, events.ErrNewer) {
				l.giveUp(err)
				continue
			}
			if err != nil {
				l.block(err)
				continue
			}
			l.unblock()
		}
		jobs = append(jobs, l.jobs...)
	}
	return append(jobs, d.receive()...)
}

// handle decides about jobs, in as many transactions as they need. When ctx ends, the lanes' jobs are left to the next holder;
// submitted jobs are still decided, because their callers wait.
func (d *decider) handle(ctx, work context.Context, jobs []*job) {
	for len(jobs) > 0 {
		jobs = d.decide(work, jobs)
		if ctx.Err() != nil {
			jobs = filter(jobs, func(j *job) bool { return j.lane == nil })
		}
	}
}

func (d *decider) saveCheckpoints(work context.Context) {
	for _, l := range d.decides {
		if !l.active {
			continue
		}
		if err := l.saveIfDue(work, noState); errors.Is(err, eventlog.ErrCheckpointConflict) && !isClosed(l.lost) {
			l.log.Logger().Warn("lane lost to another process", "lane", l.name)
			close(l.lost)
		}
	}
}

// decide decides about jobs in one transaction, commits the facts of each job, and returns the jobs that did not fit. A job
// that met a conflict is decided again, alone.
func (d *decider) decide(ctx context.Context, jobs []*job) (left []*job) {
	if err := d.log.Damage(); err != nil { // nothing can be appended, and a decision could miss an event
		for _, j := range jobs {
			d.end(j, err)
		}
		return nil
	}
	r := d.newRound(d.log.BeginCached(ctx), jobs)
	n, err := r.fill(ctx, jobs)
	if n == 0 && err == nil { // the first job is a request, or with its cascade too large for one transaction
		d.end(jobs[0], d.decideAlone(ctx, jobs[0]))
		return withoutBlocked(jobs[1:])
	}
	if n > 0 {
		failpoint.At("decide.decided")
		committed := r.tx.CommitEach()
		failpoint.At("decide.committed")
		for _, j := range jobs[:n] {
			d.end(j, d.settle(ctx, r.tx, j, committed(j.unit)))
		}
	}
	left = jobs[n:]
	if err != nil {
		d.end(left[0], err)
		left = left[1:]
	}
	if err != nil && jobs[n].lane == nil {
		left = d.returnSubmitted(left)
	}
	return withoutBlocked(left)
}

// returnSubmitted lets the callers of submitted jobs decide by themselves, because the log was unavailable for one of them and
// the others would wait for it here, one after the other. It returns the other jobs.
func (d *decider) returnSubmitted(jobs []*job) (left []*job) {
	for _, j := range jobs {
		if j.lane == nil {
			d.end(j, errAlone)
		}
	}
	return filter(jobs, func(j *job) bool { return j.lane != nil })
}

// withoutBlocked leaves out the jobs of blocked lanes.
func withoutBlocked(jobs []*job) []*job {
	return filter(jobs, func(j *job) bool { return j.lane == nil || !j.lane.blocked })
}

// settle handles the result of a job's commit. It returns an error when the log is unavailable.
func (d *decider) settle(ctx context.Context, tx *eventlog.Tx, j *job, committed error) error {
	switch {
	case j.lane != nil && j.lane.blocked: // an earlier event of the lane waits; this one is decided again after it
		return nil
	case committed != nil && IsInfrastructure(committed):
		return committed
	case committed != nil, j.err != nil:
		// A refusal in a shared transaction may come from states that were read at different moments. In a transaction of its
		// own it is final.
		return d.decideAlone(ctx, j)
	}
	markHandled(tx, j.steps)
	return nil
}

// end finishes a job, or blocks its lane when the log is unavailable.
func (d *decider) end(j *job, err error) {
	switch {
	case j.lane == nil && errors.Is(err, eventlog.ErrUnavailable):
		j.result <- err
	case j.lane == nil && err != nil: // this process stops, which says nothing about the submitted decision
		j.result <- errAlone
	case j.lane == nil:
		j.result <- j.err
	case j.lane.blocked:
	case err != nil:
		j.lane.block(err)
	default:
		j.lane.done()
	}
}

// decideAlone makes a decision in a transaction of its own. An event that cannot be handled becomes a dead letter.
func (d *decider) decideAlone(ctx context.Context, j *job) error {
	switch {
	case j.lane == nil:
		j.err = errAlone
		return nil
	case j.request != nil:
		j.lane.replayer.add(*j.request)
		return nil
	}
	_, err := d.Dispatch(ctx, Delivery{Item: j.item, Lane: j.lane.name, Attempt: 1}, false)
	switch {
	case err == nil || IsInfrastructure(err):
		return err
	case errors.Is(err, events.ErrBadID):
		j.lane.skip(j.item, err)
		return nil
	}
	return putDeadLetter(ctx, j.lane.lane, j.item, 1, err)
}
