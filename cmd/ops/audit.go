package main

import (
	"context"
	"fmt"
	"time"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/replay"
)

// auditCommand is ops audit.
type auditCommand struct {
	target.Target `embed:""`
	Actor         string `help:"Only what this member of staff or API key did: staff:NAME, key:NAME, or NAME." placeholder:"ACTOR"`
	Since         string `help:"Only from this time on: a date, a time, or a duration such as 24h." placeholder:"TIME"`
	Until         string `help:"Only up to this time." placeholder:"TIME"`
	Type          string `help:"Only events of this type; * matches any text, as in 'ops.*'." placeholder:"TYPE"`
	Entity        string `help:"Only about this entity: its subject, or the id of an order, an item, a lane." placeholder:"ID"`
	Limit         int    `help:"Show at most this many actions, newest first." default:"20"`
	Before        string `help:"Continue before this place, which the answer before named." placeholder:"PLACE"`
	JSON          bool   `name:"json" help:"Write the actions as JSON."`
}

// Help is shown by ops audit --help.
func (auditCommand) Help() string {
	return `The audit lists every event that staff or an API key caused, newest first: when, who, what it was and about which entity, the reason that was given, and from where. It is read from the log itself, so it needs no database and cannot be edited.

Examples:
  ops audit --since 24h
  ops audit --actor mira --type 'worker.*'
  ops audit --entity MUG-HARBOUR --json`
}

// Run lists what staff did.
func (c *auditCommand) Run(ctx context.Context, out *terminal) error {
	filter, before, err := c.filter(time.Now())
	if err != nil {
		return err
	}
	reader, stop, err := c.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	trail := reader.Trail()
	trail.Progress = out.bar
	actions, next, err := trail.Page(ctx, filter, before, max(c.Limit, 1))
	out.clear()
	if err != nil {
		return err
	}
	more := ""
	if next != (replay.Place{}) {
		more = next.String()
	}
	return out.answer(c.JSON, map[string]any{"actions": actions, "next": more}, func() error { return writeActions(actions, more, out) }, false)
}

func (c *auditCommand) filter(now time.Time) (filter replay.ActionFilter, before replay.Place, err error) {
	filter = replay.ActionFilter{Actor: c.Actor, Type: c.Type, Entity: c.Entity}
	if filter.Since, err = parseWhen("--since", c.Since, now); err != nil {
		return filter, before, err
	}
	if filter.Until, err = parseWhen("--until", c.Until, now); err != nil {
		return filter, before, err
	}
	before, err = replay.ParsePlace(c.Before)
	return filter, before, err
}

// parseWhen reads the time of a flag as [replay.ParseWhen] does.
func parseWhen(flag, text string, now time.Time) (time.Time, error) {
	at, err := replay.ParseWhen(text, now)
	if err != nil {
		return at, fmt.Errorf("%s: %w", flag, err)
	}
	return at, nil
}

func writeActions(actions []replay.Action, more string, out *terminal) error {
	if len(actions) == 0 {
		return out.printf("staff did nothing that matches")
	}
	t := newTable("TIME", "SEQUENCE>", "ACTOR", "WHAT")
	for _, a := range actions {
		text := a.Type + " on " + a.Subject + ": " + a.Summary
		if a.Reason != "" {
			text += "; why: " + a.Reason
		}
		if a.Via != "" {
			text += " (" + a.Via + ")"
		}
		t.add(cell{a.Stored.Local().Format(time.DateTime), dim}, sequenceOf(a), cell{a.Actor, bold}, text)
	}
	if err := t.write(out); err != nil {
		return err
	}
	if more != "" {
		out.note("older actions: --before %s", more)
	}
	return nil
}

// sequenceOf names the event of an action: those of dead letters have sequences of their own.
func sequenceOf(a replay.Action) string {
	if a.Stream == events.StreamDeadLetters {
		return fmt.Sprintf("dead %d", a.Sequence)
	}
	return fmt.Sprint(a.Sequence)
}
