package invariants

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/events/archive"
	"tillstream/events/replay"
)

// Marks in the digest of a sequence: the log has an event there (present), and the archive has the same one (archived).
const (
	present  = 1 << 63
	archived = 1 << 62
	marks    = present | archived
)

// findHoles finds the sequences at which the log has no event. The stream denies deletion, so each is damage.
func (c *checker) findHoles() {
	var holes []uint64
	for sequence, digest := range c.digest {
		if sequence > 0 && digest&present == 0 {
			holes = append(holes, uint64(sequence))
		}
	}
	for _, gap := range gaps(holes) {
		c.ledger.find(ArchivedAll, gap.name(), gap.are()+" missing in the log: the log is damaged")
	}
}

// checkArchive is I6. It reads the archive once and marks its events in the digests of the log's events.
func (c *checker) checkArchive(ctx context.Context) error {
	if c.DB == nil {
		c.skipped[ArchivedAll] = "the archive (pass --mongodb)"
		return nil
	}
	c.enter("archive", c.last)
	if c.Deep {
		return c.audit(ctx)
	}
	copied := archive.New(c.DB)
	reached, err := c.awaitArchive(ctx, copied)
	if err != nil {
		return err
	}
	unknown, later, err := c.markArchived(ctx, copied)
	if err != nil {
		return err
	}
	c.findGaps(unknown, "in the archive but not in the log")
	lost, err := c.lost(ctx, later)
	if err != nil {
		return err
	}
	c.findGaps(lost, "in the archive but not in the log, which has lost its end")
	c.findUnarchived(reached)
	c.scopes[ArchivedAll] = output.Count(c.last, "event")
	return nil
}

// audit compares the copies event by event and records the result, which the shop shows until its next audit.
func (c *checker) audit(ctx context.Context) error {
	report, err := replay.Audit{DB: c.DB, Log: c.Log, Patience: c.ArchivePatience, Progress: func(_ string, done, total uint64) {
		c.done.Store(done)
		c.total.Store(total)
	}}.Run(ctx)
	if err != nil {
		return err
	}
	listed := uint64(0)
	for _, d := range report.First {
		listed += d.To - d.From + 1
		if d.Kind == replay.MissingInLog && d.To <= c.last {
			continue // found in the log
		}
		g, detail := gap{d.From, d.To}, d.Detail
		if d.Kind != replay.OtherEvent {
			detail = g.are() + " " + detail
		}
		c.findArchive(g.name(), detail)
	}
	if rest := report.Differences - listed; rest > 0 {
		c.findArchive("log and archive", output.Count(rest, "more sequence")+" differ")
	}
	c.scopes[ArchivedAll] = output.Count(report.Events, "event") + ", subject, headers and body"
	if len(report.Unread) > 0 {
		c.skipped[ArchivedAll] = "the copies on " + strings.Join(report.Unread, ", ") + ", which could not be read"
	}
	return replay.SaveAudit(ctx, c.Log.Log(), report)
}

// markArchived reads the archive. It returns the sequences up to the end of the log at which the log has no event (unknown)
// and those beyond it (later).
func (c *checker) markArchived(ctx context.Context, copied *archive.Archive) (unknown, later []uint64, err error) {
	damaged := func(d archive.Damage) error {
		c.findArchive(gap{d.First, max(d.First, d.Last)}.name(), "cannot be read in the archive: "+d.Err.Error())
		return nil
	}
	err = copied.EachReadable(ctx, 0, damaged, func(a archive.Archived) error {
		switch {
		case a.Sequence > c.last:
			later = append(later, a.Sequence)
			return nil
		case c.digest[a.Sequence]&present == 0:
			unknown = append(unknown, a.Sequence)
		case !c.mark(a):
			c.findArchive(fmt.Sprintf("sequence %d", a.Sequence), fmt.Sprintf("is event %s in the archive and another event in the log", a.EventID()))
		}
		c.done.Add(1)
		return nil
	})
	return unknown, later, err
}

// mark records that the archive has an event at a sequence, and reports whether the log has the same one.
func (c *checker) mark(a archive.Archived) (same bool) {
	same = c.digest[a.Sequence]&^marks == hash(a.EventID())&^marks
	c.digest[a.Sequence] |= archived
	return same
}

func (c *checker) findArchive(subject, detail string) {
	c.report.Findings = append(c.report.Findings, Finding{Invariant: ArchivedAll, Subject: subject, Detail: detail})
}

func (c *checker) findGaps(sequences []uint64, detail string) {
	for _, gap := range gaps(sequences) {
		c.findArchive(gap.name(), gap.are()+" "+detail)
	}
}

// awaitArchive waits until the archive has reached the end of the log at the start, or patience ends, and returns how far
// it has come.
func (c *checker) awaitArchive(ctx context.Context, copied *archive.Archive) (reached uint64, err error) {
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

// lost returns the archived sequences that are beyond the present end of the log. The log may have grown since the start,
// but the archive is never ahead of it, so the log has lost these.
func (c *checker) lost(ctx context.Context, later []uint64) ([]uint64, error) {
	if len(later) == 0 {
		return nil, nil
	}
	end, err := c.Log.Last(ctx)
	return slices.DeleteFunc(later, func(sequence uint64) bool { return sequence <= end }), err
}

// findUnarchived finds the events of the log that the archive lacks. Beyond the point that the archive has reached they are
// late: the archive lane is paused or runs in no process. Before it they are lost.
func (c *checker) findUnarchived(reached uint64) {
	var missing []uint64
	for sequence, digest := range c.digest {
		if digest&marks == present {
			missing = append(missing, uint64(sequence))
		}
	}
	for _, gap := range gaps(missing) {
		detail := gap.are() + " not in the archive"
		if gap.from > reached {
			detail += fmt.Sprintf(", which has reached %d: does ops lag show its lane as paused or free?", reached)
		}
		c.findArchive(gap.name(), detail)
	}
}

// gap is a range of sequences.
type gap struct{ from, to uint64 }

// gaps joins neighbouring sequences.
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

func (g gap) are() string {
	if g.from == g.to {
		return "is"
	}
	return output.Count(g.to-g.from+1, "event") + " are"
}
