package main

import (
	"context"
	"fmt"
	"time"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/log"
)

// topology is ops topology.
type topology struct {
	target.Target `embed:""`
	Apply         bool `help:"Add to the broker what this release has more."`
	JSON          bool `name:"json" help:"Write JSON."`
}

// Help is shown by ops topology --help.
func (topology) Help() string {
	return `Shows which topology (streams, subjects, settings and types of events) the shop has, which each running process knows, and what this release of ops would add.

A process that starts adds what its release has more by itself, where its user may change streams. With deploy/nats.conf no user of a process may: before the first process of a new release is started, run this with --apply as a user that may (deploy/runbook.md, "A new version"). Nothing is ever taken away, so processes of the release before work on, and can be started again until "written" says that an event stands in the log which they do not understand.

Exit codes: 0 the broker has all that this release wants; 1 something is missing or configured otherwise; 2 it could not be done.`
}

// Run compares the broker with what this release wants.
func (c *topology) Run(ctx context.Context, out *terminal) error {
	reader, stop, err := c.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	l := reader.Log()
	if c.Apply {
		if err := l.Upgrade(ctx); err != nil {
			return err
		}
	}
	state, err := l.TopologyState(ctx)
	if err != nil {
		return err
	}
	processes, err := l.Processes(ctx)
	if err != nil {
		return err
	}
	differences, err := l.Differences(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		err = out.json(map[string]any{"known": events.Topology, "applied": state.Applied, "written": state.Written,
			"processes": append([]log.Process{}, processes...), "differences": differences})
	} else {
		err = writeTopology(state, processes, differences, out)
	}
	for _, d := range differences {
		if err == nil && d.Added+d.Drift != "" {
			err = errOff
		}
	}
	return err
}

func writeTopology(state log.TopologyState, processes []log.Process, differences []log.Difference, out *terminal) error {
	numbers := newTable("THIS RELEASE KNOWS>", "BROKER IS SET UP FOR>", "WRITTEN>")
	numbers.add(fmt.Sprint(events.Topology), fmt.Sprint(state.Applied), fmt.Sprint(state.Written))
	if err := numbers.write(out); err != nil {
		return err
	}
	if err := out.printf(""); err != nil {
		return err
	}
	running := newTable("PROCESS", "ID", "SINCE", "KNOWS>")
	for _, p := range processes {
		knows := plain
		if p.Topology < state.Applied {
			knows = yellow
		}
		running.add(cell{p.Source, bold}, cell{holder(p.ID), dim}, p.Since.Local().Format(time.DateTime), cell{fmt.Sprint(p.Topology), knows})
	}
	if len(processes) == 0 {
		out.note("no process of the shop runs")
	} else if err := running.write(out); err != nil {
		return err
	}
	off := false
	for _, d := range differences {
		if d.Added != "" {
			off = true
			if err := out.item(cell{d.Name, yellow}, "lacks "+d.Added); err != nil {
				return err
			}
		}
		if d.Drift != "" {
			off = true
			if err := out.item(cell{d.Name, red}, d.Drift); err != nil {
				return err
			}
		}
	}
	if off {
		out.note("ops topology --apply adds what is missing; what is configured otherwise you have to put right yourself")
		return nil
	}
	return out.printf("the broker has all that this release wants")
}
