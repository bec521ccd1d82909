package view

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// SetAside moves what an archive holds from a sequence on into another collection, for a log that went on without it.
// Nothing is lost in between: a chunk is written there before it is shortened here. The head says first what is about to
// happen, because half an archive looks as if the log had lost the other half; in the end it goes back, too.
func SetAside(ctx context.Context, from uint64, collection, aside *mongo.Collection, stream string) error {
	head, err := ReadArchiveHead(ctx, collection, stream)
	if err != nil {
		return err
	}
	head.ID, head.Cut = headID(stream), &Cut{From: from, Aside: aside.Name()}
	if err := putHead(ctx, collection, head); err != nil {
		return err
	}
	_, err = FinishAside(ctx, collection, stream)
	return err
}

// FinishAside ends a [SetAside] that was cut off, and returns the name of the other collection; "" when there was none.
func FinishAside(ctx context.Context, collection *mongo.Collection, stream string) (aside string, err error) {
	head, err := ReadArchiveHead(ctx, collection, stream)
	if err != nil || head.Cut == nil {
		return "", err
	}
	return head.Cut.Aside, cut(ctx, head.Cut.From, collection, collection.Database().Collection(head.Cut.Aside), stream)
}

func cut(ctx context.Context, from uint64, collection, aside *mongo.Collection, stream string) error {
	spans, err := listChunks(ctx, collection, stream)
	if err != nil {
		return err
	}
	for _, s := range spans {
		if s.last < from {
			continue
		}
		if err := setChunkAside(ctx, from, collection, aside, stream, s); err != nil {
			return err
		}
	}
	head := ArchiveHead{ID: headID(stream)}
	err = ReadArchive(ctx, collection, stream, 0, func(a Archived) error {
		head.Last, head.EventID = a.Sequence, a.EventID()
		return nil
	})
	if err != nil {
		return err
	}
	return putHead(ctx, collection, head)
}

func setChunkAside(ctx context.Context, from uint64, collection, aside *mongo.Collection, stream string, s span) error {
	var c chunk
	if err := collection.FindOne(ctx, bson.D{{Key: "_id", Value: s.id}}).Decode(&c); err != nil {
		return fmt.Errorf("read %s of %s: %w", s.id, collection.Name(), err)
	}
	messages, err := c.unpack()
	if err != nil {
		return err
	}
	kept := 0
	for kept < len(messages) && messages[kept].Sequence < from {
		kept++
	}
	if err := RestoreArchive(ctx, aside, stream, messages[kept:]); err != nil {
		return err
	}
	if kept > 0 {
		return RestoreArchive(ctx, collection, stream, messages[:kept])
	}
	return deleteDocument(ctx, collection, s.id)
}

// AdvanceHead notes that everything up to an event is archived, unless the head is there or further already.
func AdvanceHead(ctx context.Context, collection *mongo.Collection, stream string, last uint64, eventID string) error {
	head, err := ReadArchiveHead(ctx, collection, stream)
	if err != nil || head.Last >= last {
		return err
	}
	return putHead(ctx, collection, ArchiveHead{ID: headID(stream), Last: last, EventID: eventID})
}

func putHead(ctx context.Context, collection *mongo.Collection, head ArchiveHead) error {
	if _, err := collection.ReplaceOne(ctx, bson.D{{Key: "_id", Value: head.ID}}, head, options.Replace().SetUpsert(true)); err != nil {
		return fmt.Errorf("write %s of %s: %w", head.ID, collection.Name(), err)
	}
	return nil
}
