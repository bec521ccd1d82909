package archive

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

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Limits of a chunk. MongoDB allows 16 MiB per document; FerretDB encodes bytes a third longer.
const (
	chunkMessages = 1000
	chunkBytes    = 4 << 20 // before compression
)

// Collection is the name of the archive's collection.
const Collection = "archive"

// ErrNotContiguous is returned when a batch does not begin directly after the head.
var ErrNotContiguous = errors.New("the batch does not begin after the head of the archive")

// errCutting is returned while a part of the archive is being set aside, or after an interrupted [Archive.SetAside].
var errCutting = fmt.Errorf("%w: a repair is running or was interrupted", eventlog.ErrTruncated)

// Archive is an archive in one collection. It is safe for concurrent use by many readers and one writer.
type Archive struct {
	collection *mongo.Collection
}

// New returns the archive in a database.
func New(db *mongo.Database) *Archive { return NewInCollection(db.Collection(Collection)) }

// NewInCollection returns the archive in a collection, such as one with messages that a repair has set aside.
func NewInCollection(collection *mongo.Collection) *Archive { return &Archive{collection: collection} }

// Head is the end of an archive.
type Head struct {
	ID        string     `bson:"_id"`      // headID
	Last      uint64     `bson:"last"`     // every message up to this sequence is archived
	EventID   string     `bson:"event_id"` // of the event at Last
	Cut       *Cut       `bson:"cut,omitempty"`
	Restoring *Restoring `bson:"restoring,omitempty"`
}

const headID = "head"

// locked returns the reason why no process may write to the log or the archive, nil when processes may.
func (h Head) locked() error {
	if h.Cut != nil {
		return errCutting
	}
	return h.BeingRestored()
}

// BeingRestored returns an error that names the remedy while a backup is being restored, otherwise nil.
func (h Head) BeingRestored() error {
	if h.Restoring == nil {
		return nil
	}
	return restoringError{*h.Restoring}
}

// Head returns the end of the archive, the zero Head when it is empty.
func (a *Archive) Head(ctx context.Context) (head Head, err error) {
	err = a.collection.FindOne(ctx, bson.D{{Key: "_id", Value: headID}}).Decode(&head)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return head, fmt.Errorf("read head of %s: %w", a.collection.Name(), err)
	}
	return head, nil
}

func (a *Archive) putHead(ctx context.Context, head Head) error {
	head.ID = headID
	if _, err := a.collection.ReplaceOne(ctx, bson.D{{Key: "_id", Value: headID}}, head, options.Replace().SetUpsert(true)); err != nil {
		return fmt.Errorf("write head of %s: %w", a.collection.Name(), err)
	}
	return nil
}

// Append archives consecutive messages and advances the head. It skips messages that are archived already. It returns
// [ErrNotContiguous] when a message between the head and the batch is missing, and [eventlog.ErrTruncated] while a part of the
// archive is being set aside or a backup is being restored.
func (a *Archive) Append(ctx context.Context, messages []Archived) error {
	head, err := a.Head(ctx)
	if err != nil {
		return err
	}
	if err := head.locked(); err != nil {
		return err
	}
	start := head.Last
	for {
		messages = after(messages, head.Last)
		if len(messages) == 0 {
			break
		}
		if messages[0].Sequence != head.Last+1 {
			return fmt.Errorf("%w: it ends at %d, the batch begins at %d", ErrNotContiguous, head.Last, messages[0].Sequence)
		}
		if head, err = a.insertChunk(ctx, messages[:chunkLength(messages)]); err != nil {
			return err
		}
	}
	if head.Last == start {
		return nil
	}
	return a.putHead(ctx, head)
}

// after returns the messages after a sequence.
func after(messages []Archived, last uint64) []Archived {
	for len(messages) > 0 && messages[0].Sequence <= last {
		messages = messages[1:]
	}
	return messages
}

// chunkLength returns the number of messages at the beginning that are consecutive and fit into one chunk.
func chunkLength(messages []Archived) (n int) {
	for size := 0; n < min(len(messages), chunkMessages) && size < chunkBytes; n++ {
		if n > 0 && messages[n].Sequence != messages[n-1].Sequence+1 {
			break
		}
		size += len(messages[n].Text) + len(messages[n].Bytes)
	}
	return n
}

// insertChunk inserts a chunk and returns the head at its end, or at the end of an existing chunk with the same id.
func (a *Archive) insertChunk(ctx context.Context, messages []Archived) (Head, error) {
	c, err := pack(messages)
	if err != nil {
		return Head{}, err
	}
	end := messages[len(messages)-1]
	_, err = a.collection.InsertOne(ctx, c)
	if mongo.IsDuplicateKeyError(err) {
		end, err = a.lastOf(ctx, c.ID)
	}
	if err != nil {
		return Head{}, fmt.Errorf("archive %s: %w", c.ID, err)
	}
	return Head{Last: end.Sequence, EventID: end.EventID()}, nil
}

// lastOf returns the last message of a chunk.
func (a *Archive) lastOf(ctx context.Context, id string) (Archived, error) {
	messages, err := a.chunk(ctx, id)
	if err != nil {
		return Archived{}, err
	}
	return messages[len(messages)-1], nil
}

