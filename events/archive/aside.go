package archive

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// SetAside moves what the archive holds from a sequence on into another collection, for a log that went on without it.
// Nothing is lost in between: a chunk is written there before it is shortened here. The head says first what is about to
// happen, because half an archive looks as if the log had lost the other half; in the end it goes back, too.
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

// FinishAside ends a [Archive.SetAside] that was cut off, and returns the name of the other collection; "" when there was none.
func (a *Archive) FinishAside(ctx context.Context) (aside string, err error) {
	head, err := a.Head(ctx)
	if err != nil || head.Cut == nil {
		return "", err
	}
	return head.Cut.Aside, a.cut(ctx, head.Cut.From, NewInCollection(a.collection.Database().Collection(head.Cut.Aside)))
}

func (a *Archive) cut(ctx context.Context, from uint64, aside *Archive) error {
	spans, err := a.spans(ctx)
	if err != nil {
		return err
	}
	for _, s := range spans {
		if s.last < from {
			continue
		}
		if err := a.setChunkAside(ctx, from, aside, s); err != nil {
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

func (a *Archive) setChunkAside(ctx context.Context, from uint64, aside *Archive, s span) error {
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
		err = errors.New("no such chunk")
	}
	if err != nil {
		return fmt.Errorf("delete %s from %s: %w", s.id, a.collection.Name(), err)
	}
	return nil
}
