package worker

import (
	"context"
	"fmt"

	"tillstream/events"
	"tillstream/events/log"
)

// Route is one event type and the decision that it leads to.
type Route struct {
	eventType string
	handle    func(tx *log.Tx, e events.Event) error
}

// On decides about events whose payload is P. An error other than those of [IsInfrastructure] makes the event a dead letter.
func On[P events.Payload](handle func(tx *log.Tx, e events.Event, p P) error) Route {
	var zero P
	return Route{eventType: zero.EventType(), handle: func(tx *log.Tx, e events.Event) error {
		p, ok := e.Payload.(P)
		if !ok {
			return fmt.Errorf("payload of %s is %T", e.Type, e.Payload)
		}
		return handle(tx, e, p)
	}}
}

// ActRoute is one event type and what is done about it in the world.
type ActRoute struct {
	eventType string
	handle    func(ctx context.Context, e events.Event) error
}

// Do acts on events whose payload is P. The error says what happens next: see [RetryAfter], [OpenCircuit] and [DeadLetter].
func Do[P events.Payload](handle func(ctx context.Context, e events.Event, p P) error) ActRoute {
	var zero P
	return ActRoute{eventType: zero.EventType(), handle: func(ctx context.Context, e events.Event) error {
		p, ok := e.Payload.(P)
		if !ok {
			return fmt.Errorf("payload of %s is %T", e.Type, e.Payload)
		}
		return handle(ctx, e, p)
	}}
}
