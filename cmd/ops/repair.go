package main

import (
	"context"
	"fmt"
	"strings"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events/archive"
	"tillstream/events/replay"
)

// repairCommand is ops repair.
type repairCommand struct {
	target.Target `embed:""`
	Yes           bool `help:"Restore what is missing. Without this flag nothing is changed."`
	Limit         int  `help:"Name at most this many events of each kind." default:"10"`
	JSON          bool `name:"json" help:"Write the report as JSON."`
}

// Help is shown by ops repair --help.
func (repairCommand) Help() string {
	return `Every event is stored twice: in the broker's log and in the database's archive. This command compares the two by event id and names the events that either lacks. With --yes it restores them.

Events that the archive lacks are copied from the log, at any time.

Events that the end of the log lacks, because an older copy of the broker's store was put back, are appended again in their order and with their ids. No process may run meanwhile: stop all workers, or start a shop in one process with --closed. If nothing was appended since, every event gets its old sequence. Otherwise the missing events are appended at the end. An entity that has new events keeps them; its old events are superseded: they are named here and kept in a collection beside the archive.

A log that lacks events in the middle is damaged. Events cannot be inserted, so the workers read the missing ones from the archive. To have a complete log again, stop all processes, give the broker an empty store, start a shop in one process with --closed, and run this command with --yes: it writes the whole log from the archive.

Exit codes: 0 both copies are complete, or were made complete; 1 events are missing, and --yes was not given or cannot restore them; 2 it could not be done.`
}

// Run compares log and archive, and restores what is missing.
func (c *repairCommand) Run(ctx context.Context, out *terminal) error {
	reader, db, stop, err := connect(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	report, err := replay.Repair{DB: db, DryRun: !c.Yes, Log: reader, Progress: out.bar}.Run(ctx)
	out.clear()
	if err != nil {
		return err
	}
	return out.answer(c.JSON, report, func() error { return c.write(report, out) }, report.HasFindings() && !c.Yes || report.Unrepairable())
}

func (c *repairCommand) write(report replay.RepairReport, out *terminal) error {
	t := newTable("LOG AT>", "ARCHIVE AT>", "LOG LACKS>", "ARCHIVE LACKS>", "SUPERSEDED>", "")
	t.add(output.Number(report.Log), output.Number(report.Archived), output.Number(report.LogLost.Count+report.Damaged.Count+report.LostInBoth.Count),
		output.Number(report.ArchiveLost.Count+report.LostInBoth.Count), output.Number(report.Superseded.Count), repairResult(report))
	if err := t.write(out); err != nil {
		return err
	}
	for _, kind := range []struct {
		name string
		replay.Loss
	}{{"not in the log", report.LogLost}, {"not in the " + archive.Collection, report.ArchiveLost}, {"superseded", report.Superseded},
		{"only in the archive", report.Damaged}, {"in neither copy", report.LostInBoth}} {
		if err := c.writeLoss(kind.name, kind.Loss, out); err != nil {
			return err
		}
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
	if report.Unrepairable() {
		out.note("the log is damaged; see ops repair --help")
	}
}

func (c *repairCommand) writeLoss(name string, loss replay.Loss, out *terminal) error {
	shown := loss.First[:min(len(loss.First), max(c.Limit, 0))]
	for _, e := range shown {
		if err := out.item(cell{name, yellow}, fmt.Sprintf("%d  %s  %s  %s", e.Sequence, e.Type, e.Subject, e.EventID)); err != nil {
			return err
		}
	}
	if rest := loss.Count - uint64(len(shown)); rest > 0 {
		out.note("%s: %s more; --limit shows more", name, output.Count(rest, "event"))
	}
	return nil
}

// repairResult sums up the state of log and archive.
func repairResult(r replay.RepairReport) cell {
	switch {
	case r.Unrepairable():
		return cell{"the log is damaged", red}
	case !r.HasFindings() && r.Archived < r.Log:
		return cell{"nothing is lost; the archive is " + output.Count(r.Log-r.Archived, "event") + " behind", yellow}
	case !r.HasFindings():
		return cell{"both are complete", green}
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
