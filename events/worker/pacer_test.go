package worker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The lanes of a process replay one event at a time, and for a quarter of the time, however long an event takes.
func TestReplaysOfAProcessTakeAQuarterOfItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, began, running := newPacer(), time.Now(), 0
		failure := errors.New("log unavailable")
		var lanes sync.WaitGroup
		for range 3 {
			lanes.Go(func() {
				for range 4 {
					err := p.do(t.Context(), func() error {
						if running++; running > 1 {
							t.Error("two events are handled again at once")
						}
						<-time.After(10 * time.Millisecond)
						running--
						return failure
					})
					if !errors.Is(err, failure) {
						t.Errorf("got %v, want the error of the event", err)
					}
				}
			})
		}
		lanes.Wait()
		if took := time.Since(began); took != 12*40*time.Millisecond {
			t.Errorf("12 events of 10 ms took %s, want 480ms", took)
		}
	})
}

// A lane that stops does not wait for its turn.
func TestStoppedReplayDoesNotWaitForItsTurn(t *testing.T) {
	t.Parallel()
	p := newPacer()
	p.turn <- struct{}{}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := p.do(ctx, func() error { t.Error("handled"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
