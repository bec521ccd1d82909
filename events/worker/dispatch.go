package worker

import (
	"context"
	"fmt"
	"slices"
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
	byType map[string]ActRoute
}

func (a *actRoutes) takes(eventType string) bool {
	_, takes := a.byType[eventType]
	return takes
}

func actRoutesOf(a Actor) *actRoutes {
	byType := make(map[string]ActRoute, len(a.Routes))
	for _, r := range a.Routes {
		byType[r.eventType] = r
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

// Dispatch handles an event: decide lanes commit their decisions with the cascade, actors act.
//
// A dry run commits nothing and does not act. It decides the cascade in all domains and returns what handling the event would
// do. A handler that fails is then a part of the result, not an error.
//
// An event that was declared void is not handled. The errors are those of the handlers, and those of [IsInfrastructure],
// whose cause is not the event.
func (d *Dispatcher) Dispatch(ctx context.Context, delivery Delivery, dryRun bool) (Effects, error) {
	decides, actors, err := d.lanesOf(delivery)
	switch {
	case err != nil:
		return Effects{}, err
	case dryRun:
		all, err := d.NewDryRun().Handle(ctx, delivery)
		return all[0], err
	case delivery.Item.Voided():
		return Effects{}, DeadLetter(voided(delivery.Item))
	}
	for _, l := range decides {
		if err := d.decide(ctx, l, delivery.Item); err != nil {
			return Effects{}, err
		}
	}
	for _, a := range actors {
		if err := a.act(ctx, delivery); err != nil {
			return Effects{}, err
		}
	}
	return Effects{}, nil
}

func voided(item *Item) error {
	return fmt.Errorf("event %d was declared void: discard its dead letter", item.Sequence)
}

// lanesOf returns the lanes that handle an event: the one that the delivery names, or those with a route.
func (d *Dispatcher) lanesOf(delivery Delivery) (decides []*decideLane, actors []*actRoutes, err error) {
	eventType := delivery.Item.Type()
	takes := func(lane string, routed bool) bool { return delivery.Lane == lane || delivery.Lane == "" && routed }
	for _, l := range d.decides {
		if takes(l.name, l.routes[eventType] != nil) {
			decides = append(decides, l)
		}
	}
	for _, a := range d.actors {
		if takes(a.name, a.takes(eventType)) {
			actors = append(actors, a)
		}
	}
	if delivery.Lane != "" && len(decides)+len(actors) == 0 {
		return nil, nil, fmt.Errorf("lane %q does not exist, or neither decides nor acts", delivery.Lane)
	}
	return decides, actors, nil
}

// Lanes returns the names of the decide and act lanes, sorted.
func (d *Dispatcher) Lanes() (lanes []string) {
	for _, l := range d.decides {
		lanes = append(lanes, l.name)
	}
	for _, a := range d.actors {
		lanes = append(lanes, a.name)
	}
	slices.Sort(lanes)
	return lanes
}

// Takes reports whether a lane handles events of a type.
func (d *Dispatcher) Takes(lane, eventType string) bool {
	return slices.ContainsFunc(d.decides, func(l *decideLane) bool { return l.name == lane && l.routes[eventType] != nil }) ||
		slices.ContainsFunc(d.actors, func(a *actRoutes) bool { return a.name == lane && a.takes(eventType) })
}

// decide decides about an event in a transaction of its own. After a conflict it decides again.
func (d *Dispatcher) decide(ctx context.Context, l *decideLane, item *Item) error {
	j, r, attempts := &job{lane: l, item: item}, (*round)(nil), 0
	err := l.domain.Do(ctx, func(tx *eventlog.Tx) error {
		attempts++
		r = d.newRound(tx, append(d.unfinishedJobs(item), j))
		r.alone = attempts > maxCascadeAttempts
		own, err := r.dispatch(j)
		if err == nil && tx.Len() > eventlog.MaxBatch {
			tx.RollBack(own)
			j.steps = nil
		}
		return err
	})
	if err == nil {
		markHandled(r.tx, j.steps)
	}
	return err
}

// route returns an event and the route by which the lane acts on it.
func (a *actRoutes) route(item *Item) (events.Event, ActRoute, error) {
	e, err := item.Event()
	route, known := a.byType[e.Type]
	if err == nil && !known {
		err = fmt.Errorf("no route for %s", e.Type)
	}
	return e, route, err
}

// act acts on an event.
func (a *actRoutes) act(ctx context.Context, delivery Delivery) error {
	e, route, err := a.route(delivery.Item)
	if err != nil {
		return DeadLetter(err)
	}
	return safely(func() error { return route.handle(context.WithValue(ctx, attemptKey{}, delivery.Attempt), e) })
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
