package worker

import (
	"context"
	"strings"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Watch keeps what a process holds in memory up to date, such as a cache or the subscribers of an entity. Every process runs
// its own watches.
type Watch struct {
	Prefixes []string // of the subjects
	// Snapshot makes the watch handle the newest event of every subject first. Without it the watch begins with the events
	// that are appended after the process has started.
	Snapshot bool
	// Since makes the watch, unless it has a snapshot, handle the events of this time before the start first.
	Since time.Duration
	// Handle is called with every event, in order and once. A message that cannot be decoded is skipped.
	Handle func(events.Event)
	// Ready is called when the watch has caught up: after the start, and again whenever the log could not be read before;
	// optional.
	Ready func()
}

// watcher runs one [Watch].
type watcher struct {
	Watch
	log      *eventlog.Log
	reader   *reader
	first    uint64 // sequence of the first event after the start of the process
	seen     uint64 // every event up to this sequence was handled
	caughtUp bool
}

func (w *watcher) matches(item *Item) bool {
	for _, prefix := range w.Prefixes {
		if strings.HasPrefix(item.Subject, prefix) {
			return true
		}
	}
	return false
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context) {
	arrivals := w.reader.ring.subscribe(w.matches)
	defer w.reader.ring.unsubscribe(arrivals)
	position := cursor{reader: w.reader, next: w.first, raw: true} // messages of newer releases are skipped
	if !retry(ctx, everySecond(), func() error { return w.snapshot(ctx, &position) }, func(err error) {
		w.log.Logger().Warn("snapshot not read", "prefixes", w.Prefixes, "error", err)
	}) {
		return
	}
	for ctx.Err() == nil {
		items, err := position.take(ctx, maxJobs)
		if err != nil {
			w.log.Logger().Warn("watch interrupted", "prefixes", w.Prefixes, "error", err)
			w.caughtUp = false
			Sleep(ctx, time.Second)
			continue
		}
		for _, item := range items {
			w.handle(item)
		}
		if len(items) > 0 {
			continue
		}
		if !w.caughtUp && w.Ready != nil {
			w.Ready()
		}
		w.caughtUp = true
		arrivals.wait(ctx)
	}
}

// wait returns when a message has arrived, and after a second, to take the messages that send no signal.
func (s *subscription) wait(ctx context.Context) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.C:
	case <-timer.C:
	}
}

// Follow calls fn for every message from a sequence on, in order and without gaps, until ctx ends or fn returns an error. While the
// worker runs, the broker delivers new messages only once, for the lanes and for every Follow. Follow returns
// [*eventlog.GapError] when the log and the archive lack messages.
func (w *Worker) Follow(ctx context.Context, from uint64, fn func(eventlog.Message) error) error {
	arrivals := w.reader.ring.subscribe(func(*Item) bool { return true })
	defer w.reader.ring.unsubscribe(arrivals)
	position := cursor{reader: w.reader, next: max(from, 1), raw: true}
	for ctx.Err() == nil {
		items, err := position.take(ctx, maxJobs)
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := fn(item.Message); err != nil {
				return err
			}
		}
		if len(items) == 0 {
			arrivals.wait(ctx)
		}
	}
	return eventlog.ReadError(ctx)
}

// snapshot handles the snapshot, or the events since a time, if the watch has one of them, and moves the position to its end.
func (w *watcher) snapshot(ctx context.Context, position *cursor) (err error) {
	filters := make([]string, len(w.Prefixes))
	for i, prefix := range w.Prefixes {
		filters[i] = prefix + ">"
	}
	handle := func(m eventlog.Message) error {
		w.handle(&Item{Message: m})
		return nil
	}
	var upTo uint64
	switch {
	case w.Snapshot:
		upTo, err = w.log.Snapshot(ctx, filters, handle)
	case w.Since > 0:
		upTo, err = w.log.Since(ctx, filters, time.Now().Add(-w.Since), handle)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	position.next = upTo + 1
	return nil
}

// handle skips what was handled before: a snapshot that was interrupted is read again, and must not replace a newer event of
// an entity by an older one.
func (w *watcher) handle(item *Item) {
	if item.Sequence <= w.seen {
		return
	}
	w.seen = item.Sequence
	if !w.matches(item) {
		return
	}
	e, err := item.Event()
	if err == nil {
		err = item.Newer()
	}
	if err != nil {
		w.log.Logger().Debug("message skipped by watch", "sequence", item.Sequence, "error", err)
		return
	}
	if err := safely(func() error { w.Handle(e); return nil }); err != nil {
		w.log.Logger().Error("watch failed", "sequence", item.Sequence, "error", err)
	}
}
