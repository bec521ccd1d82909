package main

import (
	"context"
	"fmt"
	"strings"

	"tillstream/cmd/internal/target"
	"tillstream/events/archive"
	"tillstream/events/replay"
)

// repair is ops repair.
type repair struct {
	target.Target `embed:""`
	Yes           bool `help:"Restore. Without it nothing is changed."`
	Limit         int  `help:"Name at most so many events of each sort." default:"10"`
	JSON          bool `name:"json" help:"Write JSON."`
}

// Help is shown by ops repair --help.
func (repair) Help() string {
	return `Everything that happened stands in two places: the broker's log and the database's archive. This compares them by event id and names what either has lost; with --yes it gives it back.

What the archive has lost is written from the log, at any time. What the log has lost (an older copy of the broker's store was put back) is appended again in its old order with its old ids, when no process is at work: stop all workers, or start a shop in one process with --closed. As long as nobody has appended since, every event gets its old sequence. Else what is missing is appended at the end; an entity that has gone on meanwhile keeps its new history, and its old one is named here and kept in a collection beside the archive.

A log that lacks events between others is damaged. They cannot be put back between the others: the workers read them from the archive. To have a whole log again, stop all processes, put an empty store in the place of the broker's, start a shop in one process with --closed, and run this with --yes: it writes the whole log from the archive.

Exit codes: 0 both copies are whole, or were made so; 1 something is missing, and --yes was not given or cannot give it back; 2 it could not be done.`
}

// Run compares log and archive.
func (c *repair) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	reader, closeLog, err := shop.Log(ctx)
	if err != nil {
		return err
	}
	defer closeLog()
	db, closeDB, err := shop.Database(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	report, err := replay.Repair{DB: db, DryRun: !c.Yes, Log: reader, Progress: out.bar}.Run(ctx)
	out.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		err = out.json(report)
	} else {
		err = c.write(report, out)
	}
	if err == nil && (report.HasFindings() && !c.Yes || report.Unrepairable()) {
		return errOff
	}
	return err
}

func (c *repair) write(report replay.RepairReport, out *terminal) error {
	t := newTable("LOG AT>", "ARCHIVE AT>", "LOG LOST>", "ARCHIVE LOST>", "SUPERSEDED>", "")
	t.add(count(report.Log), count(report.Archived), count(report.LogLost.Count+report.Damaged.Count+report.LostInBoth.Count), count(report.ArchiveLost.Count+report.LostInBoth.Count),
		count(report.Superseded.Count), state(report))
	if err := t.write(out); err != nil {
		return err
	}
	for _, loss := range []struct {
		what string
		replay.Loss
	}{{"not in the log", report.LogLost}, {"not in the " + archive.Collection, report.ArchiveLost}, {"superseded", report.Superseded},
		{"damaged, in the archive only", report.Damaged}, {"in neither", report.LostInBoth}} {
		if err := c.name(loss.what, loss.Loss, out); err != nil {
			return err
		}
	}
	if len(report.LanesAhead) > 0 {
		what := "lanes begin again where the log is as they knew it"
		if !report.Restored {
			what = "lanes are ahead of the log"
		}
		if err := out.item(cell{what + ":", yellow}, strings.Join(report.LanesAhead, ", ")); err != nil {
			return err
		}
	}
	if report.Aside != "" {
		out.note("what the log went on without is kept in %s", report.Aside)
	}
	if !report.Restored && report.HasFindings() {
		out.note("nothing was changed; --yes restores")
	}
	if report.Restored && report.LogLost.Count+report.Superseded.Count > 0 {
		out.note("when the shop runs again: ops rebuild projections; documents may hold what the log has lost for good")
	}
	if report.Unrepairable() {
		out.note("the log is damaged; ops repair --help says what to do")
	}
	return nil
}

func (c *repair) name(what string, loss replay.Loss, out *terminal) error {
	shown := loss.First[:min(len(loss.First), max(c.Limit, 0))]
	for _, e := range shown {
		if err := out.item(cell{what, yellow}, fmt.Sprintf("%d  %s  %s  %s", e.Sequence, e.Type, e.Subject, e.EventID)); err != nil {
			return err
		}
	}
	if rest := loss.Count - uint64(len(shown)); rest > 0 {
		out.note("and %s more are %s; --limit shows more", count(rest), what)
	}
	return nil
}

// state says how the log and its archive are now.
func state(r replay.RepairReport) cell {
	switch {
	case r.Unrepairable():
		return cell{"the log is damaged", red}
	case !r.HasFindings():
		return cell{"both are whole", green}
	case !r.Restored && r.Diverged:
		return cell{"the log went back, and on", red}
	case !r.Restored && r.LogLost.Count+r.ArchiveLost.Count+r.Superseded.Count == 0:
		return cell{"lanes are ahead", red}
	case !r.Restored:
		return cell{"something is missing", red}
	case r.Superseded.Count > 0:
		return cell{fmt.Sprintf("restored; %d superseded", r.Superseded.Count), yellow}
	}
	return cell{"restored", green}
}
