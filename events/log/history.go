package log

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// highest remembers how far this process has seen its streams committed.
type highest struct {
	mu   sync.Mutex
	seen map[string]uint64
	gone chan struct{} // closed when the log went back
	err  error
}

func newHighest() *highest { return &highest{seen: map[string]uint64{}, gone: make(chan struct{})} }

// committed takes note of what an append was answered with. A broker never gives a sequence twice: one that does so is
// not the one that it was. What was appended there must not be relied on, so that is no answer to who appended it.
// An append whose first try may have been the one that was stored can be older than what was seen since.
func (h *highest) committed(stream string, first, last uint64, uncertain bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if seen := h.seen[stream]; first <= seen && !uncertain {
		h.fail(fmt.Errorf("%w: stream %s gave the sequence %d to a new event, this process had seen %d", ErrWentBack, stream, first, seen))
		return fmt.Errorf("%w: %w", ErrUnavailable, h.err)
	}
	h.seen[stream] = max(h.seen[stream], last)
	return nil
}

// of is how far a stream was seen committed.
func (h *highest) of(stream string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[stream]
}

// stands compares where a stream ends with how far it was seen before that was asked. What was committed since does not
// count: the answer may be older.
func (h *highest) stands(stream string, seen, last uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last < seen {
		h.fail(fmt.Errorf("%w: stream %s ends at %d, this process has seen %d", ErrWentBack, stream, last, seen))
	}
}

func (h *highest) fail(err error) {
	if h.err == nil {
		h.err = err
		close(h.gone)
	}
}

// Watch returns [ErrWentBack] as soon as the broker turns out to know less than it had acknowledged to this process,
// which it looks at whenever the connection comes back. It returns nil when ctx ends.
func (l *Log) Watch(ctx context.Context) error {
	connected := l.conn.StatusChanged(nats.CONNECTED)
	defer l.conn.RemoveStatusListener(connected)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.highest.gone:
			return l.highest.err
		case _, open := <-connected:
			if !open {
				<-ctx.Done() // the connection is closed for good, which is somebody else's to tell
				return nil
			}
			l.lookBack(ctx)
		}
	}
}

// A leader that is cut off from its cluster goes on as such until it notices: it looks every 10 s whether it has heard of
// the others in the last 10 s (nats-server/server/raft.go, lostQuorumCheck and lostQuorumInterval).
const (
	oldLeaders = 30 * time.Second
	askAnother = time.Second
)

// lookBack compares every stream with what this process has seen. One that does not answer is compared at the next
// append.
func (l *Log) lookBack(ctx context.Context) {
	for name := range l.streams {
		seen := l.highest.of(name)
		last, err := l.End(ctx, name, seen)
		if err != nil {
			l.config.Logger.Warn("cannot tell whether the log is what it was", "stream", name, "error", err)
			continue
		}
		l.highest.stands(name, seen, last)
	}
}

// End returns the sequence at which a stream ends, of which it is known that it reached seen. Of several copies the one
// that answers may be cut off and old, so a cluster that seems to have forgotten something is asked until it must have
// noticed that, for up to half a minute. Nothing is lost meanwhile: what is appended to a log that did forget is told by
// its sequence.
func (l *Log) End(ctx context.Context, stream string, seen uint64) (last uint64, err error) {
	s, err := l.Stream(stream)
	if err != nil {
		return 0, err
	}
	for enough := time.Now().Add(oldLeaders); ; {
		info, err := s.Info(ctx)
		if err != nil {
			return 0, fmt.Errorf("look at stream %s: %w", stream, err)
		}
		if info.State.LastSeq >= seen || l.config.Replicas == 1 || time.Now().After(enough) {
			return info.State.LastSeq, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-l.highest.gone: // an append was told so
			return info.State.LastSeq, nil
		case <-time.After(askAnother):
		}
	}
}
