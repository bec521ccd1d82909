package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/replay"
)

// repairCommand is ops repair.
type repairCommand struct {
	target.Target `embed:""`
	recorded      `embed:""`
	Yes           bool `help:"Restore what is missing. Without this flag nothing is changed."`
	Limit         int  `help:"Name at most this many events of each kind." default:"10"`
	JSON          bool `name:"json" help:"Write the report as JSON."`
}

// Help is shown by ops repair --help.
func (repairCommand) Help() string {
	return `Every event is stored twice: in the broker's log and in the database's archive. This command compares the two, event by event, and names the events that either lacks. With --yes it restores them.

Events that the archive lacks are copied from the log, at any time. A part of the archive that cannot be read counts as missing; it is kept in the collection archive_damaged.

For everything else no process may run: stop all workers, or start a shop in one process with --closed.

Events that the end of the log lacks, because an older copy of the broker's store was put back, are appended again in their order and with their ids. If nothing was appended since, every event gets its old sequence. Otherwise the missing events are appended at the end. An entity that has new events keeps them; its old events are superseded: they are named here and kept in a collection beside the archive.

A log that lacks events in the middle is damaged. The broker inserts nothing, so the log is written again: the archive first gets every event that only the log has and is read completely; then the log is deleted and written from the archive, every event with its old sequence and id, about 3,000 events a second. Lanes keep their positions. The broker user needs the permission to delete the stream. If the command is interrupted, run it again: it continues, and no process starts meanwhile.

An event that neither copy has is gone. It is named, and a placeholder takes its sequence. If its order, payment or item has later events, these cannot be read without it, and requests about it fail: ops verify names them. Find out from Stripe, the mailbox or the customer what happened, declare each of the later events void with ops void SEQ --force --reason TEXT, and record the facts again. Then ops void SEQ --force of the placeholder ends the finding of ops verify.

Examples:
  ops repair
  ops repair --yes

Exit codes: 0 both copies are complete, or were made complete; 1 events are missing, and --yes was not given, or events are in neither copy; 2 it could not be done.`
}

// Run compares log and archive, and restores what is missing.
func (c *repairCommand) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	db, stopDB, err := shop.Database(ctx)
	if err != nil {
		return err
	}
	defer stopDB()
	reader, stop, err := c.open(ctx, shop, db)
	if err != nil {
		return err
	}
	defer stop()
	report, err := replay.Repair{DB: db, DryRun: !c.Yes, Log: reader, Progress: out.bar}.Run(ctx)
	out.clear()
	if err != nil {
		return err
	}
	if c.Yes {
		c.recordAfter(ctx, shop, reader, out, events.ActionRecorded{Action: "repair", Outcome: repairResult(report).text})
		if err := archiveTail(ctx, reader, db); err != nil {
			out.note("the record of the repair is not archived yet: %v", err)
		}
	}
	return out.answer(c.JSON, report, func() error { return c.write(report, out) }, report.HasFindings() && !c.Yes || report.Unrepairable())
}

// archiveTail archives the record of the repair, because no process may run that does. A running one has done it already, or does it
// next.
func archiveTail(ctx context.Context, reader *replay.Reader, db *mongo.Database) error {
	a := archive.New(db)
	head, err := a.Head(ctx)
	if err != nil {
		return err
	}
	var tail []archive.Archived
	err = reader.Each(ctx, replay.Range{From: head.Last + 1}, func(m replay.Message) error {
		tail = append(tail, archive.From(m))
		return nil
	})
	if err != nil || len(tail) == 0 {
		return err
	}
	return a.Append(ctx, tail)
}

// open opens the log. Without --yes nothing is changed, so a stream that an interrupted repair has deleted is not created again.
func (c *repairCommand) open(ctx context.Context, shop target.Shop, db *mongo.Database) (*replay.Reader, func(), error) {
	if c.Yes {
		return shop.RepairLog(ctx, db)
	}
	reader, stop, err := shop.Log(ctx)
	if errors.Is(err, replay.ErrNoShop) {
		err = fmt.Errorf("%w; if a repair was interrupted, --yes continues it", err)
	}
	return reader, stop, err
}

