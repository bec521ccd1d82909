package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// selection is the flags of a command about several dead letters.
type selection struct {
	target.Target `embed:""`
	Numbers       []uint64 `arg:"" optional:"" help:"Numbers of dead letters, as ops deadletters lists them."`
	All           bool     `help:"Choose all open dead letters."`
	Fingerprint   string   `help:"Choose all open dead letters with this cause." placeholder:"CAUSE"`
	Reason        string   `help:"What was fixed or settled; it is stored with the dead letter." placeholder:"TEXT"`
	JSON          bool     `name:"json" help:"Write the result as JSON."`
}

// selected is the open dead letters that were chosen, and the shop that they are in.
type selected struct {
	shop    target.Shop
	reader  *replay.Reader
	letters []replay.DeadLetter
}

// choice is the selection as the log understands it.
func (s *selection) choice() replay.Selection {
	return replay.Selection{All: s.All, Fingerprint: s.Fingerprint, Numbers: s.Numbers}
}

// find opens the log and finds the dead letters with choose. The caller calls stop when done.
func (s *selection) find(ctx context.Context, choose func(*replay.Reader) ([]replay.DeadLetter, error)) (found selected, stop func(), err error) {
	if found.shop, err = s.Resolve(); err != nil {
		return selected{}, nil, err
	}
	if found.reader, stop, err = found.shop.Log(ctx); err != nil {
		return selected{}, nil, err
	}
	found.letters, err = choose(found.reader)
	if err != nil {
		stop()
		return selected{}, nil, err
	}
	return found, stop, nil
}

// check requires exactly one of the three ways to choose dead letters, and a reason unless it is a dry run.
func (s *selection) check(dryRun bool) error {
	ways := 0
	for _, given := range []bool{len(s.Numbers) > 0, s.All, s.Fingerprint != ""} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("choose dead letters by their numbers, by --fingerprint CAUSE or by --all; ops deadletters list shows them")
	}
	if !dryRun && strings.TrimSpace(s.Reason) == "" {
		return errors.New("pass --reason TEXT: what was fixed or settled; the next operator will read it")
	}
	return nil
}

// redriveCommand is ops deadletters redrive.
type redriveCommand struct {
	selection `embed:""`
	Force     bool          `help:"Include dead letters whose event was handled again three times already. Those named by their numbers are always included."`
	DryRun    bool          `help:"Show what each lane would do now, and change nothing. Exit code 1 means that an event would fail again."`
	Wait      time.Duration `help:"How long to wait for the outcomes." default:"30s"`
}

// Help is shown by ops deadletters redrive --help.
func (redriveCommand) Help() string {
	return `The request is an event in the log. The process that runs a lane reads it there and handles each event again, as if it had just been appended; handling an event twice is harmless. The request waits while no process runs the lane, the lane is paused, or its circuit is open.

A dead letter that failed after three requests to handle its event again is left out by --all and --fingerprint, unless --force is given: find out why it fails first.

A dry run names the events that would be appended and the acts that would be tried. An act first checks what was done before: a mail that was sent is not sent again.

Examples:
  ops deadletters redrive 7 --dry-run
  ops deadletters redrive --fingerprint 1f0e9a77c3d2 --reason "release 41"
  ops deadletters redrive --all --reason "the mail server works again"

Exit codes: 0 all are redriven, or would be in a dry run; 1 some failed again or still wait; 2 it could not be done.`
}

// Validate is called by kong when the command line is read.
func (c *redriveCommand) Validate() error {
	if c.Wait < 0 {
		return fmt.Errorf("--wait %s: want a duration such as 30s", c.Wait)
	}
	return c.check(c.DryRun)
}

// Run has lanes handle the events of dead letters again.
func (c *redriveCommand) Run(ctx context.Context, out *terminal) error {
	found, stop, err := c.find(ctx, func(reader *replay.Reader) ([]replay.DeadLetter, error) {
		letters, leftOut, err := reader.Redrivable(ctx, c.choice(), c.Force)
		if errors.Is(err, replay.ErrQuarantined) {
			err = fmt.Errorf("%w, or pass --force", err)
		}
		if n := len(leftOut); n > 0 && err == nil {
			out.note("left out: %s that failed after three redrives, such as number %d; --force includes them", output.Count(n, "dead letter"), leftOut[0].Number)
		}
		return letters, err
	})
	if err != nil {
		return err
	}
	defer stop()
	switch {
	case c.DryRun:
		return dryRun(ctx, found, c.JSON, out)
	case len(found.letters) == 0:
		return out.answer(c.JSON, map[string]any{"dead_letters": []outcome{}}, func() error { return out.printf("no open dead letters") }, false)
	}
	return c.redrive(ctx, found, out)
}

