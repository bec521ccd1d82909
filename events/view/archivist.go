package view

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Limits of a chunk. A document may have 16 MiB in MongoDB; FerretDB's form of bytes is a third longer.
const (
	chunkMessages = 1000
	chunkBytes    = 4 << 20 // before compression
)

// ArchiveHead is how far an archive goes.
type ArchiveHead struct {
	ID      string `bson:"_id"`      // stream/head
	Last    uint64 `bson:"last"`     // sequence up to which everything was archived
	EventID string `bson:"event_id"` // of the event at Last
	Cut     *Cut   `bson:"cut,omitempty"`
}

// Cut is a [SetAside] that has begun. From there on nothing counts as archived, whether it was moved already or not.
type Cut struct {
	From  uint64 `bson:"from"`
	Aside string `bson:"aside"` // the collection
}

func headID(stream string) string { return stream + "/head" }

// archivist appends to one stream's archive. A chunk begins where the last one ended, also when messages are delivered
// again with other neighbours: what the head covers is left out, and what a chunk without a head covers (the process died
// in between) is found by its id.
type archivist struct {
	collection *mongo.Collection
	stream     string
	head       *ArchiveHead // nil: not read yet
}

// add archives messages in the order of their sequences; those that are archived already change nothing.
func (a *archivist) add(ctx context.Context, messages []Archived) error {
	if a.head == nil {
		head, err := ReadArchiveHead(ctx, a.collection, a.stream)
		if err != nil {
			return err
		}
		a.head = &head
	}
	begin := a.head.Last
	for {
		messages = beyond(messages, a.head.Last)
		if len(messages) == 0 {
			break
		}
		if err := a.write(ctx, messages[:run(messages)]); err != nil {
			a.head = nil // somebody else may have gone on
			return err
		}
	}
	if a.head.Last == begin {
		return nil
	}
	return a.writeHead(ctx)
}

// beyond leaves out what is archived up to a sequence.
func beyond(messages []Archived, last uint64) []Archived {
	for len(messages) > 0 && messages[0].Sequence <= last {
		messages = messages[1:]
	}
	return messages
}

// run counts how many messages at the beginning follow each other and fit into a chunk.
func run(messages []Archived) (n int) {
	for size := 0; n < min(len(messages), chunkMessages) && size < chunkBytes; n++ {
		if n > 0 && messages[n].Sequence != messages[n-1].Sequence+1 {
			break
		}
		size += len(messages[n].Text) + len(messages[n].Bytes)
	}
	return n
}

// write inserts a chunk and moves the head on, to its end or to the end of the one that was there already.
func (a *archivist) write(ctx context.Context, messages []Archived) error {
	c, err := pack(a.stream, messages)
	if err != nil {
		return err
	}
	end := messages[len(messages)-1]
	_, err = a.collection.InsertOne(ctx, c)
	if mongo.IsDuplicateKeyError(err) {
		end, err = a.endOf(ctx, c.ID)
	}
	if err != nil {
		return fmt.Errorf("archive %s: %w", c.ID, err)
	}
	a.head = &ArchiveHead{ID: headID(a.stream), Last: end.Sequence, EventID: end.EventID()}
	return nil
}

// RestoreArchive writes messages that an archive has lost. Where the archive has them already they are written over.
func RestoreArchive(ctx context.Context, collection *mongo.Collection, stream string, messages []Archived) error {
	for len(messages) > 0 {
		n := run(messages)
		c, err := pack(stream, messages[:n])
		if err != nil {
			return err
		}
		if _, err := collection.ReplaceOne(ctx, bson.D{{Key: "_id", Value: c.ID}}, c, options.Replace().SetUpsert(true)); err != nil {
			return fmt.Errorf("restore %s in %s: %w", c.ID, collection.Name(), err)
		}
		messages = messages[n:]
	}
	return nil
}

// endOf returns the last message of a chunk.
func (a *archivist) endOf(ctx context.Context, id string) (Archived, error) {
	var there chunk
	if err := a.collection.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&there); err != nil {
		return Archived{}, err
	}
	messages, err := there.unpack()
	if err != nil {
		return Archived{}, err
	}
	return messages[len(messages)-1], nil
}

func (a *archivist) writeHead(ctx context.Context) error {
	_, err := a.collection.ReplaceOne(ctx, bson.D{{Key: "_id", Value: a.head.ID}}, a.head, options.Replace().SetUpsert(true))
	if err != nil {
		err = fmt.Errorf("archive head of %s: %w", a.stream, err)
		a.head = nil
	}
	return err
}

// ReadArchiveHead returns how far a stream's archive goes; its zero value when there is none.
func ReadArchiveHead(ctx context.Context, collection *mongo.Collection, stream string) (head ArchiveHead, err error) {
	err = collection.FindOne(ctx, bson.D{{Key: "_id", Value: headID(stream)}}).Decode(&head)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return head, fmt.Errorf("read archive head of %s: %w", stream, err)
	}
	return head, nil
}
