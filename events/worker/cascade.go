package worker

import (
	"context"
	"errors"
	"time"

	"tillstream/events"
	"tillstream/events/failpoint"
	"tillstream/events/log"
)

// Bounds of what is decided in one transaction as a consequence of one event: facts, and attempts that met a conflict.
// Beyond them it is decided when its events arrive.
const (
	maxCascade         = 200
	maxCascadeAttempts = 3
)

// step is a decision of another domain about a fact of the same transaction.
type step struct {
	lane *decideLane
	fact int // index in the transaction
}

// decide makes the decisions of jobs in one transaction and commits what each led to. It returns the jobs that are left:
// those that did not fit. A job that another writer was faster at is decided again, alone.
func (d *decider) decide(ctx context.Context, jobs []*job) (left []*job) {
	r := &round{decider: d, tx: d.log.BeginFollowed(ctx), pending: pendingOf(jobs), enough: time.Now().Add(longestGathering)}
	n, err := r.fill(ctx, jobs)
	if n == 0 && err == nil { // the first job alone is too much for one transaction
		d.end(jobs[0], d.alone(ctx, jobs[0]))
		return onlyMoving(jobs[1:])
	}
	if n > 0 {
		failpoint.At("decide.decided")
		outcome := r.tx.CommitEach()
		failpoint.At("decide.committed")
		for _, j := range jobs[:n] {
			d.end(j, d.settle(ctx, r.tx, j, outcome(j.unit)))
		}
	}
	left = jobs[n:]
	if err != nil {
		d.end(left[0], err)
		left = left[1:]
	}
	if err != nil && jobs[n].lane == nil {
		left = d.giveBack(left)
	}
	return onlyMoving(left)
}

// giveBack has those who submitted something decide by themselves, because the log was away for one of them: one after the
// other they would wait for it here. It returns the other jobs.
func (d *decider) giveBack(jobs []*job) (left []*job) {
	for _, j := range jobs {
		if j.lane == nil {
			d.end(j, errAlone)
		}
	}
	return only(jobs, func(j *job) bool { return j.lane != nil })
}

// onlyMoving leaves out jobs of lanes that wait.
func onlyMoving(jobs []*job) []*job {
	return only(jobs, func(j *job) bool { return j.lane == nil || !j.lane.stuck })
}

// settle sees one job to its end, given what became of its facts. It returns an error when the log is away.
func (d *decider) settle(ctx context.Context, tx *log.Tx, j *job, committed error) error {
	switch {
	case j.lane != nil && j.lane.stuck: // an event before this one waits; this one is decided again, to no effect
		return nil
	case committed != nil && IsInfrastructure(committed):
		return committed
	case committed != nil, j.err != nil:
		// In a batch a refusal may come of states that were read at different moments. Alone it is final.
		return d.alone(ctx, j)
	}
	markHandled(tx, j.steps)
	return nil
}

// end finishes a job, or has its lane wait when the log was away.
func (d *decider) end(j *job, err error) {
	switch {
	case j.lane == nil && errors.Is(err, log.ErrUnavailable):
		j.result <- err
	case j.lane == nil && err != nil: // this process is about to end, which says nothing about what was submitted
		j.result <- errAlone
	case j.lane == nil:
		j.result <- j.err
	case j.lane.stuck:
	case err != nil:
		j.lane.putOff(err)
	default:
		j.lane.done()
	}
}

// markHandled has the lanes pass over the events that were decided about in the transaction that appended them.
func markHandled(tx *log.Tx, steps []step) {
	for _, s := range steps {
		if seq := tx.Sequence(s.fact); seq > 0 && s.lane.active && seq > s.lane.taken {
			s.lane.handled[seq] = true
		}
	}
}

// round is one transaction of the loop in the making.
type round struct {
	decider *decider
	tx      *log.Tx
	pending pending
	enough  time.Time // when no more is taken in
}

// pending counts what each lane has yet to decide about an entity. A cascade must not get ahead of that: a domain hears
// what happened to an entity in the order in which it happened.
type pending map[entityOf]int

type entityOf struct {
	lane    *decideLane
	subject string
}

func pendingOf(jobs []*job) pending {
	p := make(pending, len(jobs))
	for _, j := range jobs {
		p.count(j, 1)
	}
	return p
}

func (p pending) count(j *job, n int) {
	if j.lane != nil {
		p[entityOf{j.lane, j.item.Subject}] += n
	}
}

