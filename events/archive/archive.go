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

// Limits of a chunk. A document may have 16 MiB in MongoDB; FerretDB's form of bytes is a third longer.
const (
	chunkMessages = 1000
	chunkBytes    = 4 << 20 // before compression
)

// Collection is the archive's collection.
const Collection = "archive"

// ErrNotContiguous is returned when messages do not begin right behind what is archived.
var ErrNotContiguous = errors.New("the batch does not begin behind the head of the archive")

// errCutOff: a part of the archive is being set aside, or that was begun and not ended.
var errCutOff = fmt.Errorf("%w: a repair was cut off", eventlog.ErrTruncated)

// Archive is the archive in one database. It is safe for concurrent use, but for one writer at a time.
type Archive struct {
	collection *mongo.Collection
}

// New returns the archive in a database.
func New(db *mongo.Database) *Archive { return NewInCollection(db.Collection(Collection)) }

// NewInCollection returns the archive in a collection, such as one that a repair has set aside.
func NewInCollection(collection *mongo.Collection) *Archive { return &Archive{collection: collection} }

// Head is how far an archive goes.
type Head struct {
	ID      string `bson:"_id"`      // headID
	Last    uint64 `bson:"last"`     // sequence up to which everything was archived
	EventID string `bson:"event_id"` // of the event at Last
	Cut     *Cut   `bson:"cut,omitempty"`
	// Restoring is there while the log is being restored from a backup, see [Archive.BeginRestore].
	Restoring *Restoring `bson:"restoring,omitempty"`
}

// closed returns why nothing may work on the log and the archive now, nil when all may.
func (h Head) closed() error {
	if h.Cut != nil {
		return errCutOff
	}
	return h.BeingRestored()
}

// BeingRestored returns an error that says so, and what to do, when the log is being restored from a backup.
func (h Head) BeingRestored() error {
	if h.Restoring == nil {
		return nil
	}
	return errRestoring{*h.Restoring}
}

// Cut is a [Archive.SetAside] that has begun. From there on nothing counts as archived, whether it was moved already or not.
type Cut struct {
	From  uint64 `bson:"from"`
	Aside string `bson:"aside"` // the collection
}

const headID = "head"

// Head returns how far the archive goes; the zero Head when it is empty.
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

// Append archives messages that follow each other, and moves the head on. What is archived already changes nothing. It
// returns [ErrNotContiguous] when something between the head and the first message is missing, and [eventlog.ErrTruncated] while
// a part of the archive is being set aside or a backup is being restored.
func (a *Archive) Append(ctx context.Context, messages []Archived) error {
	head, err := a.Head(ctx)
	if err != nil {
		return err
	}
	if err := head.closed(); err != nil {
		return err
	}
	begin := head.Last
	for {
		messages = behind(messages, head.Last)
		if len(messages) == 0 {
			break
		}
		if messages[0].Sequence != head.Last+1 {
			return fmt.Errorf("%w: it ends at %d, the batch begins at %d", ErrNotContiguous, head.Last, messages[0].Sequence)
		}
		if head, err = a.write(ctx, messages[:run(messages)]); err != nil {
			return err
		}
	}
	if head.Last == begin {
		return nil
	}
	return a.putHead(ctx, head)
}

// behind leaves out what is archived up to a sequence.
func behind(messages []Archived, last uint64) []Archived {
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

// write inserts a chunk and returns the head that it makes: at its end, or at the end of the chunk that was there already.
func (a *Archive) write(ctx context.Context, messages []Archived) (Head, error) {
	c, err := pack(messages)
	if err != nil {
		return Head{}, err
	}
	end := messages[len(messages)-1]
	_, err = a.collection.InsertOne(ctx, c)
	if mongo.IsDuplicateKeyError(err) {
		end, err = a.endOf(ctx, c.ID)
	}
	if err != nil {
		return Head{}, fmt.Errorf("archive %s: %w", c.ID, err)
	}
	return Head{Last: end.Sequence, EventID: end.EventID()}, nil
}

// endOf returns the last message of a chunk.
func (a *Archive) endOf(ctx context.Context, id string) (Archived, error) {
	messages, err := a.chunk(ctx, id)
	if err != nil {
		return Archived{}, err
	}
	return messages[len(messages)-1], nil
}

func (a *Archive) chunk(ctx context.Context, id string) ([]Archived, error) {
	var c chunk
	if err := a.collection.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&c); err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", id, a.collection.Name(), err)
	}
	return c.unpack()
}

// span is where a chunk lies.
type span struct {
	id          string
	first, last uint64
}

// Each calls fn for every archived message from a sequence on, in order, each once, until fn fails. What is missing in the
// archive is missing here: the caller sees it by the sequences.
func (a *Archive) Each(ctx context.Context, from uint64, fn func(Archived) error) error {
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

// spans returns where all chunks lie, in order. Sorting is ours: FerretDB would hold all chunks in memory for it.
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

var errEnough = errors.New("enough")

// Messages returns what is archived between two sequences, as the log had it.
func (a *Archive) Messages(ctx context.Context, from, to uint64) (messages []eventlog.Message, err error) {
	err = a.Each(ctx, from, func(m Archived) error {
		if m.Sequence > to {
			return errEnough
		}
		messages = append(messages, m.Message())
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return messages, err
}

// Restore writes messages that an archive has lost. Where the archive has them already they are written over.
func (a *Archive) Restore(ctx context.Context, messages []Archived) error {
	for len(messages) > 0 {
		n := run(messages)
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

// AdvanceHead notes that everything up to an event is archived, unless the head is there or further already.
func (a *Archive) AdvanceHead(ctx context.Context, last uint64, eventID string) error {
	head, err := a.Head(ctx)
	if err != nil || head.Last >= last {
		return err
	}
	return a.putHead(ctx, Head{Last: last, EventID: eventID})
}

// CheckHistory compares the newest thing in the archive with the log. It returns [eventlog.ErrTruncated] when the log does not
// know it, or has another event in its place: an older copy of the broker's store was put back, and an append now would use
// sequences a second time. It returns the same while a repair or a restore is under way or was cut off. Any other error says that it could not look. A hole in the log at that place tells nothing: readers
// fill it from the archive.
func (a *Archive) CheckHistory(ctx context.Context, l *eventlog.Log) error {
	head, err := a.Head(ctx)
	if err != nil {
		return err
	}
	if err := head.closed(); err != nil {
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
		return fmt.Errorf("%w: it ends at %d, its archive knows events up to %d", eventlog.ErrTruncated, last, head.Last)
	}
	m, err := l.Get(ctx, head.Last)
	if errors.Is(err, eventlog.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.Header.Get(events.HeaderID) != head.EventID {
		return fmt.Errorf("%w: at %d stands another event than the one that was archived from there, %s", eventlog.ErrTruncated, head.Last, head.EventID)
	}
	return nil
}
