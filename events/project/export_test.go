package project

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Unexported functions for the external tests.
var (
	IsFerret    = isFerret
	UsedIndexes = usedIndexes
)

// IndexesEvery changes the interval at which missing indexes are created.
func (c Config) IndexesEvery(d time.Duration) Config {
	c.indexesEvery = d
	return c
}

// Writer exposes the writer of a projection.
type Writer struct{ w *writer }

// NewWriter returns a writer with an empty cache.
func NewWriter(db *mongo.Database) Writer { return Writer{newWriter(db)} }

// Upsert writes documents.
func (w Writer) Upsert(ctx context.Context, collection string, documents ...Document) error {
	return w.w.upsert(ctx, collection, documents)
}

// Forget empties the cache, as when a lane is taken over.
func (w Writer) Forget() { w.w.forget() }

// EntitiesPerPass changes how many entities a rebuild holds in memory.
func (r *Rebuild) EntitiesPerPass(n uint64) { r.entitiesPerPass = n }
