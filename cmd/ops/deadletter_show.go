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

	"tillstream/cmd/internal/entities"
	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// showDeadLetterCommand is ops deadletters show.
type showDeadLetterCommand struct {
	target.Target `embed:""`
	Number        uint64 `arg:"" help:"Number of the dead letter, as ops deadletters lists it."`
	JSON          bool   `name:"json" help:"Write JSON: {dead_letter, attempts, event, states: [{before, after, changes}], commands}."`
}

// Help is shown by ops deadletters show --help.
func (showDeadLetterCommand) Help() string {
	return `Shows the attempts, the event, and the states that it met: of the entity of the event, and of the entity of the same order that the lane decides about. The states are those before the event and, where a field has changed, those of now.

Examples:
  ops deadletters show 7
  ops deadletters show 7 --json`
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
	states, err := entities.StatesMet(ctx, reader, d, m, time.Now())
	if err != nil {
		return err
	}
	result := map[string]any{"dead_letter": d, "attempts": attemptsOf(history), "states": states, "commands": commandsFor(d, states)}
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
		problems := []error{writeOriginal(m, out), writeStates(states, out)}
		for _, command := range commandsFor(d, states) {
			problems = append(problems, out.item(cell{"next    ", dim}, command))
		}
		return errors.Join(problems...)
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
		if strings.HasPrefix(name, "Nats-") {
			continue // of the broker
		}
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

// attempt is one time that a lane tried to handle the event, or an operator settled it.
type attempt struct {
	At    time.Time `json:"at"`
	Actor string    `json:"actor"`
	Text  string    `json:"text"`
}

func attemptsOf(history []replay.Message) []attempt {
	attempts := make([]attempt, len(history))
	for i, m := range history {
		attempts[i] = attempt{At: m.Stored, Text: "cannot be read"}
		if e, err := m.Event(); err == nil {
			attempts[i].Actor, attempts[i].Text = e.Actor, replay.Summary(e)
		}
	}
	return attempts
}

func writeStates(states []replay.StateDiff, out *terminal) error {
	for _, s := range states {
		title := "before the event"
		switch {
		case !s.Before.Exists() && !s.After.Exists():
			title += " and now: it does not exist"
		case !s.Before.Exists():
			title += ": it did not exist"
		}
		if s.Before.Exists() && len(s.Changes) == 0 && s.After.Error == s.Before.Error {
			title += " and now the same"
		}
		switch {
		case s.Before.Error != "":
			title += "; not readable since: " + s.Before.Error
		case s.After.Error != "":
			title += "; now not readable: " + s.After.Error
		}
		if err := errors.Join(out.printf(""), out.item(cell{s.After.Kind + " " + s.After.ID, bold}, title), writeStateBeforeAndNow(s, out)); err != nil {
			return err
		}
	}
	return out.printf("")
}

// writeStateBeforeAndNow writes the fields of a state, and what they are now where they have changed.
func writeStateBeforeAndNow(s replay.StateDiff, out *terminal) error {
	fields, err := replay.Fields(s.Before.Value)
	if err != nil || len(fields)+len(s.Changes) == 0 {
		return err
	}
	if len(s.Changes) == 0 {
		return writeFields(fields, out)
	}
	now := map[string]any{}
	for _, c := range s.Changes {
		now[c.Field] = c.After
		if c.Before == nil && !slices.ContainsFunc(fields, func(f replay.Field) bool { return f.Name == c.Field }) {
			fields = append(fields, replay.Field{Name: c.Field})
		}
	}
	t := newTable("FIELD", "BEFORE", "NOW, IF CHANGED")
	for _, f := range fields {
		changed := cell{}
		if value, ok := now[f.Name]; ok {
			changed = cell{valueText(value), green}
		}
		t.add(cell{f.Name, bold}, valueText(f.Value), changed)
	}
	return t.write(out)
}

// commandsFor returns the commands that help with a dead letter.
func commandsFor(d replay.DeadLetter, states []replay.StateDiff) []string {
	if d.State != replay.StateOpen {
		return []string{}
	}
	commands := []string{}
	if d.Sequence > 0 {
		commands = append(commands, fmt.Sprintf("ops deadletters redrive %d --dry-run", d.Number), fmt.Sprintf("ops deadletters redrive --fingerprint %s --reason TEXT", d.Fingerprint))
	}
	if slices.ContainsFunc(states, func(s replay.StateDiff) bool { return s.After.Error != "" }) {
		commands = append(commands, fmt.Sprintf("ops void %d --dry-run --reason TEXT", d.Sequence))
	}
	return append(commands, fmt.Sprintf("ops deadletters discard %d --reason TEXT", d.Number))
}
