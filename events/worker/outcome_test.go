package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	eventlog "tillstream/events/log"
)

func TestNextFollowsTheSchedule(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	cases := []struct {
		name       string
		err        error
		attempt    int
		spread     float64
		delay      time.Duration
		deadLetter bool
	}{
		{"first", odd, 1, 0, time.Second, false},
		{"third", odd, 3, 0, 5 * time.Second, false},
		{"spread", odd, 3, 0.8, 6 * time.Second, false},
		{"last", odd, len(actSchedule), 0, 30 * time.Minute, false},
		{"beyond the last", odd, len(actSchedule) + 1, 0, 0, true},
		{"asked for", RetryAfter(time.Minute, odd), 99, 0, time.Minute, false},
		{"put off", Defer(time.Hour, odd), 99, 0, time.Hour, false},
		{"hopeless", DeadLetter(odd), 1, 0, 0, true},
		{"on hold", OpenCircuit(odd), 99, 0, 0, false},
		{"the log is away, for ever", eventlog.ErrUnavailable, 1000, 0, 30 * time.Second, false},
		{"stopping", context.Canceled, 1, 0, time.Second, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			delay, deadLetter := afterFailure(c.err, c.attempt, c.spread)
			if delay != c.delay || deadLetter != c.deadLetter {
				t.Errorf("got %v %v, want %v %v", delay, deadLetter, c.delay, c.deadLetter)
			}
		})
	}
}

func TestOneCauseHasOneFingerprint(t *testing.T) {
	t.Parallel()
	a := fingerprint("w", errors.New(`order 0198c7d2-aaaa-7bbb-8ccc-0123456789ab: amount 12 is not 15`))
	b := fingerprint("w", errors.New(`order 0198c7d2-ffff-7bbb-8ccc-0123456789ab: amount 7 is not 99`))
	if other := fingerprint("w", errors.New("order is closed")); a != b || a == other {
		t.Errorf("fingerprints %s %s %s", a, b, other)
	}
}
