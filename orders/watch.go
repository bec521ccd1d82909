package orders

import (
	"context"
	"strings"
	"sync"

	"tillstream/events"
	"tillstream/events/log"
)

// watchers tells whoever follows an order that it has changed: one tail of the stream for all of them.
type watchers struct {
	mu   sync.Mutex
	byID map[string]map[chan uint64]struct{}
}

func newWatchers() *watchers { return &watchers{byID: map[string]map[chan uint64]struct{}{}} }

// watch returns a channel that holds the sequence of the order's newest event, and a function to stop watching.
func (w *watchers) watch(id string) (changed <-chan uint64, stop func()) {
	c := make(chan uint64, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID[id] == nil {
		w.byID[id] = map[chan uint64]struct{}{}
	}
	w.byID[id][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.byID[id], c); len(w.byID[id]) == 0 {
			delete(w.byID, id)
		}
	}
}

func (w *watchers) tell(id string, seq uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.byID[id] {
		select {
		case <-c: // only the newest counts
		default:
		}
		c <- seq // has room: tell alone sends, under the lock
	}
}

// follow runs until ctx ends. What happens while the tail is broken is found by each watcher's own heartbeat.
func (w *watchers) follow(ctx context.Context, l *log.Log) {
	keepTailing(ctx, l, func() error {
		return l.Tail(ctx, events.StreamOrders, []string{events.PrefixOrder + "*"}, log.FromNow, nil, func(e events.Event) error {
			w.tell(strings.TrimPrefix(e.Subject, events.PrefixOrder), e.Sequence)
			return nil
		})
	})
}