func (a *Archive) chunk(ctx context.Context, id string) ([]Archived, error) {
	raw, err := a.collection.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Raw()
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", id, a.collection.Name(), err)
	}
	var c chunk
	if err := bson.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("%w: decode %s: %w", ErrDamaged, id, err)
	}
	return c.unpack()
}

// span is the range of sequences of a chunk.
type span struct {
	id          string
	first, last uint64
}

// Each calls fn once for every archived message from a sequence on, in order, until fn returns an error. Gaps in the archive show
// as gaps in the sequences. It returns [ErrDamaged] at a chunk that cannot be unpacked.
func (a *Archive) Each(ctx context.Context, from uint64, fn func(Archived) error) error {
	return a.EachReadable(ctx, from, func(d Damage) error { return d.Err }, fn)
}

// EachReadable is like [Archive.Each], but calls damaged for a chunk that cannot be unpacked, and continues after the chunk when damaged
// returns nil.
func (a *Archive) EachReadable(ctx context.Context, from uint64, damaged func(Damage) error, fn func(Archived) error) error {
	head, err := a.Head(ctx)
	if err != nil {
		return err
	}
	end := uint64(math.MaxUint64)
	if head.Cut != nil {
		end = head.Cut.From
	}
	spans, err := a.spans(ctx)
	if err != nil {
		return err
	}
	for _, s := range spans {
		if s.last < from || s.first >= end {
			continue
		}
		messages, err := a.chunk(ctx, s.id)
		if errors.Is(err, ErrDamaged) {
			err = damaged(Damage{Chunk: s.id, First: s.first, Last: s.last, Err: err})
		}
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

// spans returns the spans of all chunks in order. It sorts them itself, because FerretDB would load all chunks into memory.
func (a *Archive) spans(ctx context.Context) (spans []span, err error) {
	projection := bson.D{{Key: "_id", Value: 1}, {Key: "last", Value: 1}}
	cursor, err := a.collection.Find(ctx, bson.D{}, options.Find().SetProjection(projection).SetBatchSize(1000))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", a.collection.Name(), err)
	}
	for cursor.Next(ctx) {
		var c chunk
		if err := cursor.Decode(&c); err != nil {
			return nil, errors.Join(fmt.Errorf("read %s: %w", a.collection.Name(), err), cursor.Close(ctx))
		}
		if c.ID == headID {
			continue
		}
		first, err := c.first()
		if err != nil {
			return nil, errors.Join(err, cursor.Close(ctx))
		}
		spans = append(spans, span{c.ID, first, c.Last})
	}
	if err := cursor.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", a.collection.Name(), err), cursor.Close(ctx))
	}
	slices.SortFunc(spans, func(x, y span) int { return cmp.Compare(x.first, y.first) })
	return spans, cursor.Close(ctx)
}

var errEnd = errors.New("end of the range")

// Messages returns the archived messages from one sequence to another, both included, as the log stored them.
func (a *Archive) Messages(ctx context.Context, from, to uint64) (messages []eventlog.Message, err error) {
	err = a.Each(ctx, from, func(m Archived) error {
		if m.Sequence > to {
			return errEnd
		}
		messages = append(messages, m.Message())
		return nil
	})
	if errors.Is(err, errEnd) {
		err = nil
	}
	return messages, err
}

// Restore writes messages that the archive has lost. It overwrites chunks that begin at the same sequence.
func (a *Archive) Restore(ctx context.Context, messages []Archived) error {
	for len(messages) > 0 {
		n := chunkLength(messages)
		c, err := pack(messages[:n])
		if err != nil {
			return err
		}
		if _, err := a.collection.ReplaceOne(ctx, bson.D{{Key: "_id", Value: c.ID}}, c, options.Replace().SetUpsert(true)); err != nil {
			return fmt.Errorf("restore %s in %s: %w", c.ID, a.collection.Name(), err)
		}
		messages = messages[n:]
	}
	return nil
}

// AdvanceHead moves the head to an event when it is further than the current head.
func (a *Archive) AdvanceHead(ctx context.Context, last uint64, eventID string) error {
	head, err := a.Head(ctx)
	if err != nil || head.Last >= last {
		return err
	}
	return a.putHead(ctx, Head{Last: last, EventID: eventID})
}

// CheckHistory compares the newest archived event with the log. It returns [eventlog.ErrTruncated] when the log ends before that
// event or has another one in its place: an older copy of the broker's store was put back, and an append would use sequences
// twice. It returns the same while a repair or a restore is running or after it was interrupted. Any other error means that
// the comparison failed. A gap in the log at that sequence is not an error: readers fill it from the archive.
func (a *Archive) CheckHistory(ctx context.Context, l *eventlog.Log) error {
	head, err := a.Head(ctx)
	if err != nil {
		return err
	}
	if err := head.locked(); err != nil {
		return err
	}
	if head.Last == 0 {
		return nil
	}
	last, err := l.End(ctx, head.Last)
	if err != nil {
		return err
	}
	if last < head.Last {
		return fmt.Errorf("%w: it ends at %d, the archive at %d", eventlog.ErrTruncated, last, head.Last)
	}
	m, err := l.Get(ctx, head.Last)
	if errors.Is(err, eventlog.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.Header.Get(events.HeaderID) != head.EventID {
		return fmt.Errorf("%w: the event at %d is not the archived event %s", eventlog.ErrTruncated, head.Last, head.EventID)
	}
	return nil
}
