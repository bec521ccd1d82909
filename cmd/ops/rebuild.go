package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/target"
	"tillstream/events/project"
	"tillstream/events/replay"
	"tillstream/orders"
	"tillstream/payments"
)

// rebuild is ops rebuild.
type rebuild struct {
	target.Target `embed:""`
	Projection    string `arg:"" help:"A projection as ops lag names it, one of its collections, or projections for all of them."`
	DryRun        bool   `help:"Compare, and change nothing; exit 1 when something has drifted."`
	JSON          bool   `name:"json" help:"Write JSON."`
}

// Help is shown by ops rebuild --help.
func (rebuild) Help() string {
	return `Folds the log from its beginning, compares every document of a projection with it byte by byte, writes the documents that differ, and makes the indexes that are missing. The shop sells all the while, the projection goes on, and readers find every document throughout. What was cut off is started over.

Exit codes: 0 the projection is what the log says; 1 a dry run found drift; 2 it could not be done.`
}

// Run rebuilds projections.
func (c *rebuild) Run(ctx context.Context, out *terminal) error {
	reports, err := rebuildProjections(ctx, c.Target, c.Projection, c.DryRun, out)
	if err != nil {
		return err
	}
	drifted := 0
	for _, r := range reports {
		drifted += r.Drifted()
	}
	if c.JSON {
		err = out.json(map[string]any{"projections": reports, "drifted": drifted})
	} else {
		err = writeRebuilt(reports, out)
	}
	if err == nil && c.DryRun && drifted > 0 {
		return errOff
	}
	return err
}

// rebuildProjections rebuilds, or compares, the projections that a name stands for.
func rebuildProjections(ctx context.Context, target target.Target, name string, dryRun bool, out *terminal) ([]project.RebuildReport, error) {
	chosen, err := choose(name)
	if err != nil {
		return nil, err
	}
	shop, err := target.Resolve()
	if err != nil {
		return nil, err
	}
	reader, closeLog, err := shop.Log(ctx)
	if err != nil {
		return nil, err
	}
	defer closeLog()
	db, closeDB, err := shop.Database(ctx)
	if err != nil {
		return nil, err
	}
	defer closeDB()
	return rebuildEach(ctx, chosen, reader, db, dryRun, out)
}

func rebuildEach(ctx context.Context, chosen []choice, reader *replay.Reader, db *mongo.Database, dryRun bool, out *terminal) ([]project.RebuildReport, error) {
	reports := []project.RebuildReport{}
	for _, p := range chosen {
		r := project.Rebuild{Collections: p.collections, DB: db, DryRun: dryRun, Log: reader.Log(), Projection: p.projection, Progress: out.bar}
		report, err := r.Run(ctx)
		out.clear()
		if err != nil {
			return nil, fmt.Errorf("rebuild %s: %w", p.projection.Name, err)
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// allProjections are what the workers project into the database.
func allProjections() []project.Projection {
	return slices.Concat(orders.Projections(), payments.Projections(slog.Default()))
}

// choice is a projection, and which of its collections; none named means all.
type choice struct {
	projection  project.Projection
	collections []string
}

func choose(name string) ([]choice, error) {
	var chosen []choice
	var names []string
	for _, p := range allProjections() {
		names = append(names, p.Name)
		if name == p.Name || name == replay.Projections || name == replay.Views {
			chosen = append(chosen, choice{projection: p})
		}
		for _, c := range p.Collections {
			names = append(names, c.Name)
			if name == c.Name {
				chosen = append(chosen, choice{p, []string{name}})
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no projection %q: there are %s, and %s for all of them", name, strings.Join(names, ", "), replay.Projections)
	}
	return chosen, nil
}

func writeRebuilt(reports []project.RebuildReport, out *terminal) error {
	t := newTable("COLLECTION", "DOCUMENTS>", "MISSING>", "EXTRA>", "DIFFERENT>", "UNREADABLE>", "")
	for _, r := range reports {
		for _, c := range r.Collections {
			result := cell{"as the log says", green}
			switch drift := drifted(c) + len(c.MissingIndexes); {
			case drift > 0 && r.Written:
				result = cell{"mended", yellow}
			case drift > 0:
				result = cell{"drifted", red}
			}
			t.add(cell{c.Name, bold}, count(uint64(c.Documents)), fmt.Sprint(c.Missing), fmt.Sprint(c.Extra), fmt.Sprint(c.Different),
				fmt.Sprint(c.Unreadable), result)
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
		out.note("%s: compared at %d in %.1f s", r.Projection, r.Sequence, r.Seconds)
	}
	return nil
}

// drifted is how many documents of a collection are not what the log says.
func drifted(c project.CollectionReport) int { return c.Missing + c.Extra + c.Different }

// driftsShown is how many documents of a collection are named.
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
		out.note("%s: and %d more", c.Name, rest)
	}
	return nil
}
