package view

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// span is where a chunk lies.
type span struct {
	id          string
	first, last uint64
}

// ReadArchive calls fn for every archived message of a stream from a sequence on, in the order of the sequences, each
// once, until fn fails. What is missing in the archive is missing here: the caller sees it by the sequences.
func ReadArchive(ctx context.Context, collection *mongo.Collection, stream string, from uint64, fn func(Archived) error) error {
	head, err := ReadArchiveHead(ctx, collection, stream)
	if err != nil {
		return err
	}
	end := uint64(math.MaxUint64)
	if head.Cut != nil {
		end = head.Cut.From
	}
	spans, err := listChunks(ctx, collection, stream)
	if err != nil {
		return err
	}
	for _, s := range spans {
		if s.last < from || s.first >= end {
			continue
		}
		var c chunk
		if err := collection.FindOne(ctx, bson.D{{Key: "_id", Value: s.id}}).Decode(&c); err != nil {
			return fmt.Errorf("read %s of %s: %w", s.id, collection.Name(), err)
		}
		messages, err := c.unpack()
		if err != nil {
			return err
		}
		for _, m := range messages {
			if m.Sequence < from || m.Sequence >= end {
				continue
			}
			if err := fn(m); err != nil {
				return err
			}
			from = m.Sequence + 1
		}
	}
	return nil
}

// listChunks returns where all chunks lie, in order. Sorting is ours: FerretDB would hold all chunks in memory for it.
func listChunks(ctx context.Context, collection *mongo.Collection, stream string) (spans []span, err error) {
	projection := bson.D{{Key: "_id", Value: 1}, {Key: "last", Value: 1}}
	cursor, err := collection.Find(ctx, bson.D{}, options.Find().SetProjection(projection).SetBatchSize(1000))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", collection.Name(), err)
	}
	for cursor.Next(ctx) {
		var c chunk
		if err := cursor.Decode(&c); err != nil {
			return nil, errors.Join(fmt.Errorf("read %s: %w", collection.Name(), err), cursor.Close(ctx))
		}
		if c.ID == headID(stream) {
			continue
		}
		first, err := c.first()
		if err != nil {
			return nil, errors.Join(err, cursor.Close(ctx))
		}
		spans = append(spans, span{c.ID, first, c.Last})
	}
	if err := cursor.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", collection.Name(), err), cursor.Close(ctx))
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	return spans, cursor.Close(ctx)
}
