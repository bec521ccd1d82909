package worker

import (
	"context"
	"fmt"
	"time"

	"tillstream/events"
	"tillstream/events/log"
)

// Delivery is an event of the log that is to be handled.
type Delivery struct {
	Item    *Item
	Lane    string // that handles it; default every lane that has a route for it
	Attempt int    // which attempt at it this is, from 1; from the second on an act looks before it repeats
}

// Dispatcher handles events of the log by the routes of domains. Live lanes, redeliveries and dry runs go through it, so that
// a dry run shows what a redelivery does, and a redelivery does what the lane would have done at first.
type Dispatcher struct {
	decides []*decideLane
	actors  []*actor
}

// actor is the routes of an [Actor], by the type of their events.
type actor struct {
	name   string
	routes map[string]func(context.Context, events.Event) error
}

// NewDispatcher returns a dispatcher for a process that runs no lanes, such as a tool. Each domain's Log is the handle as which
// it decides.
func NewDispatcher(domains ...Domain) *Dispatcher {
	d := &Dispatcher{}
	for _, domain := range domains {
		if len(domain.Routes) > 0 {
			d.add(&decideLane{lane: &lane{name: domain.Name, log: domain.Log}, domain: domain.Log, routes: routesOf(domain.Routes)})
		}
		for _, a := range domain.Actors {
			d.actors = append(d.actors, actorOf(a))
		}
	}
	return d
}

func (d *Dispatcher) add(l *decideLane) { d.decides = append(d.decides, l) }

func actorOf(a Actor) *actor {
	routes := make(map[string]func(context.Context, events.Event) error, len(a.Routes))
	for _, r := range a.Routes {
		routes[r.eventType] = r.handle
	}
	return &actor{name: a.Name, routes: routes}
}

// Effects is what a dry run finds that handling an event would do now.
type Effects struct {
	Facts    []Effect  `json:"facts"`    // that domains would append, in order
	Acts     []Effect  `json:"acts"`     // that actors would make: about the event, and about those facts
	Failures []Failure `json:"failures"` // of lanes: each would be a dead letter
}

// Effect is something that a domain would say, or an event that an actor would act on.
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

// Dispatch handles an event: lanes that decide commit what they decide, actors act. What follows from a decision is decided in
// the same transaction where this process runs the lane for it.
//
// A dry run commits nothing and does not act. It decides what follows in all domains, and returns what handling the event would do;
// a handler that fails is part of the answer, and no error.
//
// An event that was declared void is not handled. The errors are those of the handlers, and those of [IsInfrastructure], which say nothing about the event.
func (d *Dispatcher) Dispatch(ctx context.Context, delivery Delivery, dryRun bool) (all Effects, err error) {
	if delivery.Item.Voided() {
		void := fmt.Errorf("event %d was declared void: discard its dead letter", delivery.Item.Sequence)
		if dryRun {
			all.Failures = append(all.Failures, Failure{Effect{delivery.Lane, delivery.Item.Type(), delivery.Item.Subject}, void.Error()})
			return all, nil
		}
		return all, DeadLetter(void)
	}
	known := false
	takes := func(lane string, has bool) bool {
		takes := delivery.Lane == lane || delivery.Lane == "" && has
		known = known || takes
		return takes
	}
	eventType := delivery.Item.Type()
	for _, l := range d.decides {
		if takes(l.name, l.routes[eventType] != nil) {
			if err := d.decide(ctx, l, delivery.Item, dryRun, &all); err != nil {
				return all, err
			}
		}
	}
	for _, a := range d.actors {
		if takes(a.name, a.routes[eventType] != nil) {
			if err := a.dispatch(ctx, delivery, dryRun, &all); err != nil {
				return all, err
			}
		}
	}
	if !known && delivery.Lane != "" {
		return all, fmt.Errorf("no lane %q decides or acts", delivery.Lane)
	}
	return all, nil
}

// decide decides about an event in a transaction of its own, again for as long as other writers are faster.
func (d *Dispatcher) decide(ctx context.Context, l *decideLane, item *Item, dryRun bool, all *Effects) error {
	run := l.domain.Do
	if dryRun {
		run = l.domain.DryRun
	}
	j, r, attempts := &job{lane: l, item: item}, (*round)(nil), 0
	err := run(ctx, func(tx *log.Tx) error {
		attempts++
		r = d.round(tx, append(d.inHand(item), j))
		r.dry, r.alone = dryRun, !dryRun && attempts > maxCascadeAttempts
		own, err := r.dispatch(j)
		if err == nil && tx.Len() > log.MaxBatch {
			tx.RollBack(own)
			j.steps = nil
		}
		return err
	})
	switch {
	case dryRun && (err == nil || !IsInfrastructure(err)):
		d.note(r, j, err, all)
		return nil
	case err == nil:
		markHandled(r.tx, j.steps)
	}
	return err
}

// note adds to the effects what a dry run has decided about an event, or why it could not.
func (d *Dispatcher) note(r *round, j *job, err error, all *Effects) {
	if err != nil {
		all.Failures = append(all.Failures, Failure{Effect{j.lane.name, j.item.Type(), j.item.Subject}, err.Error()})
		return
	}
	for i := range r.tx.Len() {
		fact := r.tx.Fact(i)
		all.Facts = append(all.Facts, Effect{fact.Source, fact.Type, fact.Subject})
		for _, a := range d.actors {
			if a.routes[fact.Type] != nil {
				all.Acts = append(all.Acts, Effect{a.name, fact.Type, fact.Subject})
			}
		}
	}
	all.Failures = append(all.Failures, r.failures...)
}

// dispatch acts on an event.
func (a *actor) dispatch(ctx context.Context, delivery Delivery, dryRun bool, all *Effects) error {
	e, err := delivery.Item.Event()
	act := a.routes[e.Type]
	if err == nil && act == nil {
		err = fmt.Errorf("no route for %s", e.Type)
	}
	effect := Effect{a.name, delivery.Item.Type(), delivery.Item.Subject}
	switch {
	case err != nil && dryRun:
		all.Failures = append(all.Failures, Failure{effect, err.Error()})
		return nil
	case err != nil:
		return DeadLetter(err)
	case dryRun:
		all.Acts = append(all.Acts, effect)
		return nil
	}
	return safely(func() error { return act(context.WithValue(ctx, attemptKey{}, delivery.Attempt), e) })
}

// round begins to fill a transaction. jobs are what the lanes have yet to decide about.
func (d *Dispatcher) round(tx *log.Tx, jobs []*job) *round {
	return &round{lanes: d.decides, tx: tx, pending: pendingOf(jobs), enough: time.Now().Add(longestGathering)}
}

// inHand is what the lanes have taken and not decided about, but for one event.
func (d *Dispatcher) inHand(but *Item) (jobs []*job) {
	for _, l := range d.decides {
		jobs = append(jobs, only(l.batch, func(j *job) bool { return j.item != but })...)
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
