package archive

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Cut marks an [Archive.SetAside] that has begun. Messages from the sequence From on no longer count as archived, whether they
// were moved yet or not.
type Cut struct {
	From  uint64 `bson:"from"`
	Aside string `bson:"aside"` // the other collection
}

// SetAside moves the messages from a sequence on into another collection, for a log that continued without them. No message is
// lost at any point: a chunk is written to the other collection before it is shortened here. The head records the intention first,
// because a half-moved archive looks as if the log had lost the other half. At the end the head moves back.
func (a *Archive) SetAside(ctx context.Context, from uint64, aside *mongo.Collection) error {
	head, err := a.Head(ctx)
	if err != nil {
		return err
	}
	head.Cut = &Cut{From: from, Aside: aside.Name()}
	if err := a.putHead(ctx, head); err != nil {
		return err
	}
	_, err = a.FinishAside(ctx)
	return err
}

// FinishAside completes an [Archive.SetAside] that was interrupted. It returns the name of the other collection, "" when there was
// nothing to complete.
func (a *Archive) FinishAside(ctx context.Context) (aside string, err error) {
	head, err := a.Head(ctx)
	if err != nil || head.Cut == nil {
		return "", err
	}
	return head.Cut.Aside, a.moveFrom(ctx, head.Cut.From, NewInCollection(a.collection.Database().Collection(head.Cut.Aside)))
}

// moveFrom moves all chunks and recomputes the head.
func (a *Archive) moveFrom(ctx context.Context, from uint64, aside *Archive) error {
	spans, err := a.spans(ctx)
	if err != nil {
		return err
	}
	for _, s := range spans {
		if s.last < from {
			continue
		}
		if err := a.moveChunk(ctx, from, aside, s); err != nil {
			return err
		}
	}
	head := Head{}
	err = a.Each(ctx, 0, func(m Archived) error {
		head.Last, head.EventID = m.Sequence, m.EventID()
		return nil
	})
	if err != nil {
		return err
	}
	return a.putHead(ctx, head)
}

// moveChunk moves the messages of one chunk from a sequence on.
func (a *Archive) moveChunk(ctx context.Context, from uint64, aside *Archive, s span) error {
	messages, err := a.chunk(ctx, s.id)
	if err != nil {
		return err
	}
	kept := 0
	for kept < len(messages) && messages[kept].Sequence < from {
		kept++
	}
	if err := aside.Restore(ctx, messages[kept:]); err != nil {
		return err
	}
	if kept > 0 {
		return a.Restore(ctx, messages[:kept])
	}
	result, err := a.collection.DeleteOne(ctx, bson.D{{Key: "_id", Value: s.id}})
	if err == nil && result.DeletedCount == 0 {
		err = errors.New("chunk does not exist")
	}
	if err != nil {
		return fmt.Errorf("delete %s from %s: %w", s.id, a.collection.Name(), err)
	}
	return nil
}
