package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/replay"
)

// chosenLetters is which dead letters a command is about.
type chosenLetters struct {
	Numbers     []uint64 `arg:"" optional:"" help:"Their numbers, as ops deadletters lists them."`
	All         bool     `help:"All that are open."`
	Fingerprint string   `help:"All open ones with this cause." placeholder:"CAUSE"`
	Reason      string   `help:"What was mended or settled; it is kept with the dead letter." placeholder:"TEXT"`
	JSON        bool     `name:"json" help:"Write JSON."`
}

// selection returns what was chosen, in exactly one of the three ways.
func (c *chosenLetters) selection() (replay.Selection, error) {
	ways := 0
	for _, given := range []bool{len(c.Numbers) > 0, c.All, c.Fingerprint != ""} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return replay.Selection{}, errors.New("name dead letters by their numbers, by --fingerprint CAUSE or by --all; ops deadletters list shows them")
	}
	return replay.Selection{All: c.All, Fingerprint: c.Fingerprint, Numbers: c.Numbers}, nil
}

// find opens the log and finds the dead letters. The caller calls stop when done.
func (c *chosenLetters) find(ctx context.Context, shop target.Shop) (reader *replay.Reader, letters []replay.DeadLetter, stop func(), err error) {
	selection, err := c.selection()
	if err != nil {
		return nil, nil, nil, err
	}
	if reader, stop, err = shop.Log(ctx); err != nil {
		return nil, nil, nil, err
	}
	if letters, err = reader.OpenDeadLetters(ctx, selection); err != nil {
		stop()
		return nil, nil, nil, err
	}
	return reader, letters, stop, nil
}

func (c *chosenLetters) checkReason() error {
	if strings.TrimSpace(c.Reason) == "" {
		return errors.New("pass --reason TEXT: what was mended or settled; the next person has nothing else to go by")
	}
	return nil
}

// redriveDeadLetters is ops deadletters redrive.
type redriveDeadLetters struct {
	target.Target `embed:""`
	chosenLetters `embed:""`
	DryRun        bool          `help:"Say what each lane would do now, and ask for nothing; exit 1 when one would fail again."`
	Wait          time.Duration `help:"Wait so long for the outcomes." default:"30s"`
}

// Help is shown by ops deadletters redrive --help.
func (redriveDeadLetters) Help() string {
	return `The request is an event in the log. The process that runs a lane meets it there and handles each event again, as if it had just come; handling twice is harmless. When no process runs the lane, or the lane is paused or on hold, the request waits.

A dry run names the acts that would be made. An act looks first, and may find that nothing is left to do: a mail that was sent is not sent again.

Exit codes: 0 all are redriven, or a dry run found that all would be; 1 some failed again, or wait; 2 it could not be asked for.`
}

// Run has dead letters handled again.
func (c *redriveDeadLetters) Run(ctx context.Context, out *terminal) error {
	if c.Wait < 0 {
		return fmt.Errorf("--wait %s: want a duration such as 30s", c.Wait)
	}
	if _, err := c.selection(); err != nil {
		return err
	}
	if !c.DryRun {
		if err := c.checkReason(); err != nil {
			return err
		}
	}
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	reader, letters, stop, err := c.find(ctx, shop)
	if err != nil {
		return err
	}
	defer stop()
	switch {
	case c.DryRun:
		return dryRun(ctx, shop, reader, letters, c.JSON, out)
	case len(letters) == 0 && !c.JSON:
		return out.printf("no open dead letters")
	case len(letters) == 0:
		return out.json(map[string]any{"dead_letters": []outcome{}})
	}
	return c.redrive(ctx, reader, letters, out)
}

