package main

import (
	"context"
	"fmt"
	"time"

	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// diffCommand is ops diff.
type diffCommand struct {
	target.Target `embed:""`
	Entity        string `arg:"" help:"Entity, as for ops at."`
	From          string `arg:"" help:"First moment, as for ops at."`
	To            string `arg:"" help:"Second moment. Default: now." default:"now"`
	JSON          bool   `name:"json" help:"Write JSON: {before, after, changes: [{field, before, after}], events}."`
}

// Help is shown by ops diff --help.
func (diffCommand) Help() string {
	return `Compares the states at two moments field by field, and lists the events of the entity between them: after the first moment, up to the second. The earlier moment is always the first.

Examples:
  ops diff 4XRJK-QYW5E 5120 5190
  ops diff 4XRJK-QYW5E -2h
  ops diff MUG-1 2026-11-29 2026-11-30`
}

// Run shows what changed.
func (c *diffCommand) Run(ctx context.Context, out *terminal) error {
	shop, reader, stop, err := openShop(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	from, err := reader.FindMoment(ctx, c.From, time.Now())
	if err != nil {
		return err
	}
	to, err := reader.FindMoment(ctx, c.To, time.Now())
	if err != nil {
		return err
	}
	entity, err := findEntity(ctx, shop, reader, c.Entity, out)
	if err != nil {
		return err
	}
	d, err := reader.Diff(ctx, entity.Kind, entity.ID, from, to)
	if err != nil {
		return err
	}
	return out.answer(c.JSON, d, func() error { return writeDiff(d, out) }, false)
}

func writeDiff(d replay.StateDiff, out *terminal) error {
	for _, s := range []struct {
		name  string
		state replay.EntityState
	}{{"from", d.Before}, {"to  ", d.After}} {
		text := momentText(s.state.At)
		if !s.state.Exists() {
			text += ": it did not exist yet"
		}
		if s.state.Error != "" {
			text += ": not readable: " + s.state.Error
		}
		if err := out.item(cell{s.name, bold}, text); err != nil {
			return err
		}
	}
	if err := out.printf(""); err != nil {
		return err
	}
	if err := writeChanges(d.Changes, out); err != nil || len(d.Events) == 0 {
		return err
	}
	if err := out.printf(""); err != nil {
		return err
	}
	return writeEvents(d.Events, out)
}

func writeChanges(changes []replay.Change, out *terminal) error {
	if len(changes) == 0 {
		return out.printf("nothing changed")
	}
	t := newTable("FIELD", "BEFORE", "AFTER")
	for _, c := range changes {
		t.add(cell{c.Field, bold}, cell{valueText(c.Before), red}, cell{valueText(c.After), green})
	}
	return t.write(out)
}

// writeEvents writes the events of one entity.
func writeEvents(entries []replay.Entry, out *terminal) error {
	t := newTable("SEQ>", "STORED", "EVENT")
	t.lead = true
	for _, e := range entries {
		t.add(cell{fmt.Sprint(e.Sequence), dim}, e.Stored.Local().Format("2006-01-02 15:04:05.000"), cell{e.Type + "  " + e.Summary, eventStyle(e.Subject, e.Type)})
	}
	return t.write(out)
}
