package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/events/log"
)

// outcome is an error that says what is to happen with the event.
type outcome struct {
	err        error
	delay      time.Duration
	deadLetter bool
	hold       bool
	works      bool // the destination does
}

func (o *outcome) Error() string { return o.err.Error() }
func (o *outcome) Unwrap() error { return o.err }

// RetryAfter has an act repeated after d, as often as it takes: for a world that is busy or away.
func RetryAfter(d time.Duration, err error) error { return &outcome{err: err, delay: d} }

// Defer is RetryAfter for an event that waits although the destination works, such as a mail whose recipient takes none for
// now. It does not count as a failure of the destination: a lane on hold goes on after it.
func Defer(d time.Duration, err error) error { return &outcome{err: err, delay: d, works: true} }

// DeadLetter sets the event aside for staff at once: repeating it would not help.
func DeadLetter(err error) error { return &outcome{err: err, deadLetter: true} }

// OpenCircuit has the whole lane wait: what is wrong is not this event's fault and would happen to every other one too, such as a
// mail server that refuses the shop. The lane tries one event every now and then, and goes on when one succeeds.
func OpenCircuit(err error) error { return &outcome{err: err, hold: true} }

// retrySchedule is when an act is repeated after an error that says nothing else. After its end the event becomes a dead
// letter.
var retrySchedule = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
}

// next decides what follows a failed attempt (from 1). spread in [0,1) lengthens the delay by up to a quarter, so that
// what failed together does not come back together.
func next(err error, attempt int, spread float64) (delay time.Duration, deadLetter bool) {
	var o *outcome
	switch {
	case errors.As(err, &o):
		delay, deadLetter = o.delay, o.deadLetter
	case IsInfrastructure(err):
		delay = retrySchedule[min(attempt, 5)-1]
	case attempt > len(retrySchedule):
		return 0, true
	default:
		delay = retrySchedule[max(attempt, 1)-1]
	}
	return delay + time.Duration(spread*float64(delay)/4), deadLetter
}

// isOpenCircuit reports whether an error puts the lane on hold.
func isOpenCircuit(err error) bool {
	var o *outcome
	return errors.As(err, &o) && o.hold
}

// isDeferred reports whether an error says that the destination works and this event waits.
func isDeferred(err error) bool {
	var o *outcome
	return errors.As(err, &o) && o.works
}

// IsInfrastructure reports whether an error says nothing about the event: the log is away, or the process is stopping.
func IsInfrastructure(err error) bool {
	return errors.Is(err, log.ErrUnavailable) || errors.Is(err, log.ErrContention) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// safely runs a handler and turns a panic into an error that names where it happened.
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

// Sleep waits and reports whether the time passed before ctx ended.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
