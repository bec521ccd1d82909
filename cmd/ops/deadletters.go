package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

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
	counted := newTable("COUNT>", "CAUSE", "LANE", "LAST", "ERROR")
	for _, c := range causes {
		counted.add(output.Number(c.Count), c.Fingerprint, cell{c.Lane, bold}, c.Last.Local().Format(minutes), cell{c.Error, red})
	}
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
	return errors.Join(counted.write(out), out.printf(""), rows.write(out))
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

// showDeadLetterCommand is ops deadletters show.
type showDeadLetterCommand struct {
	target.Target `embed:""`
	Number        uint64 `arg:"" help:"Number of the dead letter, as ops deadletters lists it."`
	JSON          bool   `name:"json" help:"Write the dead letter and its event as JSON."`
}

// originalEvent is the event of a dead letter, as ops deadletters show --json writes it.
type originalEvent struct {
	Sequence uint64              `json:"sequence"`
	Stored   time.Time           `json:"stored"`
	Subject  string              `json:"subject"`
	Headers  map[string][]string `json:"headers"`
	Data     []byte              `json:"data"`
}

// Run shows one dead letter.
func (c *showDeadLetterCommand) Run(ctx context.Context, out *terminal) error {
	reader, stop, err := c.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	d, history, err := reader.DeadLetterAt(ctx, c.Number)
	if errors.Is(err, replay.ErrNotFound) {
		return fmt.Errorf("no dead letter has the number %d; ops deadletters list --state all lists every one", c.Number)
	}
	if err != nil {
		return err
	}
	m, err := reader.Original(ctx, d)
	lost := errors.Is(err, replay.ErrNotFound)
	if err != nil && !lost {
		return err
	}
	result := map[string]any{"dead_letter": d}
	if !lost {
		result["event"] = originalEvent{m.Sequence, m.Stored, m.Subject, m.Header, m.Data}
	}
	return out.answer(c.JSON, result, func() error {
		if err := writeDeadLetter(d, history, out); err != nil {
			return err
		}
		if lost {
			return out.item(cell{"event", bold}, fmt.Sprintf("the log has no event at %d; ops repair names what it lacks", d.Sequence))
		}
		return writeOriginal(m, out)
	}, false)
}

func writeDeadLetter(d replay.DeadLetter, history []replay.Message, out *terminal) error {
	fields := [][2]string{{"state", string(d.State)}, {"lane", d.Worker}, {"event", fmt.Sprint(d.Sequence)}, {"all", runsText(d)}, {"type", d.Type}, {"subject", d.Subject},
		{"since", d.Stored.Local().Format(millis)}, {"attempt", fmt.Sprint(d.Attempt)}, {"cause", d.Fingerprint}, {"error", d.Error}}
	for _, f := range fields {
		if f[1] == "" {
			continue
		}
		if err := out.item(cell{fmt.Sprintf("%-8s", f[0]), bold}, f[1]); err != nil {
			return err
		}
	}
	for _, m := range history[1:] {
		text := "cannot be read"
		if e, err := m.Event(); err == nil {
			text = fmt.Sprintf("%s  %s (%s)", m.Stored.Local().Format(millis), replay.Summary(e), e.Actor)
		}
		if err := out.item(cell{"then    ", bold}, text); err != nil {
			return err
		}
	}
	return nil
}

func writeOriginal(m replay.Message, out *terminal) error {
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		if err := out.item(cell{"header  ", dim}, name+": "+strings.Join(m.Header[name], ", ")); err != nil {
			return err
		}
	}
	body := string(m.Data)
	if !utf8.Valid(m.Data) {
		body = fmt.Sprintf("%q", m.Data)
	}
	return out.item(cell{"body    ", bold}, body)
}
