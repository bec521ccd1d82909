package main

import (
	"context"
	"errors"
	"time"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// pauseCommand is ops pause.
type pauseCommand struct {
	target.Target `embed:""`
	Lanes         []string      `arg:"" help:"Lanes as ops lag names them, or projections for all projections."`
	For           time.Duration `help:"Resume after this time, such as 90s or 2h. Default: pause until ops resume." placeholder:"DURATION"`
	Reason        string        `help:"Why. Required; it is stored with the pause." required:"" placeholder:"TEXT"`
	JSON          bool          `name:"json" help:"Write the lanes as JSON."`
}

// Help is shown by ops pause --help.
func (pauseCommand) Help() string {
	return `A paused lane takes no events, in any process, until the pause ends; work that has begun is finished. Events wait in the log and are handled in order afterwards. The shop sells without its projections. While another lane is paused, orders are accepted but wait for that lane.

The pause is an event in the log, so it outlives restarts of every process and of the broker. ops lag shows it, and /readyz of the process says degraded.

Examples:
  ops pause notifications.mail --for 2h --reason "the mail server moves"
  ops pause projections --reason "the database moves"`
}

// Run pauses lanes.
func (c *pauseCommand) Run(ctx context.Context, out *terminal) error {
	until := replay.UntilResumed
	switch {
	case c.For < 0:
		return errors.New("--for: want a duration such as 2h")
	case c.For > 0:
		until = time.Now().Add(c.For)
	}
	return changeLanes(ctx, c.Target, c.Reason, c.JSON, out, func(r *replay.Reader, author events.Author) ([]replay.Lane, error) {
		return r.Pause(ctx, c.Lanes, until, author)
	})
}

// resumeCommand is ops resume.
type resumeCommand struct {
	target.Target `embed:""`
	Lanes         []string `arg:"" help:"Lanes as ops lag names them, or projections for all projections."`
	Reason        string   `help:"Why. Required; it is stored with the end of the pause." required:"" placeholder:"TEXT"`
	JSON          bool     `name:"json" help:"Write the lanes as JSON."`
}

// Help is shown by ops resume --help.
func (resumeCommand) Help() string {
	return `The lanes handle the events that waited, in order. Resuming a lane that is not paused changes nothing.

Examples:
  ops resume notifications.mail --reason "the mail server has moved"
  ops resume projections --reason "the database has moved"`
}

// Run ends the pause of lanes.
func (c *resumeCommand) Run(ctx context.Context, out *terminal) error {
	return changeLanes(ctx, c.Target, c.Reason, c.JSON, out, func(r *replay.Reader, author events.Author) ([]replay.Lane, error) {
		return r.Resume(ctx, c.Lanes, author)
	})
}

// changeLanes makes a change and shows the changed lanes.
func changeLanes(ctx context.Context, flags target.Target, reason string, asJSON bool, out *terminal, change func(*replay.Reader, events.Author) ([]replay.Lane, error)) error {
	shop, reader, stop, err := openShop(ctx, flags)
	if err != nil {
		return err
	}
	defer stop()
	author, err := shop.Author(ctx, reader, api.WriteLanes, reason)
	if err != nil {
		return err
	}
	lanes, err := change(reader, author)
	if err != nil {
		return err
	}
	if asJSON {
		return out.json(map[string]any{"lanes": append([]replay.Lane{}, lanes...)})
	}
	return writeLanes(lanes, out)
}