// fill fills the transaction with the facts of as many jobs as fit and are decided in time, and returns how many. A job that
// fails leaves no fact behind. One for which the log is away ends the transaction, with its error: what was decided before
// it need not be decided again.
func (r *round) fill(ctx context.Context, jobs []*job) (int, error) {
	for n, j := range jobs {
		if n > 0 && time.Now().After(r.enough) {
			return n, nil
		}
		mark := r.tx.Len()
		j.unit, j.steps = r.tx.Unit(), nil
		if j.err = j.run(r.tx); j.err != nil {
			r.tx.RollBack(mark)
			if j.isAway(ctx) {
				return n, j.err
			}
			continue
		}
		r.pending.count(j, -1)
		j.steps = r.cascade(mark)
		if r.tx.Len() > log.MaxBatch {
			r.tx.RollBack(mark)
			return n, nil
		}
	}
	return len(jobs), nil
}

// cascade decides about the facts from an index on in the same transaction, and about what follows from those, in every
// domain that this process runs. A step that fails is rolled back alone, and decided when its event is read.
func (r *round) cascade(from int) (steps []step) {
	for i := from; i < r.tx.Len(); i++ {
		fact := r.tx.Fact(i)
		full := r.tx.Len()-from >= maxCascade || time.Now().After(r.enough)
		for _, l := range r.decider.lanes {
			handle := l.routes[fact.Type]
			if handle == nil {
				continue
			}
			if full || !r.mayEnter(l, i, fact) {
				r.pending[entityOf{l, fact.Subject}]++
				continue
			}
			mark := r.tx.Len()
			switch err := r.step(l, fact, handle); {
			case err != nil:
				r.tx.RollBack(mark)
				r.pending[entityOf{l, fact.Subject}]++
			case r.tx.Len() > mark:
				steps = append(steps, step{l, i})
			}
		}
	}
	return steps
}

// mayEnter reports whether a cascade may go on in a lane: this process runs it, operators have not paused it, and it has
// handled what the entity said before.
func (r *round) mayEnter(l *decideLane, i int, fact events.Event) bool {
	return l.active && !l.stuck && !l.pausedNow() && r.tx.Before(i) <= l.taken && r.pending[entityOf{l, fact.Subject}] == 0
}

// step makes one decision of a cascade. One to do nothing is made again when the fact is read: another process may have
// changed, before the fact was stored, what it was made on.
func (r *round) step(l *decideLane, fact events.Event, handle func(*log.Tx, events.Event) error) error {
	r.tx.As(l.domain)
	r.tx.CausedBy(fact)
	r.tx.Followed(false)
	return safely(func() error { return handle(r.tx, fact) })
}

// alone makes a decision in a transaction of its own, again for as long as others are faster. An event that cannot be
// handled becomes a dead letter.
func (d *decider) alone(ctx context.Context, j *job) error {
	if j.lane == nil {
		j.err = errAlone
		return nil
	}
	var tx *log.Tx
	var steps []step
	attempts := 0
	err := j.lane.domain.Do(ctx, func(t *log.Tx) error {
		attempts++
		tx, steps = t, nil
		if err := j.run(t); err != nil {
			return err
		}
		if t.Len() > log.MaxBatch {
			return log.ErrTooLarge
		}
		if attempts > maxCascadeAttempts {
			return nil
		}
		r := &round{decider: d, tx: t, pending: pendingOf(d.unfinished(j)), enough: time.Now().Add(longestGathering)}
		mark := t.Len()
		steps = r.cascade(0)
		if t.Len() > log.MaxBatch {
			t.RollBack(mark)
			steps = nil
		}
		return nil
	})
	switch {
	case err == nil:
		markHandled(tx, steps)
		return nil
	case IsInfrastructure(err):
		return err
	}
	return putDeadLetter(ctx, j.lane.lane, j.item, 1, err)
}

// unfinished is what the lanes have in hand besides a job.
func (d *decider) unfinished(but *job) (jobs []*job) {
	for _, l := range d.lanes {
		jobs = append(jobs, only(l.batch, func(j *job) bool { return j != but })...)
	}
	return jobs
}

// routesOf indexes routes by the type of their events.
func routesOf(routes []Route) map[string]func(*log.Tx, events.Event) error {
	byType := make(map[string]func(*log.Tx, events.Event) error, len(routes))
	for _, r := range routes {
		byType[r.eventType] = r.handle
	}
	return byType
}
