package main

import (
	"context"
	"errors"
	"time"

	"tillstream/cmd/internal/attach"
	"tillstream/events/replay"
)

// pause is ops pause.
type pause struct {
	attach.Target `embed:""`
	Workers       []string      `arg:"" help:"Workers as ops lag names them, or views for all views."`
	For           time.Duration `help:"Resume by itself after so long (default: when somebody resumes it)." placeholder:"DURATION"`
	JSON          bool          `name:"json" help:"Write JSON."`
}

// Help is shown by ops pause --help.
func (pause) Help() string {
	return `The broker hands a paused worker nothing, in none of its replicas, until the pause ends; what the worker has in hand it still finishes. What happens meanwhile waits in the log and is handled in order afterwards. The shop sells without its views; without its other workers orders are taken and wait.

The pause outlives restarts of every process and of the broker. ops lag shows it, and the worker's /readyz says degraded.`
}

// Run pauses workers.
func (c *pause) Run(ctx context.Context, out *terminal) error {
	until := replay.UntilResumed
	switch {
	case c.For < 0:
		return errors.New("--for: want a duration such as 2h")
	case c.For > 0:
		until = time.Now().Add(c.For)
	}
	return changeWorkers(ctx, c.Target, c.JSON, out, func(r *replay.Reader) ([]replay.Consumer, error) {
		return r.Pause(ctx, c.Workers, until)
	})
}

// resume is ops resume.
type resume struct {
	attach.Target `embed:""`
	Workers       []string `arg:"" help:"Workers as ops lag names them, or views for all views."`
	JSON          bool     `name:"json" help:"Write JSON."`
}

// Run lets workers go on.
func (c *resume) Run(ctx context.Context, out *terminal) error {
	return changeWorkers(ctx, c.Target, c.JSON, out, func(r *replay.Reader) ([]replay.Consumer, error) {
		return r.Resume(ctx, c.Workers)
	})
}

// changeWorkers does something to workers and shows how they stand then.
func changeWorkers(ctx context.Context, target attach.Target, asJSON bool, out *terminal, do func(*replay.Reader) ([]replay.Consumer, error)) error {
	shop, err := target.Resolve()
	if err != nil {
		return err
	}
	reader, stop, err := shop.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	consumers, err := do(reader)
	if err != nil {
		return err
	}
	if asJSON {
		return out.json(map[string]any{"consumers": consumers})
	}
	return writeLag(consumers, out)
}
