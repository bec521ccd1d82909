package log

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// How long one try waits for an answer, and the delays between tries. A broker that dies loses the requests that it had
// read without an answer, and so does a cluster without a leader. A broker that is only slow refuses the repeated request.
const (
	tryTimeout   = time.Second
	firstDelay   = 20 * time.Millisecond
	longestDelay = 250 * time.Millisecond
)

func newDelays() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: firstDelay, Multiplier: 2, MaxInterval: longestDelay}
}

// When the connection moves to another server of the cluster: first after moveAfter without an answer, then at intervals
// that double from shortestMoveInterval to longestMoveInterval. Each move loses the requests in flight.
const (
	moveAfter            = 2 * time.Second
	shortestMoveInterval = 3 * time.Second
	longestMoveInterval  = 30 * time.Second
)

// failover moves the connection to another server of the cluster, if there is one, when the current server has not answered
// for a while. A server that is cut off from its cluster never regains a majority, but it keeps its clients. The intervals
// between moves grow because a slow cluster serves no client that reconnects every few seconds. A connection that is
// already reconnecting is left alone.
func (l *core) failover() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.config.Now()
	sinceMove := now.Sub(l.movedAt)
	if len(l.conn.Servers()) < 2 || !l.conn.IsConnected() || sinceMove < l.moveInterval {
		return
	}
	l.movedAt, l.moveInterval = now, min(2*l.moveInterval, longestMoveInterval)
	if sinceMove > 2*longestMoveInterval { // the last move helped
		l.moveInterval = shortestMoveInterval
	}
	l.config.Logger.Warn("broker unresponsive, reconnecting to another server", "broker", l.conn.ConnectedServerName())
	if err := l.conn.ForceReconnect(); err != nil {
		l.config.Logger.Warn("not reconnected to another server", "error", err)
	}
}

// Retry repeats a request to the broker after temporary errors, until Config.Patience ends.
func (l *core) Retry(ctx context.Context, request func(context.Context) error) error {
	return l.retryFor(ctx, l.config.Patience, request)
}

func (l *core) retryFor(ctx context.Context, patience time.Duration, request func(context.Context) error) (err error) {
	began := time.Now()
	deadline := began.Add(patience)
	try := func() (struct{}, error) {
		trying, cancel := context.WithDeadline(ctx, earlier(deadline, time.Now().Add(tryTimeout)))
		defer cancel()
		err = request(trying)
		return struct{}{}, permanent(err)
	}
	move := func(error, time.Duration) {
		if time.Since(began) > moveAfter {
			l.failover()
		}
	}
	// err says why the last try failed; the error of Retry may be only that ctx ended.
	_, _ = backoff.Retry(ctx, try, backoff.WithBackOff(newDelays()), backoff.WithMaxElapsedTime(patience), backoff.WithNotify(move))
	return err
}

// permanent marks an error that no further try can remove.
func permanent(err error) error {
	if err == nil || IsTemporary(err) {
		return err
	}
	return backoff.Permanent(err)
}