func (c *redriveCommand) redrive(ctx context.Context, found selected, out *terminal) error {
	idle, err := idleLanes(ctx, found)
	if err != nil {
		return err
	}
	author, err := found.shop.Author(ctx, found.reader, api.SettleDeadLetters, c.Reason)
	if err != nil {
		return err
	}
	redrive, err := found.reader.Redrive(ctx, found.letters, author)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	for lane, why := range idle {
		out.note("%s %s: the request waits in the log until the lane runs", lane, why)
	}
	if allIdle(found.letters, idle) {
		cancel()
	}
	total := uint64(len(found.letters))
	out.bar("redriven", 0, total)
	after, err := found.reader.Await(waiting, redrive, func(n int) { out.bar("redriven", uint64(n), total) })
	out.clear()
	if ctx.Err() != nil {
		out.note("the request %s stays in the log and is still carried out", redrive.ID)
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return writeOutcomes(redrive, after, idle, c.JSON, out)
}

// idleLanes returns, for each lane of the dead letters that does not run at the moment, the reason.
func idleLanes(ctx context.Context, found selected) (map[string]string, error) {
	lanes, err := found.reader.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	idle := map[string]string{}
	for _, d := range found.letters {
		idle[d.Worker] = "runs in no process"
	}
	for _, l := range lanes {
		if _, concerned := idle[l.Name]; !concerned {
			continue
		}
		switch {
		case l.Paused:
			idle[l.Name] = "is paused (ops resume " + l.Name + " --reason TEXT)"
		case l.Holder == "":
		case l.CircuitOpen != "":
			idle[l.Name] = "has an open circuit (ops lag gives the reason)"
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

// outcome is the result of a redrive for one dead letter.
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
		o.Outcome, o.Error = "waiting", fmt.Sprintf("not handled yet; ops deadletters show %d shows the outcome", d.Number)
	case d.State == replay.StateOpen:
		o.Outcome, o.Error = "failed", d.Error
	}
	return o
}

// text is the outcome and its reason.
func (o outcome) text() string {
	if o.Error == "" {
		return o.Outcome
	}
	return o.Outcome + ": " + o.Error
}

// writeOutcomes shows the outcomes of a redrive. It returns errProblem if a dead letter is not redriven.
func writeOutcomes(redrive replay.Redrive, letters []replay.DeadLetter, idle map[string]string, asJSON bool, out *terminal) error {
	wrong := false
	var outcomes []outcome
	for _, d := range letters {
		outcomes = append(outcomes, outcomeOf(redrive, d, idle))
		wrong = wrong || d.State != replay.StateRedriven
	}
	result := map[string]any{"redrive": redrive.ID, "dead_letters": outcomes}
	return out.answer(asJSON, result, func() error { return outcomeTable(outcomes).write(out) }, wrong)
}

// discardCommand is ops deadletters discard.
type discardCommand struct {
	selection `embed:""`
}

// Help is shown by ops deadletters discard --help.
func (discardCommand) Help() string {
	return `Discard dead letters that were settled in another way, such as by a refund in Stripe's dashboard. The log keeps who did it and why, and ops verify no longer reports them. The event itself stays in the log.

Examples:
  ops deadletters discard 7 --reason "refunded in Stripe's dashboard"
  ops deadletters discard --fingerprint 1f0e9a77c3d2 --reason "test messages"`
}

// Validate is called by kong when the command line is read.
func (c *discardCommand) Validate() error { return c.check(false) }

// Run settles dead letters.
func (c *discardCommand) Run(ctx context.Context, out *terminal) error {
	found, stop, err := c.find(ctx, func(reader *replay.Reader) ([]replay.DeadLetter, error) {
		return reader.OpenDeadLetters(ctx, c.choice())
	})
	if err != nil {
		return err
	}
	defer stop()
	author, err := found.shop.Author(ctx, found.reader, api.SettleDeadLetters, c.Reason)
	if err != nil {
		return err
	}
	n, err := found.reader.Discard(ctx, found.letters, author)
	noteUnreadable(ctx, found, out)
	text := func() error { return out.printf("%s discarded", output.Count(n, "dead letter")) }
	return errors.Join(out.answer(c.JSON, map[string]any{"discarded": n}, text, false), err)
}

// noteUnreadable names the entities that stay unavailable although the dead letters of their events are settled.
func noteUnreadable(ctx context.Context, found selected, out *terminal) {
	for _, d := range found.letters {
		m, err := found.reader.Original(ctx, d)
		if err != nil || d.Sequence == 0 || m.Voided() || m.Header.Get(events.HeaderRevision) == "" {
			continue
		}
		if _, err := m.Event(); err != nil {
			out.note("event %d still cannot be read, so %s stays unavailable: see ops void --help", m.Sequence, m.Subject)
		}
	}
}
