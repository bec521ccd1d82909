package worker

import (
	"context"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Bounds of a cascade: events that it appends, and attempts that met a conflict. Decisions beyond these
// bounds are made when their events are read.
const (
	maxCascade         = 200
	maxCascadeAttempts = 3
)

// step is a decision of a cascade: a lane decided about a fact of the same transaction.
type step struct {
	lane *decideLane
	fact int // index in the transaction
}

// round is one transaction of the loop while it is being filled.
type round struct {
	lanes    []*decideLane
	tx       *eventlog.Tx
	pending  pending
	deadline time.Time // when no more jobs are decided

	alone  bool // no cascade
	dryRun bool // not committed; the cascade enters all lanes, as far as one transaction holds it

	failures    []Failure // of steps, in a dry run
	unavailable error     // why a dry run cannot decide the cascade
}

// pending counts the events of an entity that a lane has yet to decide about. A cascade must not overtake them: a domain sees
// the events of an entity in the order of the log.
type pending map[entityInLane]int

type entityInLane struct {
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
		p[entityInLane{j.lane, j.item.Subject}] += n
	}
}

// fill decides about as many jobs as fit into the transaction and its time, and returns how many. A job that fails leaves no
// fact in it. A job that fails because the log is unavailable ends the round, with its error, so that the decisions before it
// are kept. A request to handle events again ends it too, because it begins after the jobs before it.
func (r *round) fill(ctx context.Context, jobs []*job) (int, error) {
	for n, j := range jobs {
		if j.request != nil || n > 0 && time.Now().After(r.deadline) {
			return n, nil
		}
		mark := r.tx.Len()
		j.unit = r.tx.Unit()
		if _, j.err = r.dispatch(j); j.err != nil {
			if j.isLogUnavailable(ctx) {
				return n, j.err
			}
			continue
		}
		if r.tx.Len() > eventlog.MaxBatch {
			r.tx.RollBack(mark)
			return n, nil
		}
	}
	return len(jobs), nil
}

// dispatch decides about a job and its cascade. Every decision is made by dispatch: in a round of the loop, alone, when
// an event is handled again, and in a dry run. own is the number of facts in the transaction before the cascade. After an error the transaction holds no
// fact of the job.
func (r *round) dispatch(j *job) (own int, err error) {
	mark := r.tx.Len()
	j.steps = nil
	if err = j.run(r.tx); err == nil && r.tx.Len()-mark > eventlog.MaxBatch {
		err = eventlog.ErrTooLarge
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
	return own, r.unavailable
}

// cascade decides about the facts of the transaction from an index on, and about the facts that these decisions append, in
// every lane that it may enter. A step that fails is rolled back alone and decided when its event is read.
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
				r.pending[entityInLane{l, fact.Subject}]++
				continue
			}
			mark := r.tx.Len()
			switch err := r.decideStep(l, fact, handle); {
			case err != nil:
				r.tx.RollBack(mark)
				r.pending[entityInLane{l, fact.Subject}]++
				r.stepFailed(l, fact, err)
			case r.tx.Len() > mark:
				steps = append(steps, step{l, i})
			}
		}
	}
	return steps
}

// isFull reports whether a cascade that began at an index must stop.
func (r *round) isFull(from int) bool {
	if r.dryRun {
		return r.tx.Len()-from >= eventlog.MaxBatch
	}
	return r.tx.Len()-from >= maxCascade || time.Now().After(r.deadline)
}

// mayEnter reports whether a cascade may enter a lane: this process runs the lane, operators have not paused it, and it has
// handled every earlier event of the entity.
func (r *round) mayEnter(l *decideLane, i int, fact events.Event) bool {
	if r.dryRun {
		return true
	}
	return l.active && !l.blocked && !l.isPaused() && r.tx.PreviousSequence(i) <= l.taken && r.pending[entityInLane{l, fact.Subject}] == 0
}

// decideStep makes one decision of a cascade. A decision that appends nothing is repeated when its event is read: before the
// event was stored, another process may have changed the state on which it was made.
func (r *round) decideStep(l *decideLane, fact events.Event, handle func(*eventlog.Tx, events.Event) error) error {
	r.tx.ForDomain(l.domain)
	r.tx.CausedBy(fact)
	r.tx.TrustCache(false)
	return safely(func() error { return handle(r.tx, fact) })
}

// stepFailed records a step that failed in a dry run. In a live run the step is repeated when its event is read.
func (r *round) stepFailed(l *decideLane, fact events.Event, err error) {
	switch {
	case !r.dryRun:
	case IsInfrastructure(err), eventlog.IsConflict(err):
		r.unavailable = err
	default:
		r.failures = append(r.failures, Failure{Effect{l.name, fact.Type, fact.Subject}, err.Error()})
	}
}

// markHandled lets the lanes skip the events that were decided about in the transaction which appended them.
func markHandled(tx *eventlog.Tx, steps []step) {
	for _, s := range steps {
		if seq := tx.Sequence(s.fact); seq > 0 && s.lane.active && seq > s.lane.taken {
			s.lane.handled[seq] = true
		}
	}
}
