package loadgen

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// patience repeats what may be repeated: a request that got no answer, and one that was asked to come again.
type patience struct {
	attempts int           // 0: until ctx ends
	retried  *atomic.Int64 // counts repetitions
	faults   bool          // repeats also after a 500
}

// fewAttempts is what a browser's user puts up with: about a second and a half of trouble.
const fewAttempts = 5

// Bounds of the pause between two attempts.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = time.Second
)

// do returns nil, an error that repeating does not mend, or the last one before attempts or time ran out.
func (p patience) do(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		if err == nil || !p.mends(err) || n == p.attempts || pause(ctx, backoff(n, err)) != nil {
			return err
		}
		p.retried.Add(1)
	}
}

// mends reports whether repeating may help.
func (p patience) mends(err error) bool {
	var refusal *StatusError
	isFault := errors.As(err, &refusal) && refusal.Status == http.StatusInternalServerError
	return transient(err) || p.faults && isFault
}

// transient reports whether the same request may well succeed in a moment. A 500 is not among them: it is a fault of the
// shop, and repeating would hide it.
func transient(err error) bool {
	var refusal *StatusError
	var known *Failure
	switch {
	case errors.As(err, &known), errors.Is(err, ErrBadAnswer), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &refusal):
		switch refusal.Status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	return true // no answer at all
}

// backoff doubles from pause to pause, half of it random so that a crowd does not come back as one. An answer that says
// when to come again is obeyed, within reason.
func backoff(n int, err error) time.Duration {
	d := min(firstPause<<min(n-1, 10), longestPause)
	var refusal *StatusError
	if errors.As(err, &refusal) && refusal.RetryAfter > 0 {
		d = min(refusal.RetryAfter, 2*longestPause)
	}
	return d/2 + rand.N(d/2+1)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
