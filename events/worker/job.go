package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// job is one decision of the loop: about an event of a lane, or submitted by [decider.submitAndWait]. A job of a lane may also be a
// request to handle events again, which the loop passes on.
type job struct {
	lane    *decideLane // nil: submitted
	item    *Item
	request *request // instead of item

	domain *eventlog.Log
	decide func(*eventlog.Tx) error
	taken  atomic.Bool // by the loop, or back by its caller
	result chan error  // buffered

	unit  int
	steps []step
	err   error
}

// errAlone tells the caller of a submitted job to make the decision itself.
var errAlone = errors.New("decide alone")

// sequence is the position of the job in its lane.
func (j *job) sequence() uint64 {
	if j.request != nil {
		return j.request.sequence
	}
	return j.item.Sequence
}

// event decodes the event of a job and returns the function that decides about it.
func (j *job) event() (e events.Event, handle func(*eventlog.Tx, events.Event) error, err error) {
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

// run makes the decision of a job in a transaction. A submitted decision must not trust the cache: it may be about a state
// that the reader has not read yet.
func (j *job) run(tx *eventlog.Tx) error {
	tx.TrustCache(j.lane != nil && j.lane.reader != nil)
	if j.lane == nil {
		tx.ForDomain(j.domain)
		return safely(func() error { return j.decide(tx) })
	}
	tx.ForDomain(j.lane.domain)
	e, handle, err := j.event()
	tx.CausedBy(e)
	if err != nil {
		return err
	}
	return safely(func() error { return handle(tx, e) })
}

// isLogUnavailable reports whether a job failed because the log is unavailable. A submitted job may fail for a reason of its
// own, such as a cancelled request, for which no other job need wait.
func (j *job) isLogUnavailable(ctx context.Context) bool {
	if j.lane == nil && ctx.Err() == nil {
		return errors.Is(j.err, eventlog.ErrUnavailable)
	}
	return j.err != nil && IsInfrastructure(j.err)
}

// filter returns the jobs that keep accepts.
func filter(jobs []*job, keep func(*job) bool) (kept []*job) {
	for _, j := range jobs {
		if keep(j) {
			kept = append(kept, j)
		}
	}
	return kept
}

// submitAndWait implements [eventlog.Log.DoCascade] while the loop runs: the decision is made in the loop's next transaction.
// If the loop cannot make the decision, the caller makes it alone.
func (d *decider) submitAndWait(ctx context.Context, domain *eventlog.Log, fn func(*eventlog.Tx) error) error {
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
		err = <-j.result // fn must not run after the return
	}
	if errors.Is(err, errAlone) {
		return domain.Do(ctx, fn)
	}
	return err
}

// submit gives a job to the loop. It reports false when the loop has ended, or ctx has.
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

// receive returns the submitted jobs whose callers still wait.
func (d *decider) receive() (jobs []*job) {
	for len(jobs) < maxJobs {
		j := d.received
		d.received = nil
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

// close refuses further jobs and returns the undecided ones to their callers.
func (d *decider) close() {
	close(d.closing)
	d.stopping.Lock()
	d.stopped = true
	d.stopping.Unlock()
	d.applyChanges()
	for jobs := d.receive(); len(jobs) > 0; jobs = d.receive() {
		for _, j := range jobs {
			j.result <- errAlone
		}
	}
}
