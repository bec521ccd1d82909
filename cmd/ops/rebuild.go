package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/attach"
	"tillstream/events/replay"
	"tillstream/events/view"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// rebuild is ops rebuild.
type rebuild struct {
	attach.Target `embed:""`
	View          string `arg:"" help:"A view as ops lag names it, one of its collections, or views for all of them."`
	DryRun        bool   `help:"Compare, and change nothing; exit 1 when something has drifted."`
	JSON          bool   `name:"json" help:"Write JSON."`
}

// Help is shown by ops rebuild --help.
func (rebuild) Help() string {
	return `Folds a view's stream from the beginning into side collections, holds the view for a moment (what happens meanwhile waits in the log), compares byte by byte, writes the documents that differ, and lets the view go on. The shop sells all the while, and readers find every document throughout. One view is rebuilt, or compared, by one at a time. What was cut off is started over; a view whose rebuild was killed goes on by itself within a minute.

Exit codes: 0 the view is what the log says; 1 a dry run found drift; 2 it could not be done.`
}

// Run rebuilds views.
func (c *rebuild) Run(ctx context.Context, out *terminal) error {
	reports, err := rebuildViews(ctx, c.Target, c.View, c.DryRun, out)
	if err != nil {
		return err
	}
	drifted := 0
	for _, r := range reports {
		drifted += r.Drifted()
	}
	if c.JSON {
		err = out.json(map[string]any{"views": reports, "drifted": drifted})
	} else {
		err = writeRebuilt(reports, out)
	}
	if err == nil && c.DryRun && drifted > 0 {
		return errOff
	}
	return err
}

// rebuildViews rebuilds, or compares, the views that a name stands for.
func rebuildViews(ctx context.Context, target attach.Target, name string, dryRun bool, out *terminal) ([]view.RebuildReport, error) {
	chosen, err := chooseViews(name)
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

func rebuildEach(ctx context.Context, chosen []choice, reader *replay.Reader, db *mongo.Database, dryRun bool, out *terminal) ([]view.RebuildReport, error) {
	reports := []view.RebuildReport{}
	for _, v := range chosen {
		r := view.Rebuild{Collections: v.collections, DB: db, DryRun: dryRun, JS: reader.JetStream(), View: v.view, Progress: out.bar}
		report, err := r.Run(ctx)
		out.clear()
		if err != nil {
			return nil, fmt.Errorf("rebuild %s: %w", v.view.Name, err)
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// allViews are what the workers remember.
func allViews() []view.View {
	return slices.Concat(orders.Views(), inventory.Views(), payments.Views(slog.Default()), notifications.Views())
}

// choice is a view, and which of its collections; none named means all.
type choice struct {
	view        view.View
	collections []string
}

func chooseViews(name string) ([]choice, error) {
	var chosen []choice
	var names []string
	for _, v := range allViews() {
		names = append(names, v.Name)
		if name == v.Name || name == replay.Views {
			chosen = append(chosen, choice{view: v})
		}
		for _, c := range v.Collections {
			names = append(names, c.Name)
			if name == c.Name {
				chosen = append(chosen, choice{v, []string{name}})
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no view %q: there are %s, and %s for all of them", name, strings.Join(names, ", "), replay.Views)
	}
	return chosen, nil
}

func writeRebuilt(reports []view.RebuildReport, out *terminal) error {
	t := newTable("VIEW", "COLLECTION", "DOCUMENTS>", "MISSING>", "EXTRA>", "DIFFERENT>", "UNREADABLE>", "")
	for _, r := range reports {
		for _, c := range r.Collections {
			result := cell{"as the log says", green}
			switch drift := c.Missing + c.Extra + c.Different; {
			case drift > 0 && r.Swapped:
				result = cell{"mended", yellow}
			case drift > 0:
				result = cell{"drifted", red}
			}
			t.add(r.View, cell{c.Name, bold}, count(uint64(c.Documents)), fmt.Sprint(c.Missing), fmt.Sprint(c.Extra), fmt.Sprint(c.Different),
				fmt.Sprint(c.Unreadable), result)
		}
	}
	if err := t.write(out); err != nil {
		return err
	}
	for _, r := range reports {
		for _, c := range r.Collections {
			for _, d := range c.Drifts[:min(len(c.Drifts), driftsShown)] {
				if err := out.printf("%s  %s: %s", out.paint(yellow, c.Name), oneLine(d.ID), oneLine(d.Detail)); err != nil {
					return err
				}
			}
			if rest := c.Missing + c.Extra + c.Different - driftsShown; rest > 0 {
				out.note("%s: and %d more", c.Name, rest)
			}
		}
		out.note("%s: compared at %s/%d in %.1f s, held for %.1f s", r.View, streamOf(r.View), r.Sequence, r.Seconds, r.HeldSeconds)
	}
	return nil
}

// driftsShown is how many documents of a collection are named.
const driftsShown = 20

func streamOf(name string) string {
	for _, v := range allViews() {
		if v.Name == name {
			return v.Stream
		}
	}
	return ""
}
