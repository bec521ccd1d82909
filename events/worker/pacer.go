package worker

import (
	"context"
	"time"
)

// After an event of a replay, the process rests for restFactor times as long as that event took, and at most for maxRest.
const (
	restFactor = 3
	maxRest    = time.Second
)

// pacer bounds what replays take from a process, so that live events are handled almost as fast as without them: one event is handled
// again at a time, for all lanes, and replays work for a quarter of the time. An event takes longer while the process, the log or the
// machine has much to do, so replays slow down when live events need them to.
type pacer struct{ turn chan struct{} } // holds one while an event is handled again

func newPacer() *pacer { return &pacer{turn: make(chan struct{}, 1)} }

// do waits for its turn, runs fn, and rests. It returns the error of fn, or of ctx.
func (p *pacer) do(ctx context.Context, fn func() error) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turn }()
	began := time.Now()
	err := fn()
	Sleep(ctx, min(restFactor*time.Since(began), maxRest))
	return err
}