func (c *repairCommand) write(report replay.RepairReport, out *terminal) error {
	t := newTable("LOG AT>", "ARCHIVE AT>", "LOG LACKS>", "ARCHIVE LACKS>", "SUPERSEDED>", "")
	t.add(output.Number(report.Log), output.Number(report.Archived), output.Number(report.LogLost.Count+report.Damaged.Count+report.LostInBoth.Count),
		output.Number(report.ArchiveLost.Count+report.LostInBoth.Count), output.Number(report.Superseded.Count), repairResult(report))
	if err := t.write(out); err != nil {
		return err
	}
	if err := c.writeLosses(report, out); err != nil {
		return err
	}
	if len(report.LanesAhead) > 0 {
		name := "lanes were set back to the end of the log"
		if !report.Restored {
			name = "lanes are ahead of the log"
		}
		if err := out.item(cell{name + ":", yellow}, strings.Join(report.LanesAhead, ", ")); err != nil {
			return err
		}
	}
	noteRepair(report, out)
	return nil
}

// writeLosses writes which events are lost, and how.
func (c *repairCommand) writeLosses(report replay.RepairReport, out *terminal) error {
	for _, kind := range report.Losses() {
		if err := c.writeLoss(kind, out); err != nil {
			return err
		}
	}
	for _, d := range report.DamagedChunks {
		if err := out.item(cell{"damaged archive", yellow}, fmt.Sprintf("%d to %d cannot be read: %v", d.First, d.Last, d.Err)); err != nil {
			return err
		}
	}
	return nil
}

// noteRepair writes what to do next.
func noteRepair(report replay.RepairReport, out *terminal) {
	if report.Aside != "" {
		out.note("superseded events are kept in the collection %s", report.Aside)
	}
	if !report.Restored && report.HasFindings() {
		out.note("nothing was changed; --yes restores")
	}
	if report.Restored && report.LogLost.Count+report.Superseded.Count > 0 {
		out.note("when the shop runs again: ops rebuild projections; documents may contain events that are lost for good")
	}
	if report.LostInBoth.Count > 0 {
		out.note("events in neither copy are gone; see ops repair --help for what to do about them, and ops verify for whom it concerns")
	}
	if report.Different.Count > 0 {
		out.note("a repair does not choose between two contents of an event; see \"The log has a gap\" in the runbook")
	}
}

func (c *repairCommand) writeLoss(loss replay.NamedLoss, out *terminal) error {
	shown := loss.First[:min(len(loss.First), max(c.Limit, 0))]
	for _, e := range shown {
		if err := out.item(cell{loss.Name, yellow}, fmt.Sprintf("%d  %s  %s  %s", e.Sequence, e.Type, e.Subject, e.EventID)); err != nil {
			return err
		}
	}
	if rest := loss.Count - uint64(len(shown)); rest > 0 {
		out.note("%s: %s more; --limit shows more", loss.Name, output.Count(rest, "event"))
	}
	return nil
}

// repairResult sums up the state of log and archive.
func repairResult(r replay.RepairReport) cell {
	switch {
	case r.Different.Count > 0:
		return cell{"log and archive differ", red}
	case r.LostInBoth.Count > 0 && r.Restored:
		return cell{"restored; " + output.Count(r.LostInBoth.Count, "event") + " lost", red}
	case !r.HasFindings() && r.Archived < r.Log:
		return cell{"nothing is lost; the archive is " + output.Count(r.Log-r.Archived, "event") + " behind", yellow}
	case !r.HasFindings():
		return cell{"both are complete", green}
	case !r.Restored && r.Interrupted:
		return cell{"a repair was interrupted", red}
	case !r.Restored && r.Damaged.Count+r.LostInBoth.Count > 0:
		return cell{"the log is damaged", red}
	case !r.Restored && len(r.DamagedChunks) > 0:
		return cell{"the archive is damaged", red}
	case !r.Restored && r.Diverged:
		return cell{"an older log was put back and has new events", red}
	case !r.Restored && r.LogLost.Count+r.ArchiveLost.Count+r.Superseded.Count == 0:
		return cell{"lanes are ahead of the log", red}
	case !r.Restored:
		return cell{"events are missing", red}
	case r.Superseded.Count > 0:
		return cell{fmt.Sprintf("restored; %s superseded", output.Count(r.Superseded.Count, "event")), yellow}
	}
	return cell{"restored", green}
}
