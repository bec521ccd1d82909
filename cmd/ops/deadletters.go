package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// deadLetters is ops deadletters.
type deadLetters struct {
	List    listDeadLetters    `cmd:"" default:"withargs" help:"List dead letters, counted by cause."`
	Show    showDeadLetter     `cmd:"" help:"Show one dead letter, what became of it, and its event whole."`
	Redrive redriveDeadLetters `cmd:"" help:"Have lanes handle the events of dead letters again."`
	Discard discardDeadLetters `cmd:"" help:"Settle dead letters whose events no lane is to handle."`
}

// listDeadLetters is ops deadletters list.
type listDeadLetters struct {
	target.Target `embed:""`
	State         string `help:"Those that are open, redriven, discarded, or all of them." enum:"open,redriven,discarded,all" default:"open"`
	Limit         int    `help:"List at most so many, newest first." default:"20"`
	JSON          bool   `name:"json" help:"Write JSON."`
}

// Run counts dead letters by cause and lists the newest.
func (c *listDeadLetters) Run(ctx context.Context, out *terminal) error {
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
	if c.JSON {
		return out.json(map[string]any{"state": c.State, "total": len(chosen), "causes": causes, "dead_letters": append([]replay.DeadLetter{}, listed...)})
	}
	if len(chosen) == 0 && c.State == "all" {
		return out.printf("no dead letters")
	}
	if len(chosen) == 0 {
		return out.printf("no %s dead letters", c.State)
	}
	if err := writeDeadLetters(listed, causes, c.State == "all", out); err != nil {
		return err
	}
	if rest := len(chosen) - len(listed); rest > 0 {
		out.note("and %d older ones; --limit shows more", rest)
	}
	out.note("ops deadletters show NUMBER shows one whole, redrive has it handled again")
	return nil
}

func writeDeadLetters(listed []replay.DeadLetter, causes []replay.Cause, states bool, out *terminal) error {
	counted := newTable("COUNT>", "CAUSE", "LANE", "LAST", "ERROR")
	for _, c := range causes {
		counted.add(count(uint64(c.Count)), c.Fingerprint, cell{c.Lane, bold}, c.Last.Local().Format(minutes), cell{c.Error, red})
	}
	names, last := []string{"NUMBER>", "SINCE", "LANE", "CAUSE", "EVENT>"}, "WHAT IT IS"
	if states { // else all rows would say the same
		names = append(names, "STATE")
	}
	rows := newTable(append(names, last)...)
	for _, d := range listed {
		row := []any{fmt.Sprint(d.Number), d.Stored.Local().Format(minutes), cell{d.Worker, bold}, cell{d.Fingerprint, dim}, fmt.Sprint(d.Sequence)}
		if states {
			row = append(row, stateOf(d))
		}
		rows.add(append(row, strings.TrimSpace(d.Type+" on "+d.Subject))...)
	}
	return errors.Join(counted.write(out), out.printf(""), rows.write(out))
}

func stateOf(d replay.DeadLetter) cell {
	style := green
	if d.State == replay.StateOpen {
		style = red
	}
	return cell{string(d.State), style}
}

// showDeadLetter is ops deadletters show.
type showDeadLetter struct {
	target.Target `embed:""`
	Number        uint64 `arg:"" help:"Its number, as ops deadletters lists it."`
	JSON          bool   `name:"json" help:"Write JSON."`
}

// originalEvent is the event that a dead letter points to, as ops deadletters show --json writes it.
type originalEvent struct {
	Sequence uint64              `json:"sequence"`
	Stored   time.Time           `json:"stored"`
	Subject  string              `json:"subject"`
	Headers  map[string][]string `json:"headers"`
	Data     []byte              `json:"data"`
}

// Run shows one dead letter.
func (c *showDeadLetter) Run(ctx context.Context, out *terminal) error {
	reader, stop, err := c.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	d, history, err := reader.DeadLetterAt(ctx, c.Number)
	if errors.Is(err, replay.ErrNotFound) {
		return fmt.Errorf("no dead letter has the number %d; ops deadletters list --state all lists those that there are", c.Number)
	}
	if err != nil {
		return err
	}
	m, err := reader.Original(ctx, d)
	gone := errors.Is(err, replay.ErrNotFound)
	if err != nil && !gone {
		return err
	}
	if c.JSON {
		answer := map[string]any{"dead_letter": d}
		if !gone {
			answer["event"] = originalEvent{m.Sequence, m.Stored, m.Subject, m.Header, m.Data}
		}
		return out.json(answer)
	}
	if err := writeDeadLetter(d, history, out); err != nil {
		return err
	}
	if gone {
		return out.item(cell{"event", bold}, fmt.Sprintf("the log has no event at %d: ops repair says what it lacks", d.Sequence))
	}
	return writeOriginal(m, out)
}

func writeDeadLetter(d replay.DeadLetter, history []replay.Message, out *terminal) error {
	fields := [][2]string{{"state", string(d.State)}, {"lane", d.Worker}, {"event", fmt.Sprint(d.Sequence)}, {"type", d.Type}, {"subject", d.Subject},
		{"since", d.Stored.Local().Format(millis)}, {"attempt", fmt.Sprint(d.Attempt)}, {"cause", d.Fingerprint}, {"error", d.Error}}
	for _, f := range fields {
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
