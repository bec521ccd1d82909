package invariants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
)

// archives names each stream's archive: what the domains' views write (events/view, Archived).
var archives = map[string]string{
	events.StreamOrders: "orders_archive", events.StreamInventory: "inventory_archive",
	events.StreamPayments: "payments_archive", events.StreamNotifications: "notifications_archive",
}

// Marks in a digest: the log has a message at this sequence, and the archive had the same one.
const (
	present  = 1 << 63
	archived = 1 << 62
	marks    = present | archived
)

// archivedEvent is what is read of an archived message.
type archivedEvent struct {
	ID      string `bson:"_id"` // stream/sequence
	EventID string `bson:"event_id"`
}

// compareArchives is I6.
func (c *checker) compareArchives(ctx context.Context) error {
	if c.DB == nil {
		c.skipped[ArchivedAll] = "no database was given (--mongodb)"
		return nil
	}
	var total uint64
	for _, stream := range entityStreams {
		total += c.last[stream]
	}
	c.enter("archive", total)
	found := make([][]Finding, len(entityStreams))
	group, ctx := errgroup.WithContext(ctx)
	for i, stream := range entityStreams {
		group.Go(func() (err error) {
			found[i], err = c.compareArchive(ctx, stream)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, findings := range found {
		c.report.Findings = append(c.report.Findings, findings...)
	}
	c.scopes[ArchivedAll] = fmt.Sprintf("%d events in %d archives", total, len(archives))
	return nil
}

// compareArchive walks an archive once and marks what it finds in the log's digest. What is not marked then is asked for
// by its id before it counts as missing: it may have been written meanwhile.
func (c *checker) compareArchive(ctx context.Context, stream string) ([]Finding, error) {
	collection := c.DB.Collection(archives[stream])
	if err := c.awaitArchive(ctx, collection, stream); err != nil {
		return nil, err
	}
	findings, err := c.walkArchive(ctx, collection, stream)
	if err != nil {
		return nil, err
	}
	missing, err := c.reallyMissing(ctx, collection, stream)
	if err != nil {
		return nil, err
	}
	for _, gap := range gaps(missing) {
		findings = append(findings, Finding{Invariant: ArchivedAll, Subject: gap.name(stream), Detail: fmt.Sprintf("%s not in %s", gap.are(), collection.Name())})
	}
	return findings, nil
}

// awaitArchive gives the view time to catch up with where the log stood at the start. That it never does is not an
// error here: what is missing will be named.
func (c *checker) awaitArchive(ctx context.Context, collection *mongo.Collection, stream string) error {
	if c.last[stream] == 0 {
		return nil
	}
	for deadline := time.Now().Add(c.ArchivePatience); time.Now().Before(deadline); {
		there, err := isArchived(ctx, collection, stream, c.last[stream])
		if there || err != nil {
			return err
		}
		if err := wait(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func isArchived(ctx context.Context, collection *mongo.Collection, stream string, sequence uint64) (bool, error) {
	err := collection.FindOne(ctx, bson.D{{Key: "_id", Value: fmt.Sprintf("%s/%d", stream, sequence)}}).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look into %s: %w", collection.Name(), err)
	}
	return true, nil
}

func (c *checker) walkArchive(ctx context.Context, collection *mongo.Collection, stream string) (findings []Finding, err error) {
	projection := bson.D{{Key: "_id", Value: 1}, {Key: "event_id", Value: 1}}
	cursor, err := collection.Find(ctx, bson.D{}, options.Find().SetProjection(projection).SetBatchSize(5000))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", collection.Name(), err)
	}
	for cursor.Next(ctx) {
		var doc archivedEvent
		if err := cursor.Decode(&doc); err != nil {
			return nil, errors.Join(fmt.Errorf("read %s: %w", collection.Name(), err), cursor.Close(ctx))
		}
		if detail := c.mark(stream, doc); detail != "" {
			findings = append(findings, Finding{Invariant: ArchivedAll, Subject: doc.ID, Detail: "in " + collection.Name() + " " + detail})
		}
		c.done.Add(1)
	}
	if err := cursor.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", collection.Name(), err), cursor.Close(ctx))
	}
	return findings, cursor.Close(ctx)
}

// mark notes that the archive has a message and says what is wrong with it, "" when nothing is. Messages beyond where
// the log stood at the start are not compared.
func (c *checker) mark(stream string, doc archivedEvent) (wrong string) {
	number, ok := strings.CutPrefix(doc.ID, stream+"/")
	sequence, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return "goes by no sequence of " + stream
	}
	if sequence > c.last[stream] {
		return ""
	}
	digest := c.digests[stream]
	switch {
	case digest[sequence]&present == 0:
		return "is not in the log"
	case digest[sequence]&^marks != hash(doc.EventID)&^marks:
		digest[sequence] |= archived
		return fmt.Sprintf("is event %s, in the log it is another", doc.EventID)
	}
	digest[sequence] |= archived
	return ""
}

// askedByID bounds how many are asked for one by one.
const askedByID = 2000

func (c *checker) reallyMissing(ctx context.Context, collection *mongo.Collection, stream string) ([]uint64, error) {
	var missing []uint64
	for sequence, digest := range c.digests[stream] {
		if digest&marks == present {
			missing = append(missing, uint64(sequence))
		}
	}
	if len(missing) > askedByID {
		return missing, nil
	}
	var err error
	missing = slices.DeleteFunc(missing, func(sequence uint64) bool {
		there := false
		if err == nil {
			there, err = isArchived(ctx, collection, stream, sequence)
		}
		return there
	})
	return missing, err
}

// gap is a run of sequences.
type gap struct{ from, to uint64 }

func gaps(sequences []uint64) (runs []gap) {
	for _, s := range sequences {
		if n := len(runs); n > 0 && runs[n-1].to+1 == s {
			runs[n-1].to = s
			continue
		}
		runs = append(runs, gap{from: s, to: s})
	}
	return runs
}

func (g gap) name(stream string) string {
	if g.from == g.to {
		return fmt.Sprintf("%s/%d", stream, g.from)
	}
	return fmt.Sprintf("%s/%d–%d", stream, g.from, g.to)
}

func (g gap) are() string {
	if g.from == g.to {
		return "is"
	}
	return fmt.Sprintf("%d messages are", g.to-g.from+1)
}
