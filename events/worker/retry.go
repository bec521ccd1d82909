package worker

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// actSchedule is how long an act waits after each failed attempt, unless its error asks for another delay. After the last
// one the event becomes a dead letter.
var actSchedule = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
}

// afterFailure decides what follows a failed attempt (from 1) at an act. spread in [0,1) lengthens the delay by up to a
// quarter, so that acts which failed together are not retried together.
func afterFailure(err error, attempt int, spread float64) (delay time.Duration, deadLetter bool) {
	var o *outcome
	switch {
	case errors.As(err, &o):
		delay, deadLetter = o.delay, o.deadLetter
	case errors.Is(err, events.ErrBadID), errors.Is(err, eventlog.ErrUnreadable):
		return 0, true // the event names no entity, or one that cannot be read: that is no failure of the destination
	case IsInfrastructure(err):
		delay = actSchedule[min(attempt, 5)-1]
	case attempt > len(actSchedule):
		return 0, true
	default:
		delay = actSchedule[max(attempt, 1)-1]
	}
	return delay + time.Duration(spread*float64(delay)/4), deadLetter
}

// everySecond is the backoff of the requests that a lane must make before it can begin.
func everySecond() backoff.BackOff { return backoff.NewConstantBackOff(time.Second) }

// doubling is a backoff that begins with a delay and doubles it up to a maximum.
func doubling(initial, maximum time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: initial, Multiplier: 2, MaxInterval: maximum}
}

// retry repeats step until it succeeds, and reports whether it did: it gives up when ctx ends, or after a
// [backoff.Permanent] error. failed is called with every error that is followed by another attempt.
func retry(ctx context.Context, delays backoff.BackOff, step func() error, failed func(error)) bool {
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, step() }, backoff.WithBackOff(delays),
		backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) { failed(err) }))
	return err == nil
}

// Sleep waits for d. It reports false when ctx ended first.
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
