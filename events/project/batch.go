package project

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/errgroup"

	"tillstream/events/failpoint"
	"tillstream/events/log"
	"tillstream/events/worker"
)

// Config says where a projection is written.
type Config struct {
	DB *mongo.Database
	// Sync makes what was written last, for a database that does not do so before it answers; default: none.
	Sync   func() error
	Window time.Duration // how long events are gathered at most before they are written; default 5 s

	// indexesEvery is how often missing indexes are looked for: a collection that was dropped while the projection runs
	// comes back by the next write, but without them. Default 15 s.
	indexesEvery time.Duration
}

// Documents are written once nothing has changed for a quarter of a second, so that staff see an order at once. While a shop
// is busy they are written every five seconds: an order goes through its states in one to three, and writing a document
// that is there already costs FerretDB twenty times what inserting it does.
const (
	defaultWindow = 5 * time.Second
	quiet         = 250 * time.Millisecond
)

// readersAtOnce is how many states are read at a time: a projection that drains a backlog has none of them in memory.
const readersAtOnce = 8

// projector writes one projection.
type projector struct {
	projection Projection
	log        *log.Log
	config     Config
	writer     *writer
	ensured    time.Time // when the indexes were looked at last
}

// Batch returns the lane that keeps a projection current.
func (p Projection) Batch(l *log.Log, config Config) worker.Batch {
	config.Window = cmp.Or(config.Window, defaultWindow)
	config.indexesEvery = cmp.Or(config.indexesEvery, 15*time.Second)
	w := &projector{projection: p, log: l, config: config, writer: newWriter(config.DB)}
	return worker.Batch{Name: p.Name, Kind: worker.KindProject, Window: config.Window, Quiet: min(quiet, config.Window), Cares: w.cares, Handle: w.write,
		Prepare: func(ctx context.Context, checkpoint uint64) (uint64, error) {
			w.writer.forget()
			return checkpoint, w.ensureIndexes(ctx)
		}}
}

func (w *projector) cares(item *worker.Item) bool {
	for _, c := range w.projection.Collections {
		if _, ok := c.id(item.Subject); ok {
			return true
		}
	}
	return false
}

func (w *projector) ensureIndexes(ctx context.Context) error {
	for _, c := range w.projection.Collections {
		if err := EnsureIndexes(ctx, w.config.DB, c); err != nil {
			return err
		}
	}
	w.ensured = time.Now()
	return nil
}

// write brings every document up to date that the items touch.
func (w *projector) write(ctx context.Context, items []*worker.Item) error {
	if time.Since(w.ensured) > w.config.indexesEvery {
		if err := w.ensureIndexes(ctx); err != nil {
			return err
		}
	}
	for _, c := range w.projection.Collections {
		touched := map[string]uint64{}
		for _, item := range items {
			if id, ok := c.id(item.Subject); ok {
				touched[id] = item.Sequence
			}
		}
		documents, err := w.render(ctx, c, touched)
		if err != nil {
			return err
		}
		failpoint.AtPlace(w.projection.Name, "project.rendered")
		if err := w.writer.upsert(ctx, c.Name, documents); err != nil {
			return err
		}
	}
	failpoint.AtPlace(w.projection.Name, "project.written")
	if w.config.Sync == nil {
		return nil
	}
	return w.config.Sync() // else a power cut could take what the checkpoint says is written
}

// render reads the newest state of entities, several at a time. One that cannot be read (written by newer code, say) keeps
// its old document; a rebuild by code that can read it will mend that.
func (w *projector) render(ctx context.Context, c Collection, touched map[string]uint64) ([]Document, error) {
	documents := make([]Document, 0, len(touched))
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readersAtOnce)
	for id, seq := range touched {
		group.Go(func() error {
			d, err := c.read(ctx, w.log, id, seq)
			switch {
			case errors.Is(err, log.ErrUnreadable):
				w.log.Logger().Error("entity cannot be projected", "projection", w.projection.Name, "collection", c.Name, "id", id, "error", err)
				return nil
			case errors.Is(err, log.ErrNotFound): // all that stands there was published by hand
				return nil
			case err != nil:
				return fmt.Errorf("render %s of %s: %w", id, c.Name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			documents = append(documents, d)
			return nil
		})
	}
	return documents, group.Wait()
}
