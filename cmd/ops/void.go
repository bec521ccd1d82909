package main

import (
	"context"
	"errors"
	"fmt"

	"tillstream/cmd/internal/target"
	"tillstream/events/api"
	"tillstream/events/replay"
	"tillstream/events/text"
)

// voidCommand is ops void.
type voidCommand struct {
	target.Target `embed:""`
	Sequence      uint64 `arg:"" help:"Sequence of the event in the log."`
	Reason        string `help:"Why the event is declared void. Required; it is stored in the log." required:"" placeholder:"TEXT"`
	Force         bool   `help:"Declare an event void although this release can read it."`
	DryRun        bool   `help:"Say what would be done, and change nothing."`
	JSON          bool   `name:"json" help:"Write the result as JSON."`
}

// Help is shown by ops void --help.
func (voidCommand) Help() string {
	return `An event that no release can read makes its entity (an order, a payment, the stock of an item) unavailable, because a state without that event could be wrong. This command declares the event void: every process then skips it. The event stays in the log, and so does who declared it void and why.

An event that can be read is refused without --force. Most such events have led to decisions already, in other entities too. Correct them by another event, such as a stock adjustment or a refund. Use --force for an event that does not follow the ones before it: a log line says "unreadable history" and names it.

Afterwards discard the event's own dead letter, if there is one, and redrive the dead letters of other events that it caused.

A void cannot be undone.

Examples:
  ops void 5121 --dry-run --reason "published by hand"
  ops void 5121 --reason "published by hand"`
}

// Validate is called by kong when the command line is read.
func (c *voidCommand) Validate() error {
	reason, err := text.Clean(c.Reason)
	if err != nil {
		return fmt.Errorf("--reason: %w", err)
	}
	if c.Reason = reason; reason == "" {
		return errors.New("--reason: say why the event is declared void")
	}
	return nil
}

// Run declares one event void.
func (c *voidCommand) Run(ctx context.Context, out *terminal) error {
	shop, reader, stop, err := openShop(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	event, err := reader.Voidable(ctx, c.Sequence)
	if errors.Is(err, replay.ErrNotFound) {
		return fmt.Errorf("the log has no event %d; ops tail and ops timeline show sequences", c.Sequence)
	}
	if err != nil {
		return err
	}
	if err := event.Check(c.Force); err != nil {
		return fmt.Errorf("%w, or pass --force", err)
	}
	if !c.DryRun {
		author, err := shop.Author(ctx, reader, api.RepairData, c.Reason)
		if err != nil {
			return err
		}
		if event.Already, err = reader.DeclareVoid(ctx, event, c.Force, author); err != nil {
			return err
		}
	}
	m := event.Message
	result := map[string]any{"sequence": m.Sequence, "subject": m.Subject, "type": m.Type(), "readable": event.Readable, "already": event.Already, "dry_run": c.DryRun}
	return out.answer(c.JSON, result, func() error { return c.write(event, out) }, false)
}

func (c *voidCommand) write(v replay.Voidable, out *terminal) error {
	event := fmt.Sprintf("event %d on %s", v.Message.Sequence, v.Message.Subject)
	switch {
	case v.Already:
		return out.printf("%s was void already", event)
	case c.DryRun:
		return out.printf("%s would be void", event)
	}
	if v.Letter > 0 {
		out.note("ops deadletters discard %d --reason TEXT settles its dead letter", v.Letter)
	}
	return out.printf("%s is void", event)
}
