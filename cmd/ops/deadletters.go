package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// deadLettersCommand is ops deadletters.
type deadLettersCommand struct {
	List    listDeadLettersCommand `cmd:"" default:"withargs" help:"List dead letters, counted by cause."`
	Show    showDeadLetterCommand  `cmd:"" help:"Show one dead letter, its history and its event."`
	Redrive redriveCommand         `cmd:"" help:"Have lanes handle the events of dead letters again."`
	Discard discardCommand         `cmd:"" help:"Settle dead letters whose events must not be handled."`
}

// listDeadLettersCommand is ops deadletters list.
type listDeadLettersCommand struct {
	target.Target `embed:""`
	State         string `help:"Which dead letters: open, redriven, discarded or all." enum:"open,redriven,discarded,all" default:"open"`
	Limit         int    `help:"List at most this many, newest first." default:"20"`
	JSON          bool   `name:"json" help:"Write the list as JSON."`
	CSV           bool   `name:"csv" help:"Write the list as CSV."`
}

// Help is shown by ops deadletters list --help.
func (listDeadLettersCommand) Help() string {
	return `Counts the dead letters by cause: FIRST and LAST are when the first and the newest of a cause were opened, AGE is the time since the first. Then it lists the newest. Dead letters of one cause have the same CAUSE, whatever their orders, numbers and ids.

Examples:
  ops deadletters
  ops deadletters list --state all --limit 100
  ops deadletters list --csv > deadletters.csv`
}

// Run counts dead letters by cause and lists the newest.
func (c *listDeadLettersCommand) Run(ctx context.Context, out *terminal) error {
	reader, stop, err := c.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	all, err := reader.DeadLetters(ctx, 0)
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(all, func(d replay.DeadLetter) bool { return c.State != "all" && string(d.State) != c.State })
	causes := replay.Causes(chosen)
	slices.Reverse(chosen)
	listed := chosen[:min(len(chosen), max(c.Limit, 0))]
	if c.CSV {
		return letterTable(listed, true).csv(out)
	}
	result := map[string]any{"state": c.State, "total": len(chosen), "causes": causes, "dead_letters": append([]replay.DeadLetter{}, listed...)}
	return out.answer(c.JSON, result, func() error { return c.write(listed, len(chosen), causes, out) }, false)
}

func (c *listDeadLettersCommand) write(listed []replay.DeadLetter, total int, causes []replay.Cause, out *terminal) error {
	switch {
	case total == 0 && c.State == "all":
		return out.printf("no dead letters")
	case total == 0:
		return out.printf("no %s dead letters", c.State)
	}
	if err := writeDeadLetters(listed, causes, c.State == "all", out); err != nil {
		return err
	}
	if rest := total - len(listed); rest > 0 {
		out.note("%s; --limit shows more", output.Count(rest, "older dead letter"))
	}
	out.note("next: ops deadletters show NUMBER; ops deadletters redrive --help")
	return nil
}

// writeDeadLetters writes a table of causes and one of dead letters. The states are shown only if they differ.
func writeDeadLetters(listed []replay.DeadLetter, causes []replay.Cause, states bool, out *terminal) error {
	counted := newTable("COUNT>", "CAUSE", "LANE", "FIRST", "LAST", "AGE>", "ERROR")
	for _, c := range causes {
		counted.add(output.Number(c.Count), c.Fingerprint, cell{c.Lane, bold}, c.First.Local().Format(minutes), c.Last.Local().Format(minutes),
			replay.Age(time.Since(c.First)), cell{c.Error, red})
	}
	return errors.Join(counted.write(out), out.printf(""), letterTable(listed, states).write(out))
}

// letterTable is the table of dead letters. The states are shown only if they differ.
func letterTable(listed []replay.DeadLetter, states bool) *table {
	names, last := []string{"NUMBER>", "SINCE", "LANE", "CAUSE", "SEQUENCE>"}, "EVENT"
	if states {
		names = append(names, "STATE")
	}
	rows := newTable(append(names, last)...)
	for _, d := range listed {
		row := []any{fmt.Sprint(d.Number), d.Stored.Local().Format(minutes), cell{d.Worker, bold}, cell{d.Fingerprint, dim}, fmt.Sprint(d.Sequence)}
		if states {
			row = append(row, stateCell(d))
		}
		rows.add(append(row, eventText(d))...)
	}
	return rows
}

// eventText names the event of a dead letter, or the first of its messages.
func eventText(d replay.DeadLetter) string {
	text := cmp.Or(d.Type, "(no event)") + " on " + d.Subject
	if n := d.Messages(); n > 1 {
		text += fmt.Sprintf(" and %s more", output.Number(n-1))
	}
	return text
}

// runsText lists the sequences of the messages of a dead letter about several, "" for one event.
func runsText(d replay.DeadLetter) string {
	parts := make([]string, len(d.Runs))
	for i, r := range d.Runs {
		if parts[i] = fmt.Sprint(r.From); r.To > r.From {
			parts[i] += fmt.Sprintf("-%d", r.To)
		}
	}
	return strings.Join(parts, ", ")
}

func stateCell(d replay.DeadLetter) cell {
	if d.State == replay.StateOpen {
		return cell{string(d.State), red}
	}
	return cell{string(d.State), green}
}
