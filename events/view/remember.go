package view

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/errgroup"

	"tillstream/events/crash"
	"tillstream/events/internal/feed"
	"tillstream/events/log"
)

// Config sets a [Rememberer] up.
type Config struct {
	DB         *mongo.Database
	Grace      time.Duration         // for the last flush after the stop; default 10 s
	Registerer prometheus.Registerer // default: none
	Sync       func() error          // makes what was written last, for a database that does not before it answers; default: none
	Window     time.Duration         // how long messages are gathered before they are written; default 2 s
}

// maxFlush is how many messages are written at once at most.
const maxFlush = 4000

// Rememberer folds one stream into its collections.
type Rememberer struct {
	view    View
	log     *log.Log
	config  Config
	writer  *writer
	archive archivist
	feed    atomic.Pointer[feed.Feed] // nil: not open yet

	mu  sync.Mutex
	err error
}

// New prepares a view. Nothing is read before Run.
func New(l *log.Log, v View, config Config) *Rememberer {
	if config.Window == 0 {
		config.Window = 2 * time.Second
	}
	if config.Grace == 0 {
		config.Grace = 10 * time.Second
	}
	r := &Rememberer{view: v, log: l, config: config, writer: newWriter(config.DB),
		archive: archivist{collection: config.DB.Collection(v.Archive), stream: v.Stream}}
	if config.Registerer != nil {
		config.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tillstream_view_lag_events",
			Help: "Events that the view has not written yet.", ConstLabels: prometheus.Labels{"view": v.Name}},
			func() float64 { return float64(r.Lag()) }))
	}
	return r
}

// Lag is how many events are not written yet.
func (r *Rememberer) Lag() uint64 {
	if f := r.feed.Load(); f != nil {
		return f.Pending()
	}
	return 0
}

// Ready returns what keeps the view from catching up, also that operators have paused it; nil when nothing does. The shop
// sells without its views.
func (r *Rememberer) Ready() error {
	r.mu.Lock()
	err := r.err
	r.mu.Unlock()
	if f := r.feed.Load(); err == nil && f != nil {
		err = f.Paused()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.view.Name, err)
	}
	return nil
}

func (r *Rememberer) report(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *Rememberer) feedConfig() feed.Config {
	return feed.Config{Name: r.view.Name, Stream: r.view.Stream, Exclusive: true, Prefetch: maxFlush, MaxAckPending: 3 * maxFlush, AckWait: 2 * time.Minute}
}

// Run remembers until ctx ends; what was gathered by then is still written.
func (r *Rememberer) Run(ctx context.Context) error {
	f, err := feed.Open(ctx, r.log, r.feedConfig())
	if err != nil && ctx.Err() != nil {
		return nil // stopped before the broker had opened it
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r.feed.Store(f)
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(r.config.Grace, cancel) })
	defer stop()
	if err := r.prepare(ctx); errors.Is(err, log.ErrWentBack) {
		return err
	} else if err != nil {
		return nil // stopped before the database was there
	}
	for {
		batch := r.gather(ctx, f)
		if batch == nil {
			return nil
		}
		crash.In(r.view.Name, "view.fetched")
		r.persist(ctx, work, f, batch)
	}
}

// prepare compares the archive with the log and creates the indexes, as soon as there is a database.
func (r *Rememberer) prepare(ctx context.Context) error {
	return r.untilDone(ctx, ctx, "prepare view", func() error {
		if err := r.CheckHistory(ctx); err != nil {
			return err
		}
		for _, c := range r.view.Collections {
			indexes, err := useful(ctx, r.config.DB, c.Indexes)
			if err != nil {
				return err
			}
			if err := createIndexes(ctx, r.config.DB.Collection(c.Name), indexes); err != nil {
				return err
			}
		}
		return nil
	})
}

