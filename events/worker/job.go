package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"tillstream/events"
	"tillstream/events/log"
)

// job is one thing to decide about: an event of a lane, one that is delivered again, or what [log.Log.Complete] was called with.
type job struct {
	lane  *decideLane // nil: submitted
	item  *Item
	again *redelivery // instead of item

	domain *log.Log
	decide func(*log.Tx) error
	taken  atomic.Bool // by the loop, or back by who submitted it
	result chan error  // buffered

	unit  int
	steps []step
	err   error
}

// errAlone says to whoever submitted a decision to make it by itself.
var errAlone = errors.New("decide alone")

// place is where the lane stands in the log while it decides about a job.
func (j *job) place() uint64 {
	if j.again != nil {
		return j.again.request
	}
	return j.item.Sequence
}

// open reads the event of a job.
func (j *job) open() (e events.Event, handle func(*log.Tx, events.Event) error, err error) {
	if e, err = j.item.Envelope(); err != nil {
		return e, nil, err
	}
	if e, err = j.item.Event(); err != nil {
		return e, nil, err
	}
	handle = j.lane.routes[e.Type]
	if handle == nil {
		return e, nil, fmt.Errorf("no route for %s", e.Type)
	}
	return e, handle, nil
}

// run makes the decision of a job.
func (j *job) run(tx *log.Tx) error {
	tx.TrustCache(j.lane != nil && j.lane.reader != nil) // what was submitted is about a moment that the reader may not have come to
	if j.lane == nil {
		tx.ForDomain(j.domain)
		return safely(func() error { return j.decide(tx) })
	}
	tx.ForDomain(j.lane.domain)
	e, handle, err := j.open()
	tx.CausedBy(e)
	if err != nil {
		return err
	}
	return safely(func() error { return handle(tx, e) })
}

// isAway reports whether a job failed because the log is away. What somebody submits may fail for reasons of its own, such
// as a request that was given up: that is no reason for anybody else to wait.
func (j *job) isAway(ctx context.Context) bool {
	if j.lane == nil && ctx.Err() == nil {
		return errors.Is(j.err, log.ErrUnavailable)
	}
	return j.err != nil && IsInfrastructure(j.err)
}

// only returns the jobs that a condition holds for.
func only(jobs []*job, holds func(*job) bool) (kept []*job) {
	for _, j := range jobs {
		if holds(j) {
			kept = append(kept, j)
		}
	}
	return kept
}

// complete is what [log.Log.Complete] does in this process: the decision is made in the loop's next transaction. Where that
// does not work out it is made by itself.
func (d *decider) complete(ctx context.Context, domain *log.Log, fn func(*log.Tx) error) error {
	j := &job{domain: domain, decide: fn, result: make(chan error, 1)}
	if !d.submit(ctx, j) {
		return domain.Do(ctx, fn)
	}
	var err error
	select {
	case err = <-j.result:
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		err = <-j.result // fn must not run after this has returned
	}
	if errors.Is(err, errAlone) {
		return domain.Do(ctx, fn)
	}
	return err
}

func (d *decider) submit(ctx context.Context, j *job) bool {
	d.stopping.RLock()
	defer d.stopping.RUnlock()
	if d.stopped {
		return false
	}
	select {
	case d.submitted <- j:
		return true
	case <-d.closing:
		return false
	case <-ctx.Done():
		return false
	}
}

// receive returns what was submitted and not given up meanwhile.
func (d *decider) receive() (jobs []*job) {
	for len(jobs) < maxJobs {
		j := d.first
		d.first = nil
		if j == nil {
			select {
			case j = <-d.submitted:
			default:
				return jobs
			}
		}
		if j.taken.CompareAndSwap(false, true) {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// close answers what was submitted and not decided.
func (d *decider) close() {
	close(d.closing)
	d.stopping.Lock()
	d.stopped = true
	d.stopping.Unlock()
	d.move()
	for jobs := d.receive(); len(jobs) > 0; jobs = d.receive() {
		for _, j := range jobs {
			j.result <- errAlone
		}
	}
}
