package invariants

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tillstream/events/archive"
)

// Marks in a digest: the log has a message at this sequence, and the archive had the same one.
const (
	present  = 1 << 63
	archived = 1 << 62
	marks    = present | archived
)

// compareArchive is I6: it walks the archive once and marks what it finds in the log's digest.
func (c *checker) compareArchive(ctx context.Context) error {
	if c.DB == nil {
		c.skipped[ArchivedAll] = "no database was given (--mongodb)"
		return nil
	}
	c.enter("archive", c.last)
	copied := archive.New(c.DB)
	come, err := c.awaitArchive(ctx, copied)
	if err != nil {
		return err
	}
	var unknown, later []uint64
	err = copied.Each(ctx, 0, func(a archive.Archived) error {
		if a.Sequence > c.last {
			later = append(later, a.Sequence)
			return nil
		}
		if c.digest[a.Sequence]&present == 0 {
			unknown = append(unknown, a.Sequence)
		} else if !c.mark(a) {
			c.find(fmt.Sprintf("sequence %d", a.Sequence), fmt.Sprintf("in the archive is event %s, in the log it is another", a.EventID()))
		}
		c.done.Add(1)
		return nil
	})
	if err != nil {
		return err
	}
	for _, gap := range gaps(unknown) {
		c.find(gap.name(), fmt.Sprintf("in the archive %s not in the log", gap.are()))
	}
	lost, err := c.lost(ctx, later)
	if err != nil {
		return err
	}
	for _, gap := range gaps(lost) {
		c.find(gap.name(), fmt.Sprintf("in the archive %s not in the log, which ends before: ops repair says what else it has lost", gap.are()))
	}
	for _, gap := range gaps(c.missing()) {
		c.find(gap.name(), gap.are()+" not in the archive"+gap.behind(come))
	}
	c.scopes[ArchivedAll] = fmt.Sprintf("%d events", c.last)
	return nil
}

func (c *checker) find(subject, detail string) {
	c.report.Findings = append(c.report.Findings, Finding{Invariant: ArchivedAll, Subject: subject, Detail: detail})
}

// awaitArchive gives the archive time to catch up with where the log stood at the start, and says how far it has come. That
// it never does is not an error here: what is missing will be named.
func (c *checker) awaitArchive(ctx context.Context, copied *archive.Archive) (come uint64, err error) {
	for deadline := time.Now().Add(c.ArchivePatience); ; {
		head, err := copied.Head(ctx)
		if head.Last >= c.last || err != nil || time.Now().After(deadline) {
			return head.Last, err
		}
		if err := wait(ctx, min(250*time.Millisecond, c.ArchivePatience)); err != nil {
			return 0, err
		}
	}
}

// lost are those of the sequences that the log does not reach. It may have grown since the start, and what has come since
// is not compared; but an archive knows nothing that the log has not had, so what lies beyond its end now, it has lost.
func (c *checker) lost(ctx context.Context, later []uint64) ([]uint64, error) {
	if len(later) == 0 {
		return nil, nil
	}
	end, err := c.Log.Last(ctx)
	return slices.DeleteFunc(later, func(sequence uint64) bool { return sequence <= end }), err
}

// mark notes that the archive has a message that the log has, and reports whether it is the same one.
func (c *checker) mark(a archive.Archived) (same bool) {
	same = c.digest[a.Sequence]&^marks == hash(a.EventID())&^marks
	c.digest[a.Sequence] |= archived
	return same
}

// missing are the sequences at which the log has a message and the archive has none.
func (c *checker) missing() (sequences []uint64) {
	for sequence, digest := range c.digest {
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

func (g gap) name() string {
	if g.from == g.to {
		return fmt.Sprintf("sequence %d", g.from)
	}
	return fmt.Sprintf("sequences %d–%d", g.from, g.to)
}

// behind tells what was not archived yet from what the archive has lost: the one mends itself when the lane goes on, the
// other is for ops repair.
func (g gap) behind(come uint64) string {
	if g.from <= come {
		return ""
	}
	return fmt.Sprintf(", which has come to %d: see in ops lag whether its lane is paused, or no process runs it", come)
}

func (g gap) are() string {
	if g.from == g.to {
		return "is"
	}
	return fmt.Sprintf("%d messages are", g.to-g.from+1)
}
