package worker

import (
	"context"
	"fmt"

	"tillstream/events"
	"tillstream/events/log"
)

// Route is one event type and the decision that it wakes.
type Route struct {
	eventType string
	handle    func(tx *log.Tx, e events.Event) error
}

// On wakes a decision by events whose payload is P. An error other than log.ErrUnavailable parks the event.
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

// Do acts on events whose payload is P. The error says what happens next: see [RetryAfter] and [Park].
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

// open reads a delivery for a set of routes. found is false for an event that nobody here asked for: its body is not
// even decoded. What is not an event of the catalogue is an error, so that it gets parked and seen.
func open[H any](routes map[string]H, m delivery, stream string) (e events.Event, handle H, found bool, err error) {
	if e, err = events.DecodeEnvelope(m.Subject(), m.Headers()); err != nil {
		return e, handle, false, err
	}
	if !events.Known(e.Type) {
		return e, handle, false, fmt.Errorf("%w: %.80q", events.ErrUnknownType, e.Type)
	}
	if handle, found = routes[e.Type]; !found {
		return e, handle, false, nil
	}
	e.Stream, e.Sequence = stream, m.Sequence
	e.Payload, err = events.DecodePayload(e.Type, e.Version, m.Data())
	return e, handle, true, err
}
