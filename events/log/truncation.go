package log

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// highWater records the last committed sequence that this process has seen, and detects a truncated log.
type highWater struct {
	mu   sync.Mutex
	seen uint64
	gone chan struct{} // closed when the log is found truncated
	err  error         // why it counts as truncated
}

func newHighWater() *highWater { return &highWater{gone: make(chan struct{})} }

// committed records the sequences of an acknowledged append. It returns an error when one of them was seen before: a broker
// assigns no sequence twice unless an older store was restored, so the append must not count as stored. The sequences of an
// uncertain append may be old, because its first try may have been stored before later appends.
func (h *highWater) committed(first, last uint64, uncertain bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first <= h.seen && !uncertain {
		h.fail(fmt.Errorf("%w: sequence %d was assigned to a new event, but this process has seen %d", ErrTruncated, first, h.seen))
		return fmt.Errorf("%w: %w", ErrUnavailable, h.err)
	}
	h.seen = max(h.seen, last)
	return nil
}

// reached returns the last committed sequence that this process has seen.
func (h *highWater) reached() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// compare compares the end of the log with the sequence that this process had seen when it asked for the end. Later commits
// do not count, because the answer may be older than they are.
func (h *highWater) compare(seen, last uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last < seen {
		h.fail(fmt.Errorf("%w: it ends at %d, but this process has seen %d", ErrTruncated, last, seen))
	}
}

func (h *highWater) fail(err error) {
	if h.err == nil {
		h.err = err
		close(h.gone)
	}
}

// Monitor returns [ErrTruncated] when the broker has lost messages that it had acknowledged to this process, which Monitor
// checks after every reconnect. It returns [events.ErrNewer] when a newer release has begun to write events that this program
// cannot read, and nil when ctx ends.
func (l *Log) Monitor(ctx context.Context) error {
	connected := l.conn.StatusChanged(nats.CONNECTED)
	defer l.conn.RemoveStatusListener(connected)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.high.gone:
			return l.high.err
		case <-l.members.gone:
			return l.members.err
		case _, open := <-connected:
			if !open {
				<-ctx.Done() // the connection was closed, which its owner reports
				return nil
			}
			l.checkEnd(ctx)
		}
	}
}

// A leader that is cut off from its cluster steps down after up to 20 s: it checks every 10 s whether it has heard from the
// other servers in the last 10 s (nats-server/server/raft.go, lostQuorumCheck and lostQuorumInterval). End reads again every
// endDelay until staleLeader has passed.
const (
	staleLeader = 30 * time.Second
	endDelay    = time.Second
)

// checkEnd compares the end of the log with what this process has seen. Without an answer, the next append compares.
func (l *core) checkEnd(ctx context.Context) {
	seen := l.high.reached()
	last, err := l.end(ctx, seen)
	if err != nil {
		l.config.Logger.Warn("end of log not read", "error", err)
		return
	}
	l.high.compare(seen, last)
}

// End returns the sequence at which the log ends. seen is a sequence that the log is known to have reached, or 0. In a cluster
// the server that answers may be cut off and lag, so after a smaller answer End asks again for up to half a minute, until a
// stale leader must have stepped down. An append to a truncated log is detected meanwhile by its sequence.
func (l *Log) End(ctx context.Context, seen uint64) (last uint64, err error) { return l.end(ctx, seen) }

func (l *core) end(ctx context.Context, seen uint64) (last uint64, err error) {
	for deadline := time.Now().Add(staleLeader); ; {
		info, err := l.shop.Info(ctx)
		if err != nil {
			return 0, fmt.Errorf("read end of log: %w", unavailable(ctx, err))
		}
		if info.State.LastSeq >= seen || l.config.Replicas == 1 || time.Now().After(deadline) {
			return info.State.LastSeq, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-l.high.gone: // detected by an append
			return info.State.LastSeq, nil
		case <-time.After(endDelay):
		}
	}
}
