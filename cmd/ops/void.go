package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/replay"
)

// void is ops void.
type void struct {
	target.Target `embed:""`
	Sequence      uint64 `arg:"" help:"Sequence of the event in the log."`
	Reason        string `help:"Why; it is kept in the log." required:""`
	Force         bool   `help:"Also an event that this release can read."`
	DryRun        bool   `help:"Say what would be done."`
	JSON          bool   `name:"json" help:"Write JSON."`
}

// Help is shown by ops void --help.
func (void) Help() string {
	return `An event that no release can read makes its entity (an order, a payment, the stock of an item) unavailable: nothing is decided on a state that leaves something out. This declares the event void. From then on every process passes over it, as if it had never said anything. The event itself stays in the log, and so does who declared it void and why.

An event that can be read is refused without --force: mostly what it says was decided on already, in other entities too, and the opposite has to be said by another event, such as a stock adjustment or a refund. An event that cannot follow those before it (a log line says "unreadable history" and names it) is void by --force.

Afterwards discard the dead letter of the event, if it has one, and redrive those of events that could not be handled because of it.

It cannot be taken back.`
}

// Validate is called by kong when the command line is read.
func (c *void) Validate() error {
	if strings.TrimSpace(c.Reason) == "" {
		return errors.New("--reason: say why the event is declared void")
	}
	return nil
}

// Run declares one event void.
func (c *void) Run(ctx context.Context, out *terminal) error {
	reader, stop, err := c.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	m, err := reader.Get(ctx, c.Sequence)
	if errors.Is(err, replay.ErrNotFound) {
		return fmt.Errorf("the log has no event %d", c.Sequence)
	}
	if err != nil {
		return err
	}
	already := m.Voided()
	readable := c.readable(m)
	if readable && !c.Force && !already {
		return fmt.Errorf("event %d is %s on %s, which can be read: say the opposite by another event, or pass --force", m.Sequence, m.Type(), m.Subject)
	}
	if !c.DryRun {
		if already, err = log.Void(ctx, reader.Log(), m, c.Reason); err != nil {
			return err
		}
	}
	if c.JSON {
		return out.json(map[string]any{"sequence": m.Sequence, "subject": m.Subject, "type": m.Type(), "readable": readable, "already": already, "dry_run": c.DryRun})
	}
	what := fmt.Sprintf("event %d on %s", m.Sequence, m.Subject)
	switch {
	case already:
		return out.printf("%s was void already", what)
	case c.DryRun:
		return out.printf("%s would be void", what)
	}
	letters, err := reader.DeadLetters(ctx, 0)
	if err != nil {
		return err
	}
	for _, d := range letters {
		if d.Sequence == m.Sequence && d.State == replay.StateOpen {
			out.note("ops deadletters discard %d settles its dead letter", d.Number)
		}
	}
	return out.printf("%s is void", what)
}

// readable reports whether this release understands a message.
func (c *void) readable(m log.Message) bool {
	e, err := m.Event()
	return err == nil && events.CheckTopology(e, events.Topology) == nil
}
