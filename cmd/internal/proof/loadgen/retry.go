package loadgen

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retryPolicy is how often a request without an answer, or with a temporary refusal, is repeated.
type retryPolicy struct {
	attempts uint          // 0: until ctx ends
	retries  *atomic.Int64 // counts repeated requests
	faults   bool          // also retry after a 500
}

// impatientAttempts is how often an impatient shopper sends a request, within about a second and a half.
const impatientAttempts = 5

// Bounds of the interval between two attempts. Half of it is random, so that many shoppers do not return at once.
const (
	firstInterval = 50 * time.Millisecond
	maxInterval   = time.Second
)

// do calls try until it succeeds or fails with an error that is not retryable, or until attempts or time run out. It returns
// the last error of try.
func (p retryPolicy) do(ctx context.Context, try func() error) error {
	var last error
	attempt := func() (struct{}, error) {
		last = try()
		var refusal *StatusError
		switch {
		case last != nil && !p.retryable(last):
			return struct{}{}, backoff.Permanent(last)
		case errors.As(last, &refusal) && refusal.RetryAfter > 0:
			return struct{}{}, &backoff.RetryAfterError{Duration: min(refusal.RetryAfter, 2*maxInterval)}
		}
		return struct{}{}, last
	}
	intervals := &backoff.ExponentialBackOff{InitialInterval: firstInterval, Multiplier: 2, MaxInterval: maxInterval, RandomizationFactor: 0.5}
	if _, err := backoff.Retry(ctx, attempt, backoff.WithBackOff(intervals), backoff.WithMaxTries(p.attempts), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(error, time.Duration) { p.retries.Add(1) })); err == nil {
		return nil
	}
	return last // and not the error of ctx, which does not name the cause
}

func (p retryPolicy) retryable(err error) bool {
	var refusal *StatusError
	isFault := errors.As(err, &refusal) && refusal.Status == http.StatusInternalServerError
	return transient(err) || p.faults && isFault
}

// transient reports whether the same request may succeed if it is repeated. A 500 is not transient: it is a fault of the
// shop, which a retry would hide.
func transient(err error) bool {
	var refusal *StatusError
	var failure *Failure
	switch {
	case errors.As(err, &failure), errors.Is(err, ErrBadAnswer), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &refusal):
		switch refusal.Status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	return true // no answer
}

// sleep waits for a duration and returns the error of ctx if ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
