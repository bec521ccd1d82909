package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// history is an entity whose state is the types of its events.
func history(prefix string) eventlog.Entity[[]string] {
	return eventlog.Entity[[]string]{Prefix: prefix, Apply: func(said []string, e events.Event) ([]string, error) {
		return append(slices.Clip(said), e.Type), nil
	}}
}

var (
	orders   = history(events.PrefixOrder)
	marks    = history(events.PrefixReservation) // takes note of an order once
	stock    = history(events.PrefixStock)
	payments = history(events.PrefixPayment)
)

// once says something about an entity unless that was said before.
func once(tx *eventlog.Tx, entity eventlog.Entity[[]string], id string, fact events.Payload) error {
	said, err := entity.Load(tx, id)
	if err != nil || slices.Contains(said, fact.EventType()) {
		return err
	}
	return entity.Append(tx, id, fact)
}

// first is once for an entity that should be new: it spares a question to the broker.
func first(tx *eventlog.Tx, entity eventlog.Entity[[]string], id string, fact events.Payload) error {
	said, err := entity.LoadNew(tx, id)
	if err != nil || slices.Contains(said, fact.EventType()) {
		return err
	}
	return entity.Append(tx, id, fact)
}

func markOnce(tx *eventlog.Tx, id string) error {
	return once(tx, marks, id, events.ReservationReleased{OrderID: id})
}

// onPlaced is inventory with one route, for orders that were placed.
func onPlaced(l *eventlog.Log, handle func(tx *eventlog.Tx, id string) error) worker.Domain {
	return worker.Domain{Name: "inventory", Log: l.ForDomain("inventory"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error { return handle(tx, p.OrderID) }),
	}}
}

// marker marks every order that was placed, except those whose name says otherwise.
func marker(l *eventlog.Log) worker.Domain {
	return onPlaced(l, func(tx *eventlog.Tx, id string) error {
		switch {
		case strings.HasPrefix(id, "panic"):
			var nothing map[string]int
			nothing["x"] = 1 //nolint:govet,staticcheck // the panic is the point
		case strings.HasPrefix(id, "refuse"):
			return errors.New("impossible state")
		case strings.HasPrefix(id, "big"):
			for i := range 600 {
				if err := marks.Append(tx, fmt.Sprintf("%s-%d", id, i), events.ReservationReleased{}); err != nil {
					return err
				}
			}
			return nil
		}
		return markOnce(tx, id)
	})
}

// acting is an actor that does do about every order.
func acting(concurrency int, do func(ctx context.Context, id string) error) worker.Domain {
	return worker.Domain{Actors: []worker.Actor{{Name: "actor", Concurrency: concurrency,
		Routes: []worker.ActRoute{worker.Do(func(ctx context.Context, _ events.Event, p events.OrderPlaced) error { return do(ctx, p.OrderID) })}}}}
}

// idle is an act that does nothing.
func idle(context.Context, string) error { return nil }