func (c *redriveDeadLetters) redrive(ctx context.Context, reader *replay.Reader, letters []replay.DeadLetter, out *terminal) error {
	idle, err := idleLanes(ctx, reader, letters)
	if err != nil {
		return err
	}
	redrive, err := reader.Redrive(ctx, letters, c.Reason)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	for lane, why := range idle {
		out.note("%s %s: the request waits in the log until it is at work", lane, why)
	}
	if allIdle(letters, idle) {
		cancel()
	}
	total := uint64(len(letters))
	out.bar("redriven", 0, total)
	after, err := reader.Await(waiting, redrive, func(n int) { out.bar("redriven", uint64(n), total) })
	out.clear()
	if ctx.Err() != nil {
		out.note("the request %s stays in the log", redrive.ID)
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return writeOutcomes(redrive, after, idle, c.JSON, out)
}

// idleLanes says of the lanes of dead letters that do not work at the moment why.
func idleLanes(ctx context.Context, reader *replay.Reader, letters []replay.DeadLetter) (map[string]string, error) {
	lanes, err := reader.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	idle := map[string]string{}
	for _, d := range letters {
		idle[d.Worker] = "is run by no process"
	}
	for _, l := range lanes {
		if _, concerned := idle[l.Name]; !concerned {
			continue
		}
		switch {
		case l.Paused:
			idle[l.Name] = "is paused (ops resume " + l.Name + ")"
		case l.Holder == "":
		case l.Hold != "":
			idle[l.Name] = "is on hold (ops lag says why)"
		default:
			delete(idle, l.Name)
		}
	}
	return idle, nil
}

func allIdle(letters []replay.DeadLetter, idle map[string]string) bool {
	for _, d := range letters {
		if idle[d.Worker] == "" {
			return false
		}
	}
	return true
}

// outcome is what became of one dead letter of a redrive.
type outcome struct {
	Number   uint64 `json:"number"`
	Lane     string `json:"lane"`
	Sequence uint64 `json:"sequence"`
	Outcome  string `json:"outcome"` // redriven, discarded, failed or waiting
	Attempt  int    `json:"attempt"`
	Error    string `json:"error,omitempty"` // why it failed again, or why it waits
}

func outcomeOf(redrive replay.Redrive, d replay.DeadLetter, idle map[string]string) outcome {
	o := outcome{Number: d.Number, Lane: d.Worker, Sequence: d.Sequence, Outcome: string(d.State), Attempt: d.Attempt}
	switch {
	case redrive.Waits(d) && idle[d.Worker] != "":
		o.Outcome, o.Error = "waiting", d.Worker+" "+idle[d.Worker]
	case redrive.Waits(d):
		o.Outcome, o.Error = "waiting", "not handled yet; ops deadletters show says when it is"
	case d.State == replay.StateOpen:
		o.Outcome, o.Error = "failed", d.Error
	}
	return o
}

// says is the outcome in words.
func (o outcome) says() string {
	if o.Error == "" {
		return o.Outcome
	}
	return o.Outcome + ": " + o.Error
}

// writeOutcomes shows what became of the dead letters of a redrive. It returns errOff when one is not redriven.
func writeOutcomes(redrive replay.Redrive, letters []replay.DeadLetter, idle map[string]string, asJSON bool, out *terminal) error {
	var result error
	var outcomes []outcome
	rows := newTable("NUMBER>", "LANE", "EVENT>", "ATTEMPT>", "OUTCOME")
	rows.lead = true
	for _, d := range letters {
		o := outcomeOf(redrive, d, idle)
		style := green
		if d.State != replay.StateRedriven {
			result, style = errOff, red
		}
		outcomes = append(outcomes, o)
		rows.add(fmt.Sprint(o.Number), cell{o.Lane, bold}, fmt.Sprint(o.Sequence), fmt.Sprint(o.Attempt), cell{o.says(), style})
	}
	if asJSON {
		return errors.Join(out.json(map[string]any{"redrive": redrive.ID, "dead_letters": outcomes}), result)
	}
	return errors.Join(rows.write(out), result)
}

// discardDeadLetters is ops deadletters discard.
type discardDeadLetters struct {
	target.Target `embed:""`
	chosenLetters `embed:""`
}

// Help is shown by ops deadletters discard --help.
func (discardDeadLetters) Help() string {
	return `For events that are settled in another way, such as by a refund in Stripe's dashboard. Who did it and why is kept with the dead letter, and ops verify no longer reports it. The event itself stays in the log.`
}

// Run settles dead letters.
func (c *discardDeadLetters) Run(ctx context.Context, out *terminal) error {
	if _, err := c.selection(); err != nil {
		return err
	}
	if err := c.checkReason(); err != nil {
		return err
	}
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	reader, letters, stop, err := c.find(ctx, shop)
	if err != nil {
		return err
	}
	defer stop()
	n, err := reader.Discard(ctx, letters, c.Reason)
	warnUnreadable(ctx, reader, letters, out)
	if c.JSON {
		return errors.Join(out.json(map[string]any{"discarded": n}), err)
	}
	if n == 1 {
		return errors.Join(out.printf("1 dead letter discarded"), err)
	}
	return errors.Join(out.printf("%d dead letters discarded", n), err)
}

// warnUnreadable says which entities stay unavailable although the dead letters of their events are settled.
func warnUnreadable(ctx context.Context, reader *replay.Reader, letters []replay.DeadLetter, out *terminal) {
	for _, d := range letters {
		m, err := reader.Original(ctx, d)
		if err != nil || d.Sequence == 0 || m.Voided() || m.Header.Get(events.HeaderRevision) == "" {
			continue
		}
		if _, err := m.Event(); err != nil {
			out.note("event %d still cannot be read, so nothing is decided about %s: see ops void --help", m.Sequence, m.Subject)
		}
	}
}
