package project

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// For tests from outside.
var (
	IsFerret = isFerret
	Useful   = useful
)

// IndexesEvery changes how often missing indexes are looked for.
func (c Config) IndexesEvery(d time.Duration) Config {
	c.indexesEvery = d
	return c
}

// Writer is what a projection writes with.
type Writer struct{ w *writer }

// NewWriter returns a writer that knows of no document.
func NewWriter(db *mongo.Database) Writer { return Writer{newWriter(db)} }

// Upsert writes documents.
func (w Writer) Upsert(ctx context.Context, collection string, documents ...Document) error {
	return w.w.upsert(ctx, collection, documents)
}

// Forget has the writer forget what it has written, as when a lane is taken over.
func (w Writer) Forget() { w.w.forget() }

// AtOnce changes how many entities a rebuild holds in memory.
func (r *Rebuild) AtOnce(entities uint64) { r.atOnce = entities }
