package main

import (
	"context"
	"fmt"
	"strings"

	"tillstream/cmd/internal/target"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// replaysCommand is ops replays.
type replaysCommand struct {
	List    listReplaysCommand   `cmd:"" default:"withargs" help:"List replays, newest first."`
	Show    showReplayCommand    `cmd:"" help:"Show one replay."`
	Approve approveReplayCommand `cmd:"" help:"Approve a large replay of somebody else."`
	Stop    stopReplayCommand    `cmd:"" help:"Stop a replay."`
}

// listReplaysCommand is ops replays list.
type listReplaysCommand struct {
	target.Target `embed:""`
	JSON          bool `name:"json" help:"Write JSON."`
}

// Help is shown by ops replays list --help.
func (listReplaysCommand) Help() string {
	return `TOTAL counts an event once for each lane that handles it again; DONE is how many of these are handled. BY is who requested the replay.

Examples:
  ops replays
  ops replays list --json`
}

// Run lists replays.
func (c *listReplaysCommand) Run(ctx context.Context, out *terminal) error {
	replays, stop, err := openReplays(ctx, c.Target, replay.DefaultApprovalOver)
	if err != nil {
		return err
	}
	defer stop()
	all, err := replays.List(ctx)
	if err != nil {
		return err
	}
	return out.answer(c.JSON, map[string]any{"replays": append([]replay.Replay{}, all...)}, func() error {
		if len(all) == 0 {
			return out.printf("no replays; ops redeliver --help shows how to begin one")
		}
		t := newTable("ID", "STATE", "DONE>", "TOTAL>", "BY")
		for _, r := range all {
			t.add(r.ID, string(r.State), fmt.Sprint(r.Done()), fmt.Sprint(r.Total()), r.By)
		}
		return t.write(out)
	}, false)
}

// namedReplay is the flags of a command about one replay.
type namedReplay struct {
	target.Target `embed:""`
	ID            string `arg:"" help:"Id of the replay, as ops replays list shows it."`
	JSON          bool   `name:"json" help:"Write the replay as JSON."`
}

// showReplayCommand is ops replays show.
type showReplayCommand struct {
	namedReplay `embed:""`
}

// Help is shown by ops replays show --help.
func (showReplayCommand) Help() string {
	return `The answer names who requested the replay and why, its events and lanes, what the lanes did, what they wait for, and what failed.

Examples:
  ops replays show 0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10

Exit codes: 0 nothing failed so far; 1 some events failed; 2 it could not be done.`
}

// Run shows a replay.
func (c *showReplayCommand) Run(ctx context.Context, out *terminal) error {
	return c.change(ctx, out, func(replaysOf) error { return nil })
}

// approveReplayCommand is ops replays approve.
type approveReplayCommand struct {
	namedReplay `embed:""`
	Reason      string `help:"Why; it is stored with the approval." placeholder:"TEXT"`
}

// Help is shown by ops replays approve --help.
func (approveReplayCommand) Help() string {
	return `Approve a replay of more than 1,000 events that somebody else requested. Afterwards ops redeliver --resume ID carries it out.

Examples:
  ops replays approve 0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10`
}

// Run approves a replay.
func (c *approveReplayCommand) Run(ctx context.Context, out *terminal) error {
	return c.change(ctx, out, func(replays replaysOf) error {
		author, err := replays.shop.Author(ctx, replays.reader, api.ApproveReplays, c.Reason)
		if err != nil {
			return err
		}
		return replays.Approve(ctx, c.ID, author)
	})
}

// stopReplayCommand is ops replays stop.
type stopReplayCommand struct {
	namedReplay `embed:""`
	Reason      string `help:"Why; it is stored with the replay." placeholder:"TEXT" required:""`
}

// Help is shown by ops replays stop --help.
func (stopReplayCommand) Help() string {
	return `Lanes still handle the events that were requested of them before; nothing more is requested. ops redeliver --resume ID continues the replay.

Examples:
  ops replays stop 0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10 --reason "wrong lane"`
}

// Run stops a replay.
func (c *stopReplayCommand) Run(ctx context.Context, out *terminal) error {
	return c.change(ctx, out, func(replays replaysOf) error {
		author, err := replays.shop.Author(ctx, replays.reader, api.RunReplays, c.Reason)
		if err != nil {
			return err
		}
		return replays.Stop(ctx, c.ID, author)
	})
}

// change makes a change of the replay and shows it afterwards.
func (c *namedReplay) change(ctx context.Context, out *terminal, change func(replaysOf) error) error {
	replays, stop, err := openReplays(ctx, c.Target, replay.DefaultApprovalOver)
	if err != nil {
		return err
	}
	defer stop()
	if err := change(replays); err != nil {
		return err
	}
	r, err := replays.Get(ctx, c.ID)
	if err != nil {
		return err
	}
	return out.answer(c.JSON, r, func() error { return writeReplay(r, out) }, r.Counts.Failed > 0)
}

// writeReplay shows one replay.
func writeReplay(r replay.Replay, out *terminal) error {
	t := newTable("REPLAY", r.ID)
	row := func(name, format string, args ...any) { t.add(cell{name, dim}, fmt.Sprintf(format, args...)) }
	row("state", "%s", r.State)
	row("by", "%s at %s: %s", r.By, r.At.Local().Format(minutes), r.Requested.Reason)
	if r.ApprovedBy != "" {
		row("approved", "by %s", r.ApprovedBy)
	}
	if r.StoppedBy != "" {
		row("stopped", "by %s: %s", r.StoppedBy, r.StopReason)
	}
	selection := r.Requested.Selection
	row("events", "%d from %d to %d %s", r.Requested.Events, selection.From, selection.To, strings.Join(selection.Types, ", "))
	row("lanes", "%s", strings.Join(selection.Lanes, ", "))
	if r.Requested.LeftOut > 0 {
		row("left out", "%d, which were replayed three times already", r.Requested.LeftOut)
	}
	row("handled", "%d of %d; %d had nothing to do", r.Done(), r.Total(), r.Counts.Nothing)
	for _, f := range r.Counts.Facts {
		row("appended", "%d × %s", f.Count, f.Type)
	}
	row("acts", "%d made before, %d opened", r.Counts.Done, r.Counts.Opened)
	for _, w := range r.Waiting {
		row("waits for", "%s to answer %d events since %s; ops lag shows why", w.Lane, w.Events, w.Since.Local().Format(minutes))
	}
	for _, f := range r.Counts.Failures {
		row("failed", "%s, event %d: %s", f.Lane, f.Sequence, f.Error)
	}
	return t.write(out)
}
