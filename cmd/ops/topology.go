package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// topologyCommand is ops topology.
type topologyCommand struct {
	target.Target `embed:""`
	recorded      `embed:""`
	Apply         bool `help:"Add to the broker what it lacks."`
	JSON          bool `name:"json" help:"Write the topology as JSON."`
}

// Help is shown by ops topology --help.
func (topologyCommand) Help() string {
	return `The topology of a release is its streams, subjects, settings and event types. The table shows the topology that this release of ops knows, the one that the broker is set up for, and the newest one of which an event is stored; then what each running process knows, and what this release would add.

A process adds what its release needs when it starts, if its user may change streams. With deploy/nats.conf no process may: before you start the first process of a new release, run ops topology --apply as a user that may ("A new version" in deploy/runbook.md). Nothing is removed, so processes of the previous release continue, and can be started again until WRITTEN shows a topology that they do not know.

Examples:
  ops topology
  ops topology --apply

Exit codes: 0 the broker has everything that this release needs; 1 something is missing or configured differently; 2 it could not be done.`
}

// Run compares the broker with what this release needs.
func (c *topologyCommand) Run(ctx context.Context, out *terminal) error {
	shop, reader, stop, err := openShop(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	l := reader.Log()
	if c.Apply {
		if err := c.apply(ctx, shop, reader, out); err != nil {
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
	differ := slices.ContainsFunc(differences, func(d eventlog.Difference) bool { return d.Added+d.Drift != "" })
	result := map[string]any{"known": events.Topology, "applied": state.Applied, "written": state.Written,
		"processes": append([]eventlog.Process{}, processes...), "differences": differences}
	return out.answer(c.JSON, result, func() error {
		if err := writeTopology(state, processes, out); err != nil {
			return err
		}
		return writeDifferences(differences, differ, out)
	}, differ)
}

// apply adds to the broker what it lacks, and records it.
func (c *topologyCommand) apply(ctx context.Context, shop target.Shop, reader *replay.Reader, out *terminal) error {
	author, err := c.author(ctx, shop, reader)
	if err != nil {
		return err
	}
	err = reader.Log().Upgrade(ctx)
	record(ctx, reader, author, out, events.ActionRecorded{Action: "topology --apply", Outcome: fmt.Sprintf("the broker is set up for topology %d", events.Topology)}, err)
	return err
}

func writeTopology(state eventlog.TopologyState, processes []eventlog.Process, out *terminal) error {
	numbers := newTable("THIS RELEASE KNOWS>", "BROKER IS SET UP FOR>", "WRITTEN>")
	numbers.add(fmt.Sprint(events.Topology), fmt.Sprint(state.Applied), fmt.Sprint(state.Written))
	if err := numbers.write(out); err != nil {
		return err
	}
	if len(processes) == 0 {
		out.note("no process of the shop is running")
		return nil
	}
	running := newTable("PROCESS", "ID", "SINCE", "KNOWS>")
	for _, p := range processes {
		knows := plain
		if p.Topology < state.Applied {
			knows = yellow
		}
		running.add(cell{p.Source, bold}, cell{shortID(p.ID), dim}, p.Since.Local().Format(time.DateTime), cell{fmt.Sprint(p.Topology), knows})
	}
	if err := out.printf(""); err != nil {
		return err
	}
	return running.write(out)
}

func writeDifferences(differences []eventlog.Difference, differ bool, out *terminal) error {
	for _, d := range differences {
		if d.Added != "" {
			if err := out.item(cell{d.Name, yellow}, "lacks "+d.Added); err != nil {
				return err
			}
		}
		if d.Drift != "" {
			if err := out.item(cell{d.Name, red}, d.Drift); err != nil {
				return err
			}
		}
	}
	if differ {
		out.note("ops topology --apply adds what is missing; change settings that differ by hand (\"Changing a stream\" in deploy/runbook.md)")
		return nil
	}
	return out.printf("the broker has everything that this release needs")
}