// gather takes what arrives within the window, so that an order which passes through five states in that time is
// written once.
func (r *Rememberer) gather(ctx context.Context, f *feed.Feed) []feed.Message {
	batch := f.Take(ctx, maxFlush)
	if batch == nil {
		return nil
	}
	timer := time.NewTimer(r.config.Window)
	defer timer.Stop()
	for len(batch) < maxFlush {
		select {
		case m, ok := <-f.Messages():
			if !ok {
				return batch
			}
			batch = append(batch, m)
		case <-timer.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// persist writes a batch, however long the database is away, and acknowledges it.
func (r *Rememberer) persist(ctx, work context.Context, f *feed.Feed, batch []feed.Message) {
	err := r.untilDone(ctx, work, "write view", func() error { return r.flush(work, batch) })
	if err != nil {
		return // stopping; the batch is delivered again
	}
	crash.In(r.view.Name, "view.written")
	f.Acknowledge(batch)
	crash.In(r.view.Name, "view.acked")
}

// untilDone repeats a step until it succeeds or the process stops.
func (r *Rememberer) untilDone(ctx, work context.Context, what string, step func() error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := step()
		r.report(err)
		if err == nil || errors.Is(err, log.ErrWentBack) {
			return err
		}
		if work.Err() != nil {
			return err
		}
		r.log.Logger().Warn(what, "view", r.view.Name, "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// flush writes the archive first: a document that is newer than the archive can be folded again, a message that is
// nowhere cannot.
func (r *Rememberer) flush(ctx context.Context, batch []feed.Message) error {
	messages := make([]Archived, 0, len(batch))
	for _, m := range batch {
		a, err := archived(m)
		if err != nil {
			return err
		}
		messages = append(messages, a)
	}
	if err := r.archive.add(ctx, messages); err != nil {
		return err
	}
	crash.In(r.view.Name, "view.archived")
	begun := time.Now()
	if err := r.write(ctx, batch, false); err != nil {
		return err
	}
	// Whoever was suspended between reading a state and writing it may have written over what a standby wrote meanwhile.
	// What the broker says now is at least as new as that; what is remembered here may not be.
	if time.Since(begun) > feed.PinnedTTL {
		if err := r.write(ctx, batch, true); err != nil {
			return err
		}
	}
	if r.config.Sync == nil {
		return nil
	}
	return r.config.Sync() // else a power cut could take what the broker was told to have been remembered
}

// write brings every document up to date that the batch touches, afresh from the broker or from what is remembered.
func (r *Rememberer) write(ctx context.Context, batch []feed.Message, afresh bool) error {
	for _, c := range r.view.Collections {
		documents, err := r.render(ctx, c, batch, afresh)
		if err != nil {
			return err
		}
		if err := r.writer.upsert(ctx, c.Name, documents); err != nil {
			return err
		}
	}
	return nil
}

// render reads the newest state of every entity that the batch touches, several at a time: a view that drains a backlog
// has none of them in memory, and would mostly wait for answers. One that cannot be read (written by newer code,
// say) keeps its old document; a rebuild with code that can read it will mend that.
func (r *Rememberer) render(ctx context.Context, c Collection, batch []feed.Message, afresh bool) ([]Document, error) {
	touched := map[string]uint64{}
	for _, m := range batch {
		if id, ok := c.id(m.Subject()); ok {
			touched[id] = m.Sequence
			if afresh {
				touched[id] = math.MaxUint64 // newer than anything that is remembered
			}
		}
	}
	documents := make([]Document, 0, len(touched))
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readersAtOnce)
	for id, seq := range touched {
		group.Go(func() error {
			d, err := c.read(ctx, r.log, id, seq)
			if errors.Is(err, log.ErrUnreadable) {
				r.log.Logger().Error("entity cannot be shown", "view", r.view.Name, "collection", c.Name, "id", id, "error", err)
				return nil
			}
			if err != nil {
				return fmt.Errorf("render %s of %s: %w", id, c.Name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			documents = append(documents, d)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return documents, nil
}
