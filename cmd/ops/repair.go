package main

import (
	"context"
	"fmt"

	"tillstream/cmd/internal/attach"
	"tillstream/events/replay"
)

// repair is ops repair.
type repair struct {
	attach.Target `embed:""`
	Yes           bool `help:"Restore. Without it nothing is changed."`
	Limit         int  `help:"Name at most so many events per stream." default:"10"`
	JSON          bool `name:"json" help:"Write JSON."`
}

// Help is shown by ops repair --help.
func (repair) Help() string {
	return `Everything that happened stands in two places: the broker's log and the database's archives. This compares them by event id and names what either has lost; with --yes it gives it back.

What an archive has lost is written from the log, at any time. What the log has lost (an older copy of the broker's store was put back) is appended again in its old order with its old ids, when nobody is at work: stop all workers, or start a shop in one process with --closed. As long as nobody has appended since, every event gets its old sequence. Else what is missing is appended at the end; an entity that has gone on meanwhile keeps its new history, and its old one is named here and kept in a collection beside the archive.

Exit codes: 0 both copies are whole, or were made so; 1 something is missing and --yes was not given; 2 it could not be done.`
}

// Run compares log and archives.
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
	report, err := replay.Repair{DB: db, DryRun: !c.Yes, Log: reader, Progress: out.bar, Views: allViews()}.Run(ctx)
	out.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		err = out.json(report)
	} else {
		err = c.write(report, out)
	}
	if err == nil && report.Off() && !c.Yes {
		return errOff
	}
	return err
}

func (c *repair) write(report replay.RepairReport, out *terminal) error {
	t := newTable("STREAM", "LOG ENDS AT>", "ARCHIVE AT>", "LOG LOST>", "ARCHIVE LOST>", "SUPERSEDED>", "")
	for _, s := range report.Streams {
		t.add(cell{s.Stream, bold}, count(s.Log), count(s.Archived), count(s.LogLost.Count), count(s.ArchiveLost.Count), count(s.Superseded.Count), state(s, report.Restored))
	}
	if err := t.write(out); err != nil {
		return err
	}
	for _, s := range report.Streams {
		for _, loss := range []struct {
			what string
			replay.Loss
		}{{"not in the log", s.LogLost}, {"not in " + s.Archive, s.ArchiveLost}, {"superseded", s.Superseded}} {
			if err := c.name(s.Stream, loss.what, loss.Loss, out); err != nil {
				return err
			}
		}
		if s.Aside != "" {
			out.note("%s: what the log went on without is kept in %s", s.Stream, s.Aside)
		}
	}
	if !report.Restored && report.Off() {
		out.note("nothing was changed; --yes restores")
	}
	return nil
}

func (c *repair) name(stream, what string, loss replay.Loss, out *terminal) error {
	shown := loss.First[:min(len(loss.First), max(c.Limit, 0))]
	for _, e := range shown {
		if err := out.printf("%s  %s/%d  %s  %s  %s", out.paint(yellow, what), stream, e.Sequence, oneLine(e.Type), oneLine(e.Subject),
			out.paint(dim, oneLine(e.EventID))); err != nil {
			return err
		}
	}
	if rest := loss.Count - uint64(len(shown)); rest > 0 {
		out.note("%s: and %s more are %s; --limit shows more", stream, count(rest), what)
	}
	return nil
}

// state says how a stream and its archive are now.
func state(s replay.StreamReport, restored bool) cell {
	lost := s.LogLost.Count + s.ArchiveLost.Count
	switch {
	case lost+s.Superseded.Count == 0 && !s.WentOn:
		return cell{"both are whole", green}
	case !restored && s.WentOn:
		return cell{"the log went back, and on", red}
	case !restored:
		return cell{"something is missing", red}
	case s.Superseded.Count > 0:
		return cell{fmt.Sprintf("restored; %d superseded", s.Superseded.Count), yellow}
	}
	return cell{"restored", green}
}
