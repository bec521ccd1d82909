package invariants

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
	"tillstream/events/view"
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

// compareArchive walks an archive once and marks what it finds in the log's digest.
func (c *checker) compareArchive(ctx context.Context, stream string) (findings []Finding, err error) {
	collection := c.DB.Collection(archives[stream])
	come, err := c.awaitArchive(ctx, collection, stream)
	if err != nil {
		return nil, err
	}
	var later []uint64
	err = view.ReadArchive(ctx, collection, stream, 0, func(a view.Archived) error {
		if a.Sequence > c.last[stream] {
			later = append(later, a.Sequence)
			return nil
		}
		if detail := c.mark(stream, a); detail != "" {
			findings = append(findings, Finding{Invariant: ArchivedAll, Subject: fmt.Sprintf("%s/%d", stream, a.Sequence),
				Detail: "in " + collection.Name() + " " + detail})
		}
		c.done.Add(1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	lost, err := c.lost(ctx, stream, later)
	if err != nil {
		return nil, err
	}
	for _, gap := range gaps(lost) {
		findings = append(findings, Finding{Invariant: ArchivedAll, Subject: gap.name(stream),
			Detail: fmt.Sprintf("in %s %s not in the log, which ends before: ops repair says what else it has lost", collection.Name(), gap.are())})
	}
	for _, gap := range gaps(c.missing(stream)) {
		findings = append(findings, Finding{Invariant: ArchivedAll, Subject: gap.name(stream), Detail: fmt.Sprintf("%s not in %s", gap.are(), collection.Name()) + gap.behind(come)})
	}
	return findings, nil
}

// awaitArchive gives the view time to catch up with where the log stood at the start, and says how far it has come. That it
// never does is not an error here: what is missing will be named.
func (c *checker) awaitArchive(ctx context.Context, collection *mongo.Collection, stream string) (come uint64, err error) {
	for deadline := time.Now().Add(c.ArchivePatience); ; {
		head, err := view.ReadArchiveHead(ctx, collection, stream)
		if head.Last >= c.last[stream] || err != nil || time.Now().After(deadline) {
			return head.Last, err
		}
		if err := wait(ctx, min(250*time.Millisecond, c.ArchivePatience)); err != nil {
			return 0, err
		}
	}
}

// lost are those of the sequences that the log does not reach. It may have grown since the start, and what has come since
// is not compared; but an archive knows nothing that the log has not had, so what lies beyond its end now, it has lost.
func (c *checker) lost(ctx context.Context, stream string, later []uint64) ([]uint64, error) {
	if len(later) == 0 {
		return nil, nil
	}
	end, err := c.Log.Last(ctx, stream)
	return slices.DeleteFunc(later, func(sequence uint64) bool { return sequence <= end }), err
}

// mark notes that the archive has a message and says what is wrong with it, "" when nothing is.
func (c *checker) mark(stream string, a view.Archived) (wrong string) {
	digest := c.digests[stream]
	switch {
	case digest[a.Sequence]&present == 0:
		return "is not in the log"
	case digest[a.Sequence]&^marks != hash(a.EventID())&^marks:
		digest[a.Sequence] |= archived
		return fmt.Sprintf("is event %s, in the log it is another", a.EventID())
	}
	digest[a.Sequence] |= archived
	return ""
}

// missing are the sequences at which the log has a message and the archive has none.
func (c *checker) missing(stream string) (sequences []uint64) {
	for sequence, digest := range c.digests[stream] {
		if digest&marks == present {
			sequences = append(sequences, uint64(sequence))
		}
	}
	return sequences
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

// behind tells what was not archived yet from what the archive has lost: the one mends itself when the view goes on, the
// other is for ops repair.
func (g gap) behind(come uint64) string {
	if g.from <= come {
		return ""
	}
	return fmt.Sprintf(", which has come to %d: see in ops lag whether its view is paused, or nobody is at work on it", come)
}

func (g gap) are() string {
	if g.from == g.to {
		return "is"
	}
	return fmt.Sprintf("%d messages are", g.to-g.from+1)
}
