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
	if err := d.log.Damage(); err != nil { // nothing can be appended, and what is decided could leave something out
		for _, j := range jobs {
			d.end(j, err)
		}
		return nil
	}
	r := d.round(d.log.BeginCached(ctx), jobs)
	n, err := r.fill(ctx, jobs)
	if n == 0 && err == nil { // the first job is a redelivery, or with what follows too much for one transaction
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

// round is one transaction in the making.
type round struct {
	lanes   []*decideLane
	tx      *log.Tx
	pending pending
	enough  time.Time // when no more is taken in

	alone bool // nothing that follows is decided
	dry   bool // it will not be committed: what follows is decided in all lanes, as far as one transaction holds it

	failures []Failure // of steps, in a dry run
	away     error     // why a dry run cannot say what follows
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
	if j.lane != nil && j.item != nil {
		p[entityOf{j.lane, j.item.Subject}] += n
	}
}

// fill fills the transaction with the facts of as many jobs as fit and are decided in time, and returns how many. A job that
// fails leaves no fact behind. One for which the log is away ends the transaction, with its error: what was decided before
// it need not be decided again. So does a redelivery: what became of it is written down before anything else happens.
func (r *round) fill(ctx context.Context, jobs []*job) (int, error) {
	for n, j := range jobs {
		if j.again != nil || n > 0 && time.Now().After(r.enough) {
			return n, nil
		}
		mark := r.tx.Len()
		j.unit = r.tx.Unit()
		if _, j.err = r.dispatch(j); j.err != nil {
			if j.isAway(ctx) {
				return n, j.err
			}
			continue
		}
		if r.tx.Len() > log.MaxBatch {
			r.tx.RollBack(mark)
			return n, nil
		}
	}
	return len(jobs), nil
}

// dispatch decides about a job, and about what follows from it, in the round's transaction. Every event that is decided about is
// decided about here: in a round of the loop, by itself, when it is delivered again, and in a dry run. own is how many facts the
// transaction holds with those of the job itself, without what follows. After an error it holds none of the job.
func (r *round) dispatch(j *job) (own int, err error) {
	mark := r.tx.Len()
	j.steps = nil
	if err = j.run(r.tx); err == nil && r.tx.Len()-mark > log.MaxBatch {
		err = log.ErrTooLarge
	}
	if err != nil {
		r.tx.RollBack(mark)
		return mark, err
	}
	r.pending.count(j, -1)
	own = r.tx.Len()
	if !r.alone {
		j.steps = r.cascade(mark)
	}
	return own, r.away
}

// cascade decides about the facts from an index on in the same transaction, and about what follows from those, in every
// domain that this process runs. A step that fails is rolled back alone, and decided when its event is read.
func (r *round) cascade(from int) (steps []step) {
	for i := from; i < r.tx.Len(); i++ {
		fact := r.tx.Fact(i)
		full := r.isFull(from)
		for _, l := range r.lanes {
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
				r.failed(l, fact, err)
			case r.tx.Len() > mark:
				steps = append(steps, step{l, i})
			}
		}
	}
	return steps
}

// isFull reports whether a cascade that began at an index goes no further.
func (r *round) isFull(from int) bool {
	if r.dry {
		return r.tx.Len() >= log.MaxBatch
	}
	return r.tx.Len()-from >= maxCascade || time.Now().After(r.enough)
}

// failed notes a step that failed in a dry run. Live it is repeated when its event is read.
func (r *round) failed(l *decideLane, fact events.Event, err error) {
	switch {
	case !r.dry:
	case IsInfrastructure(err), log.IsConflict(err):
		r.away = err
	default:
		r.failures = append(r.failures, Failure{Effect{l.name, fact.Type, fact.Subject}, err.Error()})
	}
}

// mayEnter reports whether a cascade may go on in a lane: this process runs it, operators have not paused it, and it has
// handled what the entity said before.
func (r *round) mayEnter(l *decideLane, i int, fact events.Event) bool {
	if r.dry {
		return true
	}
	return l.active && !l.stuck && !l.pausedNow() && r.tx.PreviousSequence(i) <= l.taken && r.pending[entityOf{l, fact.Subject}] == 0
}

// step makes one decision of a cascade. One to do nothing is made again when the fact is read: another process may have
// changed, before the fact was stored, what it was made on.
func (r *round) step(l *decideLane, fact events.Event, handle func(*log.Tx, events.Event) error) error {
	r.tx.ForDomain(l.domain)
	r.tx.CausedBy(fact)
	r.tx.TrustCache(false)
	return safely(func() error { return handle(r.tx, fact) })
}

// alone makes a decision in a transaction of its own. An event that cannot be handled becomes a dead letter.
func (d *decider) alone(ctx context.Context, j *job) error {
	switch {
	case j.lane == nil:
		j.err = errAlone
		return nil
	case j.again != nil:
		return d.redeliver(ctx, j)
	}
	_, err := d.Dispatch(ctx, Delivery{Item: j.item, Lane: j.lane.name, Attempt: 1}, false)
	if err == nil || IsInfrastructure(err) {
		return err
	}
	return putDeadLetter(ctx, j.lane.lane, j.item, 1, err)
}
