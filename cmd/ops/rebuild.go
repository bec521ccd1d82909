package main

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/projections"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// rebuildCommand is ops rebuild.
type rebuildCommand struct {
	target.Target `embed:""`
	recorded      `embed:""`
	Projection    string `arg:"" help:"A projection as ops lag names it, one of its collections, or projections for all of them." predictor:"projection"`
	DryRun        bool   `help:"Compare, and change nothing. Exit code 1 means that something differs."`
	JSON          bool   `name:"json" help:"Write the report as JSON."`
}

// Help is shown by ops rebuild --help.
func (rebuildCommand) Help() string {
	return `Folds the log from its beginning, compares every document of a projection byte by byte, writes the documents that differ, and creates missing indexes. Meanwhile the shop sells, the projection continues, and every document can be read. An interrupted rebuild is started again from the beginning.

Examples:
  ops rebuild projections --dry-run
  ops rebuild orders.projection
  ops rebuild payments.projection

Exit codes: 0 the projection agrees with the log; 1 a dry run found differences; 2 it could not be done.`
}

// Run rebuilds projections.
func (c *rebuildCommand) Run(ctx context.Context, out *terminal) error {
	choices, err := projections.Choose(c.Projection)
	if err != nil {
		return err
	}
	shop, reader, db, stop, err := connect(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	reports, err := c.rebuildAs(ctx, shop, choices, reader, db, out)
	if err != nil {
		return err
	}
	drifted := projections.Drifted(reports)
	return out.answer(c.JSON, map[string]any{"projections": reports, "drifted": drifted},
		func() error { return writeRebuild(reports, out) }, c.DryRun && drifted > 0)
}

// rebuildAs rebuilds projections and records it; a dry run changes nothing, so anybody may have one.
func (c *rebuildCommand) rebuildAs(ctx context.Context, shop target.Shop, choices []projections.Choice, reader *replay.Reader, db *mongo.Database, out *terminal) ([]project.RebuildReport, error) {
	if c.DryRun {
		return c.rebuild(ctx, choices, reader, db, out)
	}
	author, err := c.author(ctx, shop, reader)
	if err != nil {
		return nil, err
	}
	reports, err := c.rebuild(ctx, choices, reader, db, out)
	record(ctx, reader, author, out, events.ActionRecorded{Action: "rebuild", Arguments: []string{c.Projection},
		Outcome: output.Number(projections.Drifted(reports)) + " documents and indexes written"}, err)
	return reports, err
}

func (c *rebuildCommand) rebuild(ctx context.Context, choices []projections.Choice, reader *replay.Reader, db *mongo.Database, out *terminal) ([]project.RebuildReport, error) {
	defer out.clear()
	return projections.Rebuild{DB: db, DryRun: c.DryRun, Log: reader.Log(), Progress: out.bar}.Run(ctx, choices)
}

func writeRebuild(reports []project.RebuildReport, out *terminal) error {
	t := newTable("COLLECTION", "DOCUMENTS>", "MISSING>", "EXTRA>", "DIFFERENT>", "UNREADABLE>", "")
	for _, r := range reports {
		for _, c := range r.Collections {
			t.add(cell{c.Name, bold}, output.Number(c.Documents), output.Number(c.Missing), output.Number(c.Extra), output.Number(c.Different),
				output.Number(c.Unreadable), rebuildResult(c, r.Written))
		}
	}
	if err := t.write(out); err != nil {
		return err
	}
	for _, r := range reports {
		for _, c := range r.Collections {
			if err := writeDrifts(c, out); err != nil {
				return err
			}
		}
		out.note("%s: compared up to sequence %d in %.1f s", r.Projection, r.Sequence, r.Seconds)
	}
	return nil
}

func rebuildResult(c project.CollectionReport, written bool) cell {
	switch differ := drifted(c)+len(c.MissingIndexes) > 0; {
	case differ && written:
		return cell{"rebuilt", yellow}
	case differ:
		return cell{"differs", red}
	}
	return cell{"ok", green}
}

// drifted is the number of documents of a collection that differ from the log.
func drifted(c project.CollectionReport) int { return c.Missing + c.Extra + c.Different }

// driftsShown is the number of documents of a collection that are named.
const driftsShown = 20

func writeDrifts(c project.CollectionReport, out *terminal) error {
	for _, name := range c.MissingIndexes {
		if err := out.item(cell{c.Name, yellow}, "index "+name+" is missing"); err != nil {
			return err
		}
	}
	shown := c.Drifts[:min(len(c.Drifts), driftsShown)]
	for _, d := range shown {
		if err := out.item(cell{c.Name, yellow}, d.ID+": "+d.Detail); err != nil {
			return err
		}
	}
	if rest := drifted(c) - len(shown); rest > 0 {
		out.note("%s: and %s", c.Name, output.Count(rest, "more document"))
	}
	return nil
}
