package project

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// Config says where and how a projection is written.
type Config struct {
	DB *mongo.Database
	// Sync flushes earlier writes to disk, for a database that acknowledges a write before it is on disk; default: none.
	Sync   func() error
	Window time.Duration // longest time that events are gathered before they are written; default 5 s

	// indexesEvery is the interval at which missing indexes are created: the first write recreates a collection that was
	// dropped, but not its indexes. Default 15 s.
	indexesEvery time.Duration
}

// Events are gathered until none has arrived for 250 ms, so that staff see a new order at once, and for 5 s at most. In a busy
// shop most orders are then written once: an order passes through its states within three seconds, and replacing a document costs
// FerretDB twenty times as much as inserting it.
const (
	defaultWindow = 5 * time.Second
	defaultQuiet  = 250 * time.Millisecond
)

// renderConcurrency is how many entities are read at a time. A projection that works off a backlog finds none of them in memory.
const renderConcurrency = 8

// projector writes one projection.
type projector struct {
	projection Projection
	log        *eventlog.Log
	config     Config
	writer     *writer
	indexedAt  time.Time // last check of the indexes
}

// Batch returns the lane that keeps the projection current.
func (p Projection) Batch(l *eventlog.Log, config Config) worker.Batch {
	config.Window = cmp.Or(config.Window, defaultWindow)
	config.indexesEvery = cmp.Or(config.indexesEvery, 15*time.Second)
	pr := &projector{projection: p, log: l, config: config, writer: newWriter(config.DB)}
	return worker.Batch{Name: p.Name, Kind: worker.KindProject, Window: config.Window, Quiet: min(defaultQuiet, config.Window), Filter: pr.wants, Handle: pr.write,
		Prepare: pr.prepare}
}

// prepare returns the checkpoint, or 0 if there are no documents: the database was lost or replaced, and every list would stay
// empty. Where the log has no entity of the projection either, reading it again does no harm.
func (p *projector) prepare(ctx context.Context, checkpoint uint64) (uint64, error) {
	p.writer.forget()
	empty, err := p.isEmpty(ctx)
	if err != nil {
		return 0, err
	}
	if empty && checkpoint > 0 {
		p.log.Logger().Info("no documents: the log is read from its beginning", "projection", p.projection.Name, "checkpoint", checkpoint)
		checkpoint = 0
	}
	return checkpoint, p.ensureIndexes(ctx)
}

// isEmpty reports whether no collection of the projection has a document.
func (p *projector) isEmpty(ctx context.Context) (bool, error) {
	for _, c := range p.projection.Collections {
		err := p.config.DB.Collection(c.Name).FindOne(ctx, bson.D{}, options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
		if !errors.Is(err, mongo.ErrNoDocuments) {
			if err != nil {
				err = fmt.Errorf("read %s: %w", c.Name, err)
			}
			return false, err
		}
	}
	return true, nil
}

// wants reports whether an item belongs to one of the collections.
func (p *projector) wants(item *worker.Item) bool {
	for _, c := range p.projection.Collections {
		if _, ok := c.id(item.Subject); ok {
			return true
		}
	}
	return false
}

func (p *projector) ensureIndexes(ctx context.Context) error {
	if err := ensureAllIndexes(ctx, p.config.DB, p.projection.Collections); err != nil {
		return err
	}
	p.indexedAt = time.Now()
	return nil
}

// write updates the document of every entity that the items concern.
func (p *projector) write(ctx context.Context, items []*worker.Item) error {
	if time.Since(p.indexedAt) > p.config.indexesEvery {
		if err := p.ensureIndexes(ctx); err != nil {
			return err
		}
	}
	for _, c := range p.projection.Collections {
		changed := map[string]uint64{}
		for _, item := range items {
			if id, ok := c.id(item.Subject); ok {
				changed[id] = item.Sequence
			}
		}
		documents, err := p.render(ctx, c, changed)
		if err != nil {
			return err
		}
		failpoint.AtPlace(p.projection.Name, "project.rendered")
		if err := p.writer.upsert(ctx, c.Name, documents); err != nil {
			return err
		}
	}
	failpoint.AtPlace(p.projection.Name, "project.written")
	if p.config.Sync == nil {
		return nil
	}
	return p.config.Sync() // before the checkpoint: after a power cut, the lane would skip documents that were lost
}

// render reads the newest state of the entities, several at a time. An entity that cannot be read, for example because newer
// code has written it, keeps its old document until a rebuild by code that can read it.
func (p *projector) render(ctx context.Context, c Collection, changed map[string]uint64) ([]Document, error) {
	documents := make([]Document, 0, len(changed))
	var mu sync.Mutex
	var unreadable []error
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(renderConcurrency)
	for id, seq := range changed {
		group.Go(func() error {
			d, err := c.read(ctx, p.log, id, seq)
			switch {
			case errors.Is(err, eventlog.ErrUnreadable):
				mu.Lock()
				defer mu.Unlock()
				unreadable = append(unreadable, fmt.Errorf("%s: %w", id, err))
				return nil
			case errors.Is(err, eventlog.ErrNotFound): // the subject holds only messages that are not events
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
	err := group.Wait()
	if len(unreadable) > 0 {
		p.log.Logger().Error("entities not projected", "projection", p.projection.Name, "collection", c.Name, "entities", len(unreadable), "first", unreadable[0])
	}
	return documents, err
}
