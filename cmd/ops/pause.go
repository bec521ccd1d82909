package main

import (
	"context"
	"errors"
	"time"

	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// pause is ops pause.
type pause struct {
	target.Target `embed:""`
	Lanes         []string      `arg:"" help:"Lanes as ops lag names them, or projections for all projections."`
	For           time.Duration `help:"Resume by itself after so long (default: when ops resume is called)." placeholder:"DURATION"`
	JSON          bool          `name:"json" help:"Write JSON."`
}

// Help is shown by ops pause --help.
func (pause) Help() string {
	return `A paused lane takes no events, in any process, until the pause ends; what it has begun it still finishes. What happens meanwhile waits in the log and is handled in order afterwards. The shop sells without its projections; without its other lanes orders are taken and wait.

The pause is an event in the log: it outlives restarts of every process and of the broker. ops lag shows it, and /readyz of the process says degraded.`
}

// Run pauses lanes.
func (c *pause) Run(ctx context.Context, out *terminal) error {
	until := replay.UntilResumed
	switch {
	case c.For < 0:
		return errors.New("--for: want a duration such as 2h")
	case c.For > 0:
		until = time.Now().Add(c.For)
	}
	return changeLanes(ctx, c.Target, c.JSON, out, func(r *replay.Reader) ([]replay.Lane, error) {
		return r.Pause(ctx, c.Lanes, until)
	})
}

// resume is ops resume.
type resume struct {
	target.Target `embed:""`
	Lanes         []string `arg:"" help:"Lanes as ops lag names them, or projections for all projections."`
	JSON          bool     `name:"json" help:"Write JSON."`
}

// Run lets lanes go on.
func (c *resume) Run(ctx context.Context, out *terminal) error {
	return changeLanes(ctx, c.Target, c.JSON, out, func(r *replay.Reader) ([]replay.Lane, error) {
		return r.Resume(ctx, c.Lanes)
	})
}

// changeLanes does something to lanes and shows how they stand then.
func changeLanes(ctx context.Context, target target.Target, asJSON bool, out *terminal, do func(*replay.Reader) ([]replay.Lane, error)) error {
	reader, stop, err := target.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	lanes, err := do(reader)
	if err != nil {
		return err
	}
	return writeLanes(lanes, asJSON, out)
}
