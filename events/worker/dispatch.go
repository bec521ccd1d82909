package worker

import (
	"context"
	"fmt"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Delivery is an event of the log that is to be handled.
type Delivery struct {
	Item    *Item
	Lane    string // that handles the event; default: every lane that has a route for it
	Attempt int    // number of the attempt, from 1; see [Attempt]
}

// Dispatcher handles events by the routes of domains. Live lanes, redeliveries and dry runs all go through it, so that a dry
// run shows what a redelivery does, and a redelivery does what the lane did at first.
type Dispatcher struct {
	decides []*decideLane
	actors  []*actRoutes
}

// actRoutes are the routes of an [Actor], by event type.
type actRoutes struct {
	name   string
	byType map[string]func(context.Context, events.Event) error
}

func actRoutesOf(a Actor) *actRoutes {
	byType := make(map[string]func(context.Context, events.Event) error, len(a.Routes))
	for _, r := range a.Routes {
		byType[r.eventType] = r.handle
	}
	return &actRoutes{name: a.Name, byType: byType}
}

// NewDispatcher returns a dispatcher for a process that runs no lanes, such as a tool. The Log of each domain must be the
// domain's own handle.
func NewDispatcher(domains ...Domain) *Dispatcher {
	d := &Dispatcher{}
	for _, domain := range domains {
		if len(domain.Routes) > 0 {
			d.decides = append(d.decides, newDecideLane(&lane{name: domain.Name, log: domain.Log}, domain.Log, domain.Routes))
		}
		for _, a := range domain.Actors {
			d.actors = append(d.actors, actRoutesOf(a))
		}
	}
	return d
}

// Effects is the result of a dry run: the effects that handling an event would have.
type Effects struct {
	Facts    []Effect  `json:"facts"`    // that domains would append, in order
	Acts     []Effect  `json:"acts"`     // that actors would make, for the event and for those facts
	Failures []Failure `json:"failures"` // of lanes; each would become a dead letter
}

// Effect is a fact that a domain would append, or an event that an actor would act on.
type Effect struct {
	Handler string `json:"by"` // the domain, or the lane of the actor
	Type    string `json:"type"`
	Subject string `json:"subject"`
}

// Failure is an event that a lane cannot handle.
type Failure struct {
	Effect `json:"event"`
	Error  string `json:"error"`
}

func (e *Effects) fail(handler string, item *Item, err error) {
	e.Failures = append(e.Failures, Failure{Effect{handler, item.Type(), item.Subject}, err.Error()})
}

// Dispatch handles an event: decide lanes commit their decisions with the cascade, actors act.
//
// A dry run commits nothing and does not act. It decides the cascade in all domains and returns what handling the event would
// do. A handler that fails is then a part of the result, not an error.
//
// An event that was declared void is not handled. The errors are those of the handlers, and those of [IsInfrastructure],
// whose cause is not the event.
func (d *Dispatcher) Dispatch(ctx context.Context, delivery Delivery, dryRun bool) (effects Effects, err error) {
	if delivery.Item.Voided() {
		void := fmt.Errorf("event %d was declared void: discard its dead letter", delivery.Item.Sequence)
		if dryRun {
			effects.fail(delivery.Lane, delivery.Item, void)
			return effects, nil
		}
		return effects, DeadLetter(void)
	}
	known := false
	takes := func(lane string, routed bool) bool {
		takes := delivery.Lane == lane || delivery.Lane == "" && routed
		known = known || takes
		return takes
	}
	eventType := delivery.Item.Type()
	for _, l := range d.decides {
		if takes(l.name, l.routes[eventType] != nil) {
			if err := d.decide(ctx, l, delivery.Item, dryRun, &effects); err != nil {
				return effects, err
			}
		}
	}
	for _, a := range d.actors {
		if takes(a.name, a.byType[eventType] != nil) {
			if err := a.dispatch(ctx, delivery, dryRun, &effects); err != nil {
				return effects, err
			}
		}
	}
	if !known && delivery.Lane != "" {
		return effects, fmt.Errorf("lane %q does not exist, or neither decides nor acts", delivery.Lane)
	}
	return effects, nil
}

// decide decides about an event in a transaction of its own. After a conflict it decides again.
func (d *Dispatcher) decide(ctx context.Context, l *decideLane, item *Item, dryRun bool, effects *Effects) error {
	run := l.domain.Do
	if dryRun {
		run = l.domain.DryRun
	}
	j, r, attempts := &job{lane: l, item: item}, (*round)(nil), 0
	err := run(ctx, func(tx *eventlog.Tx) error {
		attempts++
		r = d.newRound(tx, append(d.unfinishedJobs(item), j))
		r.dryRun, r.alone = dryRun, !dryRun && attempts > maxCascadeAttempts
		own, err := r.dispatch(j)
		if err == nil && tx.Len() > eventlog.MaxBatch {
			tx.RollBack(own)
			j.steps = nil
		}
		return err
	})
	switch {
	case dryRun && (err == nil || !IsInfrastructure(err)):
		d.addEffects(effects, r, j, err)
		return nil
	case err == nil:
		markHandled(r.tx, j.steps)
	}
	return err
}

// addEffects adds the decisions of a dry run about an event, or the reason why it could not decide.
func (d *Dispatcher) addEffects(effects *Effects, r *round, j *job, err error) {
	if err != nil {
		effects.fail(j.lane.name, j.item, err)
		return
	}
	for i := range r.tx.Len() {
		fact := r.tx.Fact(i)
		effects.Facts = append(effects.Facts, Effect{fact.Source, fact.Type, fact.Subject})
		for _, a := range d.actors {
			if a.byType[fact.Type] != nil {
				effects.Acts = append(effects.Acts, Effect{a.name, fact.Type, fact.Subject})
			}
		}
	}
	effects.Failures = append(effects.Failures, r.failures...)
}

// dispatch acts on an event.
func (a *actRoutes) dispatch(ctx context.Context, delivery Delivery, dryRun bool, effects *Effects) error {
	e, err := delivery.Item.Event()
	handle := a.byType[e.Type]
	if err == nil && handle == nil {
		err = fmt.Errorf("no route for %s", e.Type)
	}
	switch {
	case err != nil && dryRun:
		effects.fail(a.name, delivery.Item, err)
		return nil
	case err != nil:
		return DeadLetter(err)
	case dryRun:
		effects.Acts = append(effects.Acts, Effect{a.name, delivery.Item.Type(), delivery.Item.Subject})
		return nil
	}
	return safely(func() error { return handle(context.WithValue(ctx, attemptKey{}, delivery.Attempt), e) })
}

// newRound begins to fill a transaction. jobs are the events that the lanes have yet to decide about.
func (d *Dispatcher) newRound(tx *eventlog.Tx, jobs []*job) *round {
	return &round{lanes: d.decides, tx: tx, pending: pendingOf(jobs), deadline: time.Now().Add(maxRoundTime)}
}

// unfinishedJobs are the jobs that the lanes have taken and not decided, except those of one event.
func (d *Dispatcher) unfinishedJobs(except *Item) (jobs []*job) {
	for _, l := range d.decides {
		jobs = append(jobs, filter(l.jobs, func(j *job) bool { return j.item != except })...)
	}
	return jobs
}
