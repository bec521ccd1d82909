package orders

import (
	"sync"

	"tillstream/events"
	"tillstream/events/worker"
)

// watchers tells the requests that follow an order that it has changed: one watch of the log for all of them.
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

// asWatch tells of every event of an order, as this process reads it.
func (w *watchers) asWatch() worker.Watch {
	return worker.Watch{Prefixes: []string{events.PrefixOrder}, Handle: func(e events.Event) {
		if id, ok := events.ParseSubject(events.PrefixOrder, e.Subject); ok {
			w.tell(id, e.Sequence)
		}
	}}
}
