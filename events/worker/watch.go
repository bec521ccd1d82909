package worker

import (
	"context"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/log"
)

// Watch keeps something that a process holds in memory current: a cache, or who waits for an entity to change. Every process
// runs its own.
type Watch struct {
	Prefixes []string // of the subjects
	// Snapshot has the newest event of every subject handled first; otherwise a watch begins with what is appended after the
	// process has started.
	Snapshot bool
	// Handle is called with every event, in order and once. What cannot be decoded is passed over.
	Handle func(events.Event)
	// Ready is called when the watch has caught up, at the start and each time after the log could not be read; optional.
	Ready func()
}

// watcher runs one [Watch].
type watcher struct {
	Watch
	log    *log.Log
	reader *reader
	first  uint64 // the next one when the process started
	seen   uint64 // everything up to here was handled
	caught bool
}

func (w *watcher) cares(item *Item) bool {
	for _, prefix := range w.Prefixes {
		if strings.HasPrefix(item.Subject, prefix) {
			return true
		}
	}
	return false
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context) {
	signal := w.reader.ring.subscribe(w.cares)
	defer w.reader.ring.unsubscribe(signal)
	place := cursor{reader: w.reader, next: w.first, raw: true} // what it does not understand it passes over
	for !w.start(ctx, &place) {
		if !Sleep(ctx, time.Second) {
			return
		}
	}
	for ctx.Err() == nil {
		items, err := place.take(ctx, maxJobs)
		if err != nil {
			w.log.Logger().Warn("watch interrupted", "prefixes", w.Prefixes, "error", err)
			w.caught = false
			Sleep(ctx, time.Second)
			continue
		}
		for _, item := range items {
			w.handle(item)
		}
		if len(items) > 0 {
			continue
		}
		if !w.caught && w.Ready != nil {
			w.Ready()
		}
		w.caught = true
		idle := time.NewTimer(time.Second) // moves on over what it does not care about
		select {
		case <-ctx.Done():
		case <-signal.C:
		case <-idle.C:
		}
		idle.Stop()
	}
}

// start takes the snapshot, if one is wanted.
func (w *watcher) start(ctx context.Context, place *cursor) bool {
	if !w.Snapshot {
		return true
	}
	filters := make([]string, len(w.Prefixes))
	for i, prefix := range w.Prefixes {
		filters[i] = prefix + ">"
	}
	upTo, err := w.log.Snapshot(ctx, filters, func(m log.Message) error {
		w.handle(&Item{Message: m})
		return nil
	})
	if err != nil {
		if ctx.Err() == nil {
			w.log.Logger().Warn("read what there is", "prefixes", w.Prefixes, "error", err)
		}
		return false
	}
	place.next = upTo + 1
	return true
}

// handle passes over what was handled already: a snapshot that was broken off is taken again, and the last one has the newest
// event of an entity, behind which reading must not go back.
func (w *watcher) handle(item *Item) {
	if item.Sequence <= w.seen {
		return
	}
	w.seen = item.Sequence
	if !w.cares(item) {
		return
	}
	e, err := item.Event()
	if err == nil {
		err = item.Newer()
	}
	if err != nil {
		w.log.Logger().Debug("watch passes over a message", "sequence", item.Sequence, "error", err)
		return
	}
	if err := safely(func() error { w.Handle(e); return nil }); err != nil {
		w.log.Logger().Error("watch", "sequence", item.Sequence, "error", err)
	}
}
