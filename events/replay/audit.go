package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// Audit compares log and archive event by event: sequence, id, subject, headers and body. It reads both once, in constant memory, and
// changes nothing. [Repair] restores what it finds.
type Audit struct {
	DB       *mongo.Database
	Log      *Reader
	Patience time.Duration                          // how long to wait for the archive to reach the end of the log; default: not
	Pause    time.Duration                          // between two parts of 1,000 events; default: none
	Progress func(stage string, done, total uint64) // default: none
}

// AuditLane is the name of the checkpoint with the result of the last audit, and of the lease under which a process audits.
const AuditLane = "audit"

// AuditReport is the result of an audit.
type AuditReport struct {
	At          time.Time    `json:"at"`               // when it ended
	Unread      []string     `json:"unread,omitempty"` // servers of the cluster whose copies could not be read
	Events      uint64       `json:"events"`           // the last sequence that was compared
	Differences uint64       `json:"differences"`      // the number of sequences that differ
	First       []Difference `json:"first,omitempty"`  // the first ones
	Seconds     float64      `json:"seconds"`
}

// Difference is a range of sequences that log and archive do not both have, or one event that they have differently.
type Difference struct {
	From   uint64         `json:"from"`
	To     uint64         `json:"to"`
	Kind   DifferenceKind `json:"kind"`
	Detail string         `json:"detail"`
}

// DifferenceKind is how log and archive differ.
type DifferenceKind string

// The kinds of differences.
const (
	MissingInLog     DifferenceKind = "missing_in_log"
	MissingInArchive DifferenceKind = "missing_in_archive"
	OtherEvent       DifferenceKind = "other_event"       // another id, or other contents
	NotArchivedYet   DifferenceKind = "not_archived"      // the archive ends before the log
	UnreadableChunk  DifferenceKind = "unreadable"        // the archive cannot be unpacked
	MissingOnServer  DifferenceKind = "missing_on_server" // one server of the cluster lacks it
)

// Run compares the copies up to the end of the archive or, where the log ends before it, of the log.
func (a Audit) Run(ctx context.Context) (AuditReport, error) {
	start := time.Now()
	c := &comparison{Audit: a, next: 1}
	if err := c.run(ctx); err != nil {
		return c.report, fmt.Errorf("compare log and archive: %w", err)
	}
	c.report.At, c.report.Seconds = a.Log.log.Now().UTC(), time.Since(start).Seconds()
	return c.report, nil
}

// LastAudit returns the result of the last audit by a process of the shop, the zero AuditReport when there was none.
func (r *Reader) LastAudit(ctx context.Context) (AuditReport, error) { return LastAudit(ctx, r.log) }

// LastAudit returns the result of the last audit by a process of the shop, the zero AuditReport when there was none.
func LastAudit(ctx context.Context, l *eventlog.Log) (report AuditReport, err error) {
	c, err := l.LoadCheckpoint(ctx, AuditLane)
	if err == nil && len(c.State) > 0 {
		err = json.Unmarshal(c.State, &report)
	}
	return report, err
}

// SaveAudit records the result of an audit.
func SaveAudit(ctx context.Context, l *eventlog.Log, report AuditReport) error {
	c, err := l.LoadCheckpoint(ctx, AuditLane)
	if err != nil {
		return err
	}
	if c.State, err = json.Marshal(report); err != nil {
		return fmt.Errorf("record audit: %w", err)
	}
	return l.SaveCheckpoint(ctx, &c)
}

// comparison is one run of [Audit].
type comparison struct {
	Audit
	report AuditReport
	next   uint64 // the first sequence that the log has not delivered
	head   archive.Archived
	more   bool // head is the next archived message
	pull   func() (archive.Archived, error, bool)
}

func (c *comparison) run(ctx context.Context) error {
	end, err := c.end(ctx)
	if err != nil {
		return err
	}
	pull, stop := iter.Pull2(c.archived(ctx, end))
	defer stop()
	c.pull, c.report.Events = pull, end
	if err := c.advance(); err != nil {
		return err
	}
	gap := func(from, to uint64) { c.add(from, to, MissingInLog, "missing in the log") }
	err = c.Log.Each(ctx, Range{To: end, Gap: gap}, func(m Message) error { return c.compare(ctx, m, end) })
	if err != nil {
		return err
	}
	if err := c.readRest(); err != nil {
		return err
	}
	return c.readServers(ctx, end)
}

// readServers reads the copy of each server of a cluster.
func (c *comparison) readServers(ctx context.Context, end uint64) (err error) {
	var gaps []ServerGap
	gaps, c.report.Unread, err = c.Log.ServerGaps(ctx, end, c.Pause)
	for _, g := range gaps {
		c.add(g.From, g.To, MissingOnServer, fmt.Sprintf("missing in the copy of the log on server %s", g.Server))
	}
	return err
}

