package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Route is an event type and the function that decides about its events.
type Route struct {
	eventType string
	handle    func(tx *eventlog.Tx, e events.Event) error
}

// On returns the route of events whose payload is P. An error makes the event a dead letter, except for the errors of
// [IsInfrastructure].
func On[P events.Payload](handle func(tx *eventlog.Tx, e events.Event, p P) error) Route {
	var zero P
	return Route{eventType: zero.EventType(), handle: func(tx *eventlog.Tx, e events.Event) error {
		p, err := payloadOf[P](e)
		if err != nil {
			return err
		}
		return handle(tx, e, p)
	}}
}

// ActRoute is an event type and the function that acts on its events.
type ActRoute struct {
	eventType string
	handle    func(ctx context.Context, e events.Event) error
	done      func(ctx context.Context, e events.Event) (Done, error) // nil: only an attempt can find out
}

// Done says which act was made already, such as "mail sent". The zero Done says that the act is still to be made.
type Done struct {
	What string    `json:"what,omitempty"`
	When time.Time `json:"when,omitzero"` // zero: not known
}

// IsDone reports whether the act was made.
func (d Done) IsDone() bool { return d.What != "" }

// Do returns the act route of events whose payload is P. The error of handle decides what follows: see [RetryAfter],
// [Defer], [OpenCircuit] and [DeadLetter].
func Do[P events.Payload](handle func(ctx context.Context, e events.Event, p P) error) ActRoute {
	var zero P
	return ActRoute{eventType: zero.EventType(), handle: func(ctx context.Context, e events.Event) error {
		p, err := payloadOf[P](e)
		if err != nil {
			return err
		}
		return handle(ctx, e, p)
	}}
}

// DoOnce is Do for an act whose entity shows whether it was made. done looks at the newest state of the entity and has no effect.
// Dry runs show its answer, and a replay makes only the acts that are not done.
func DoOnce[P events.Payload](handle func(ctx context.Context, e events.Event, p P) error, done func(ctx context.Context, p P) (Done, error)) ActRoute {
	route := Do(handle)
	route.done = func(ctx context.Context, e events.Event) (Done, error) {
		p, err := payloadOf[P](e)
		if err != nil {
			return Done{}, err
		}
		return done(ctx, p)
	}
	return route
}

func payloadOf[P events.Payload](e events.Event) (P, error) {
	p, ok := e.Payload.(P)
	if !ok {
		return p, fmt.Errorf("payload of %s is %T", e.Type, e.Payload)
	}
	return p, nil
}

// outcome is an error that says what happens next with the event.
type outcome struct {
	err         error
	delay       time.Duration
	deadLetter  bool
	openCircuit bool
	deferred    bool
}

func (o *outcome) Error() string { return o.err.Error() }
func (o *outcome) Unwrap() error { return o.err }

// RetryAfter retries an act after d, without a limit to the attempts: for a destination that is busy or unavailable.
func RetryAfter(d time.Duration, err error) error { return &outcome{err: err, delay: d} }

// Defer is RetryAfter for an act that fails although its destination works, such as a mail to a recipient whose mailbox is full.
// A deferred act does not count as a failure of the destination, and closes an open circuit.
func Defer(d time.Duration, err error) error { return &outcome{err: err, delay: d, deferred: true} }

// DeadLetter makes the event a dead letter at once, because a retry would fail in the same way.
func DeadLetter(err error) error { return &outcome{err: err, deadLetter: true} }

// OpenCircuit opens the circuit of the lane: every act would fail in the same way, for example because the mail server refuses
// the shop. The lane then tries one act from time to time, and closes the circuit when one succeeds.
func OpenCircuit(err error) error { return &outcome{err: err, openCircuit: true} }

// isOpenCircuit reports whether an error opens the circuit of the lane at once.
func isOpenCircuit(err error) bool {
	var o *outcome
	return errors.As(err, &o) && o.openCircuit
}

// isDeferred reports whether an error comes from [Defer].
func isDeferred(err error) bool {
	var o *outcome
	return errors.As(err, &o) && o.deferred
}

// IsInfrastructure reports whether an error has a cause other than the event: the log is unavailable, or the process stops.
func IsInfrastructure(err error) bool {
	return errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrContention) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// safely runs a handler and turns a panic into an error with the stack.
func safely(run func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{value: r, frames: frames()}
		}
	}()
	return run()
}

// panicError is a panic of a handler.
type panicError struct {
	value  any
	frames string // innermost first, "function:line function:line …"
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v at %s", p.value, p.frames) }
