// Package index keeps one row per entity in memory, for the lists and searches of staff. The rows are folded from the log alone, so
// staff find orders and payments while MongoDB is down, and a list is as new as what its process has read of the log.
//
// It promises that a list is complete: until the log is read up to the end that it had at the start, a request waits, and gets
// [ErrLoading] after a few seconds. Pages by cursor show no row twice and leave none out while rows are added.
//
//	log ──► Handle ──► rows by id ──► Find: keep, sort, cut one page
//
// The projections have the same entities, but FerretDB on SQLite reads the whole collection for most filters (18 s for 10,000
// payments under load), and no database has an index for parts of names without their accents. A scan of the rows takes
// milliseconds per 10,000. deploy/PERFORMANCE.md has the bytes of a row of each domain.
package index

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"tillstream/events"
	"tillstream/events/worker"
)

// Fold is how the events of one prefix change rows.
type Fold[R any] struct {
	Prefix string // of the subjects
	// Row returns the id of the row that an event changes, which must exist. Default: the id of the event's own entity, whose first
	// event makes the row.
	Row   func(events.Event) string
	Apply func(R, events.Event) (R, error)
}

// Place is what a row is sorted by unless a request asks for another order.
type Place struct {
	Began time.Time
	ID    string
}

// Index has the rows of a kind of entities. It is safe for concurrent use.
type Index[R any] struct {
	place  func(*R) Place
	folds  []Fold[R]
	logger *slog.Logger
	mu     sync.RWMutex
	rows   map[string]*R
	sorted []*R          // the last page of a list first: see compare
	loaded chan struct{} // closed when the log is read up to its end
	once   sync.Once
}

// New returns an empty index. place returns the place of a row.
func New[R any](logger *slog.Logger, place func(*R) Place, folds ...Fold[R]) *Index[R] {
	return &Index[R]{logger: logger, place: place, folds: folds, rows: map[string]*R{}, loaded: make(chan struct{})}
}

// allTime is longer than any shop exists.
const allTime = 100 * 365 * 24 * time.Hour

// Watch fills the index: it reads the events of its folds from the beginning of the log, and then every new one.
func (x *Index[R]) Watch() worker.Watch {
	w := worker.Watch{Since: allTime, Handle: x.Handle, Ready: x.Loaded}
	for _, f := range x.folds {
		w.Prefixes = append(w.Prefixes, f.Prefix)
	}
	return w
}

// Loaded declares that the index has every event that the log had at the start.
func (x *Index[R]) Loaded() { x.once.Do(func() { close(x.loaded) }) }

// Handle applies one event. One that does not fit its row is logged and skipped.
func (x *Index[R]) Handle(e events.Event) {
	for _, f := range x.folds {
		if !strings.HasPrefix(e.Subject, f.Prefix) {
			continue
		}
		if err := x.apply(f, e); err != nil {
			x.logger.Warn("event skipped by a list", "subject", e.Subject, "sequence", e.Sequence, "error", err)
		}
		return
	}
}

func (x *Index[R]) apply(f Fold[R], e events.Event) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	id, own := events.ParseSubject(f.Prefix, e.Subject)
	if !own || e.Revision == 0 { // published by hand: an event of no entity
		return nil
	}
	if f.Row != nil {
		id = f.Row(e)
	}
	row := x.rows[id]
	if row == nil && f.Row != nil {
		return nil
	}
	var before R
	if row != nil {
		before = *row
	}
	after, err := f.Apply(before, e)
	if err == nil {
		x.put(id, row, after)
	}
	return err
}

// put stores a row. row is the one that it replaces, nil if there is none.
func (x *Index[R]) put(id string, row *R, after R) {
	if row != nil && x.compare(row, &after) == 0 {
		*row = after
		return
	}
	if row != nil {
		at, _ := slices.BinarySearchFunc(x.sorted, row, x.compare)
		x.sorted = slices.Delete(x.sorted, at, at+1)
	}
	at, _ := slices.BinarySearchFunc(x.sorted, &after, x.compare)
	x.rows[id], x.sorted = &after, slices.Insert(x.sorted, at, &after)
}

// compare sorts the oldest row first, so that a new one is added at the end. Of rows that began at the same time the one with the
// greatest id comes first, so that backwards it is the one with the smallest.
func (x *Index[R]) compare(a, b *R) int { return x.positionOf(b, nil).compare(x.positionOf(a, nil)) }
