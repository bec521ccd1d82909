package log

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// highWater remembers how far this process has seen the log committed.
type highWater struct {
	mu   sync.Mutex
	seen uint64
	gone chan struct{} // closed when the log went back
	err  error
}

func newHighWater() *highWater { return &highWater{gone: make(chan struct{})} }

// committed takes note of what an append was answered with. A broker never gives a sequence twice: one that does is not
// the one that it was. What was appended there must not be relied on, so its writer gets no answer to rely on.
// An append whose first try may have been the one that was stored can be older than what was seen since.
func (h *highWater) committed(first, last uint64, uncertain bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first <= h.seen && !uncertain {
		h.fail(fmt.Errorf("%w: it gave the sequence %d to a new event, this process had seen %d", ErrTruncated, first, h.seen))
		return fmt.Errorf("%w: %w", ErrUnavailable, h.err)
	}
	h.seen = max(h.seen, last)
	return nil
}

// reached is how far the log was seen committed.
func (h *highWater) reached() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// compare compares where the log ends with how far it was seen before that was asked. What was committed since does not
// count: the answer may be older.
func (h *highWater) compare(seen, last uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last < seen {
		h.fail(fmt.Errorf("%w: it ends at %d, this process has seen %d", ErrTruncated, last, seen))
	}
}

func (h *highWater) fail(err error) {
	if h.err == nil {
		h.err = err
		close(h.gone)
	}
}

// Monitor returns [ErrTruncated] as soon as the broker turns out to know less than it had acknowledged to this process,
// which it checks whenever the connection comes back, and [events.ErrNewer] when a newer release has begun to write what this
// program does not understand. It returns nil when ctx ends.
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
				<-ctx.Done() // the connection is closed for good, which its owner reports
				return nil
			}
			l.lookBack(ctx)
		}
	}
}

// A leader that is cut off from its cluster goes on as such until it notices: it checks every 10 s whether it has heard of
// the others in the last 10 s (nats-server/server/raft.go, lostQuorumCheck and lostQuorumInterval).
const (
	oldLeaders = 30 * time.Second
	askAnother = time.Second
)

// lookBack compares the log with what this process has seen. When the broker does not answer, the next append compares.
func (l *core) lookBack(ctx context.Context) {
	seen := l.high.reached()
	last, err := l.end(ctx, seen)
	if err != nil {
		l.config.Logger.Warn("compare the log with what was seen of it", "error", err)
		return
	}
	l.high.compare(seen, last)
}

// End returns the sequence at which the log ends, of which it is known that it reached seen. Of several copies the one
// that answers may be cut off and old, so a cluster that seems to have forgotten something is asked until it must have
// noticed that, for up to half a minute. Nothing is lost meanwhile: an append to a log that did forget shows by its
// sequence.
func (l *Log) End(ctx context.Context, seen uint64) (last uint64, err error) { return l.end(ctx, seen) }

func (l *core) end(ctx context.Context, seen uint64) (last uint64, err error) {
	for enough := time.Now().Add(oldLeaders); ; {
		info, err := l.shop.Info(ctx)
		if err != nil {
			return 0, fmt.Errorf("look at the end of the log: %w", unavailable(ctx, err))
		}
		if info.State.LastSeq >= seen || l.config.Replicas == 1 || time.Now().After(enough) {
			return info.State.LastSeq, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-l.high.gone: // an append has shown it
			return info.State.LastSeq, nil
		case <-time.After(askAnother):
		}
	}
}