// readRest finds the archived messages after the last one of the log.
func (c *comparison) readRest() error {
	for c.more { // beyond the end of the log, or in a gap before it
		if c.head.Sequence >= c.next {
			c.add(c.head.Sequence, c.head.Sequence, MissingInLog, "in the archive but not in the log, which has lost its end")
		}
		if err := c.advance(); err != nil {
			return err
		}
	}
	return nil
}

// end returns the end of the archive, after waiting for it to reach the present end of the log.
func (c *comparison) end(ctx context.Context) (uint64, error) {
	last, err := c.Log.Last(ctx)
	if err != nil {
		return 0, err
	}
	copied := archive.New(c.DB)
	for deadline := time.Now().Add(c.Patience); ; {
		head, err := copied.Head(ctx)
		if err == nil {
			err = head.BeingRestored()
		}
		if err != nil || head.Last >= last {
			return head.Last, err
		}
		if time.Now().After(deadline) {
			c.add(head.Last+1, last, NotArchivedYet, fmt.Sprintf("not in the archive, which ends at %d", head.Last))
			return head.Last, nil
		}
		if !worker.Sleep(ctx, headInterval) {
			return 0, ctx.Err()
		}
	}
}

// headInterval is how often an audit that waits for the archive reads its head.
const headInterval = 250 * time.Millisecond

// archived returns the archived messages up to a sequence. Chunks that cannot be unpacked are differences.
func (c *comparison) archived(ctx context.Context, end uint64) iter.Seq2[archive.Archived, error] {
	return func(yield func(archive.Archived, error) bool) {
		damaged := func(d archive.Damage) error {
			c.add(d.First, max(d.First, d.Last), UnreadableChunk, d.Err.Error())
			return nil
		}
		err := archive.New(c.DB).EachReadable(ctx, 1, damaged, func(a archive.Archived) error {
			if a.Sequence > end || !yield(a, nil) {
				return errEnd
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnd) {
			yield(archive.Archived{}, err)
		}
	}
}

// advance takes the next archived message.
func (c *comparison) advance() (err error) {
	c.head, err, c.more = c.pull()
	return err
}

// compare compares a message of the log with the archived one.
func (c *comparison) compare(ctx context.Context, m Message, end uint64) error {
	for c.more && c.head.Sequence < m.Sequence { // reported as a gap of the log
		if err := c.advance(); err != nil {
			return err
		}
	}
	c.next = m.Sequence + 1
	reportProgress(c.Progress, "compare", m.Sequence, end)
	if m.Sequence%progressEvery == 0 && c.Pause > 0 && !worker.Sleep(ctx, c.Pause) {
		return ctx.Err()
	}
	if !c.more || c.head.Sequence > m.Sequence {
		c.add(m.Sequence, m.Sequence, MissingInArchive, "not in the archive")
		return nil
	}
	if detail := difference(archive.From(m), c.head); detail != "" {
		c.add(m.Sequence, m.Sequence, OtherEvent, detail)
	}
	return c.advance()
}

// difference says how a message of the log differs from the archived one, "" when it does not.
func difference(logged, archived archive.Archived) string {
	switch {
	case logged.EventID() != archived.EventID():
		return fmt.Sprintf("is event %s in the archive and another event in the log", archived.EventID())
	case logged.Subject != archived.Subject:
		return fmt.Sprintf("has subject %s in the log and %s in the archive", logged.Subject, archived.Subject)
	case string(logged.Body()) != string(archived.Body()):
		return "has another body in the log than in the archive"
	case contentOf(logged) != contentOf(archived):
		return "has other headers in the log than in the archive"
	}
	return ""
}

// add records a difference. It extends the one before it when both are of the same kind and adjacent.
func (c *comparison) add(from, to uint64, kind DifferenceKind, detail string) {
	c.report.Differences += to - from + 1
	if n := len(c.report.First); n > 0 && kind != OtherEvent {
		if last := &c.report.First[n-1]; last.Kind == kind && last.To+1 == from && last.Detail == detail {
			last.To = to
			return
		}
	}
	if len(c.report.First) < maxLost {
		c.report.First = append(c.report.First, Difference{From: from, To: to, Kind: kind, Detail: detail})
	}
}

// IsPlaceholder reports whether a void takes the place of an event that neither log nor archive has; see [Repair].
func IsPlaceholder(sequence uint64, void events.EventVoided) bool { return void.Sequence == sequence }
