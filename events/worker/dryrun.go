package worker

import (
	"context"
	"encoding/json"
	"fmt"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Effects is the result of a dry run: the effects that handling an event would have.
type Effects struct {
	Facts    []Fact    `json:"facts"`    // that domains would append, in order
	Acts     []Effect  `json:"acts"`     // that actors would make, for the event and for those facts
	Done     []DoneAct `json:"done"`     // acts that were made before, and would not be made again
	Failures []Failure `json:"failures"` // of lanes; each would become a dead letter
}

// Effect is a fact that a domain would append, or an event that an actor would act on.
type Effect struct {
	Handler string `json:"by"` // the domain, or the lane of the actor
	Type    string `json:"type"`
	Subject string `json:"subject"`
}

// Fact is a fact that a domain would append.
type Fact struct {
	Effect
	Body json.RawMessage `json:"body"`
}

// DoneAct is an act that was made before.
type DoneAct struct {
	Effect
	Done
}

// Failure is an event that a lane cannot handle.
type Failure struct {
	Effect `json:"event"`
	Error  string `json:"error"`
}

func (e *Effects) fail(handler string, item *Item, err error) {
	e.Failures = append(e.Failures, Failure{effectOf(handler, item), err.Error()})
}

func effectOf(handler string, item *Item) Effect { return Effect{handler, item.Type(), item.Subject} }

// Nothing reports whether handling the event would have no effect.
func (e Effects) Nothing() bool { return len(e.Facts)+len(e.Acts)+len(e.Failures) == 0 }

// DryRun finds out what handling events would do, one after another: each event meets the facts that the ones before it would
// append, as it does in a real run. It commits nothing and does not act, so it does not know what acts would record.
type DryRun struct {
	dispatcher *Dispatcher
	before     []Delivery // the newest that would append facts
}

// maxBefore bounds the deliveries whose facts a dry run keeps.
const maxBefore = 1000

// NewDryRun returns a dry run that begins with the newest states.
func (d *Dispatcher) NewDryRun() *DryRun { return &DryRun{dispatcher: d} }

// Handle returns what handling some events would do, in the order given; it is fastest with about a hundred at a time. Its errors are those of
// [IsInfrastructure]; a handler that fails is a part of the result.
func (r *DryRun) Handle(ctx context.Context, deliveries ...Delivery) ([]Effects, error) {
	all := make([]Effects, len(deliveries))
	if err := r.decide(ctx, deliveries, all); err != nil {
		return all, err
	}
	for i, delivery := range deliveries {
		if len(all[i].Facts) > 0 {
			r.before = append(r.before, delivery)
		}
		if err := r.lookUp(ctx, delivery, &all[i]); err != nil {
			return all, err
		}
	}
	r.before = r.before[max(len(r.before)-maxBefore, 0):]
	return all, nil
}

// decide makes the decisions about events in one transaction, after those of earlier ones that would append facts.
func (r *DryRun) decide(ctx context.Context, deliveries []Delivery, all []Effects) error {
	d := r.dispatcher
	if len(d.decides) == 0 {
		return nil
	}
	return d.decides[0].domain.DryRun(ctx, func(tx *eventlog.Tx) error {
		clear(all)
		round := d.newRound(tx, nil)
		round.dryRun = true
		for _, delivery := range r.before {
			if err := round.decideDry(d, delivery, &Effects{}); err != nil {
				return err
			}
		}
		for i, delivery := range deliveries {
			if err := round.decideDry(d, delivery, &all[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// decideDry makes the decisions about an event and adds them to its effects.
func (r *round) decideDry(d *Dispatcher, delivery Delivery, effects *Effects) error {
	decides, _, err := d.lanesOf(delivery)
	if err != nil || delivery.Item.Voided() {
		return err
	}
	for _, l := range decides {
		mark := r.tx.Len()
		r.failures = nil
		_, err := r.dispatch(&job{lane: l, item: delivery.Item})
		switch {
		case err != nil && (IsInfrastructure(err) || eventlog.IsConflict(err)):
			return err
		case err != nil:
			effects.fail(l.name, delivery.Item, err)
			continue
		}
		effects.Failures = append(effects.Failures, r.failures...)
		if err := d.addFacts(effects, r.tx, mark); err != nil {
			return err
		}
	}
	return nil
}

// addFacts adds the facts of a transaction from an index on, and the acts that they would lead to.
func (d *Dispatcher) addFacts(effects *Effects, tx *eventlog.Tx, from int) error {
	for i := from; i < tx.Len(); i++ {
		fact := tx.Fact(i)
		body, err := events.Encode(fact)
		if err != nil {
			return fmt.Errorf("encode %s for a dry run: %w", fact.Type, err)
		}
		effects.Facts = append(effects.Facts, Fact{Effect{fact.Source, fact.Type, fact.Subject}, body.Data})
		for _, a := range d.actors {
			if a.takes(fact.Type) {
				effects.Acts = append(effects.Acts, Effect{a.name, fact.Type, fact.Subject})
			}
		}
	}
	return nil
}

// lookUp adds the acts of the event itself.
func (r *DryRun) lookUp(ctx context.Context, delivery Delivery, effects *Effects) error {
	if delivery.Item.Voided() {
		effects.fail(delivery.Lane, delivery.Item, voided(delivery.Item))
		return nil
	}
	_, actors, err := r.dispatcher.lanesOf(delivery)
	for _, a := range actors {
		if err := a.lookUp(ctx, delivery.Item, effects); err != nil {
			return err
		}
	}
	return err
}

// lookUp adds the act of an event: made before, to be made, or impossible.
func (a *actRoutes) lookUp(ctx context.Context, item *Item, effects *Effects) error {
	e, route, err := a.route(item)
	done := Done{}
	if err == nil {
		done, err = route.lookUp(ctx, e)
	}
	switch {
	case err != nil && IsInfrastructure(err):
		return err
	case err != nil:
		effects.fail(a.name, item, err)
	case done.IsDone():
		effects.Done = append(effects.Done, DoneAct{effectOf(a.name, item), done})
	default:
		effects.Acts = append(effects.Acts, effectOf(a.name, item))
	}
	return nil
}
