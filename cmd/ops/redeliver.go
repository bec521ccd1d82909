package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillstream/cmd/internal/dryrun"
	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// redeliverCommand is ops redeliver.
type redeliverCommand struct {
	target.Target     `embed:""`
	To                []string `help:"Lanes that handle the events again, as ops lag names them. Default: all that decide or act." placeholder:"LANE"`
	Order             string   `help:"Events of one order: its id or number." placeholder:"ORDER"`
	Type              []string `help:"Event types, such as payments.webhook_received." placeholder:"TYPE"`
	Since             string   `help:"Events stored since a time, such as 2026-11-30 14:05, yesterday or 2026-11-30T14:05:00Z; or within a duration, such as 2h." placeholder:"TIME"`
	Until             string   `help:"Events stored before a time, or before a duration ago." placeholder:"TIME"`
	Seq               string   `help:"Sequences of the log, such as 1200-1300, 1200- or 1200." placeholder:"A-B"`
	Max               *int     `help:"At most the first events of the selection." placeholder:"N"`
	Rate              int      `help:"Events per second." default:"500"`
	Force             bool     `help:"Include events that were replayed three times already."`
	DryRun            bool     `help:"Show for each event what handling it again would do, and change nothing. Exit code 1 means that an event would fail."`
	Resume            string   `help:"Continue a replay that was interrupted or stopped, by its id." placeholder:"ID"`
	process.Approving `embed:""`
	Reason            string `help:"Why; it is stored with the replay." placeholder:"TEXT"`
	JSON              bool   `name:"json" help:"Write the result as JSON."`

	from, to     uint64
	since, until time.Time
}

// Help is shown by ops redeliver --help.
func (redeliverCommand) Help() string {
	return `Handling an event again is safe: a decision that was made appends nothing, and a call or mail that was made is not made again. What was missed is made up for. The processes that run the lanes do the work; this command requests it in batches and shows the progress. After Ctrl-C, ops redeliver --resume ID continues.

An event that was replayed to a lane three times is left out, unless --force is given. More than 1,000 events, in one replay or in those of an hour, need ops replays approve by a second person first.

Examples:
  ops redeliver --order 4XRJK-QYW5E --dry-run
  ops redeliver --type payments.webhook_received --since 2h --reason "misread"
  ops redeliver --to notifications --seq 1200-1300 --reason "template fixed"
  ops redeliver --resume 0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10

Exit codes: 0 all are handled, or would be in a dry run; 1 some failed, or it waits for approval; 2 it could not be done; 130 interrupted.`
}

// Validate is called by kong when the command line is read.
func (c *redeliverCommand) Validate() (err error) {
	if c.from, c.to, err = parseSequences(c.Seq); err != nil {
		return err
	}
	now := time.Now()
	if c.since, err = parseWhen("--since", c.Since, now); err != nil {
		return err
	}
	if c.until, err = parseWhen("--until", c.Until, now); err != nil {
		return err
	}
	switch {
	case c.Max != nil && *c.Max < 1:
		return fmt.Errorf("--max %d: want 1 or more; without --max, all events of the selection", *c.Max)
	case c.Rate < 1, c.ApprovalOver < 0:
		return errors.New("--rate and --approval-over: want positive numbers")
	case !c.DryRun && c.Resume == "" && strings.TrimSpace(c.Reason) == "":
		return errors.New("pass --reason TEXT: why lanes are to handle these events again; or --dry-run to see what they would do")
	}
	return nil
}

// parseSequences parses A-B, A- or A.
func parseSequences(s string) (from, to uint64, err error) {
	if s == "" {
		return 0, 0, nil
	}
	first, last, ranged := strings.Cut(s, "-")
	from, err = strconv.ParseUint(strings.TrimSpace(first), 10, 64)
	switch last = strings.TrimSpace(last); {
	case !ranged:
		to = from
	case last != "" && err == nil:
		to, err = strconv.ParseUint(last, 10, 64)
	}
	if err != nil || from == 0 || last != "" && to < from {
		return 0, 0, fmt.Errorf("--seq %q: want sequences such as 1200-1300, 1200- or 1200", s)
	}
	return from, to, nil
}

// replaysOf is the replays of a shop, and what they need.
type replaysOf struct {
	*replay.Replays
	shop       target.Shop
	reader     *replay.Reader
	dispatcher *worker.Dispatcher
}

// openReplays opens the replays of the shop that the flags name. The caller calls stop when done.
func openReplays(ctx context.Context, flags target.Target, approvalOver int) (r replaysOf, stop func(), err error) {
	if r.shop, err = flags.Resolve(); err != nil {
		return r, nil, err
	}
	if r.reader, stop, err = r.shop.Log(ctx); err != nil {
		return r, nil, err
	}
	if r.dispatcher, err = dryrun.Dispatcher(r.reader.Log(), r.shop.StripeSecretKey); err != nil {
		stop()
		return r, nil, err
	}
	r.Replays = replay.NewReplays(r.reader, r.dispatcher, approvalOver)
	return r, stop, nil
}

// Run plans a replay, and requests and drives it unless it is a dry run.
func (c *redeliverCommand) Run(ctx context.Context, out *terminal) error {
	replays, stop, err := openReplays(ctx, c.Target, c.ApprovalOver)
	if err != nil {
		return err
	}
	defer stop()
	if c.Resume != "" {
		return c.resume(ctx, replays, out)
	}
	o := replay.ReplayOptions{Lanes: c.To, Types: c.Type, Since: c.since, Until: c.until, From: c.from, To: c.to, Rate: c.Rate, Force: c.Force}
	if c.Max != nil {
		o.Max = *c.Max
	}
	if c.Order != "" {
		if o.Order, err = findOrder(ctx, replays.shop, replays.reader, c.Order, out); err != nil {
			return err
		}
	}
	plan, err := replays.Plan(ctx, o)
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.dryRun(ctx, replays, plan, out)
	}
	author, err := replays.shop.Author(ctx, replays.reader, api.RunReplays, c.Reason)
	if err != nil {
		return err
	}
	notePlan(plan, out)
	id, err := replays.Request(ctx, plan, author)
	if err != nil {
		return err
	}
	return drive(ctx, replays, id, author, c.JSON, out)
}

// notePlan says what a replay handles and what it leaves out.
func notePlan(plan replay.Plan, out *terminal) {
	out.note("%s for %s", output.Count(plan.Events, "event"), strings.Join(slices.Sorted(maps.Keys(plan.ByLane)), ", "))
	for i, q := range plan.Quarantined {
		if i == 10 {
			out.note("and %d more; --json --dry-run lists them", len(plan.Quarantined)-i)
			break
		}
		out.note("left out: event %d (%s) was replayed to %s %d times; --force includes it", q.Sequence, q.Type, q.Lane, q.Replays)
	}
	if plan.OverMax > 0 {
		out.note("left out because of --max: %s of the selection, from %d on", output.Count(plan.OverMax, "event"), plan.OverMaxFrom)
	}
}

// resume continues a replay.
func (c *redeliverCommand) resume(ctx context.Context, replays replaysOf, out *terminal) error {
	state, err := replays.Get(ctx, c.Resume)
	if err != nil {
		return err
	}
	reason := c.Reason
	if reason == "" {
		reason = state.Requested.Reason
	}
	author, err := replays.shop.Author(ctx, replays.reader, api.RunReplays, reason)
	if err != nil {
		return err
	}
	if state.State == worker.ReplayStopped {
		if err := replays.Resume(ctx, c.Resume, author); err != nil {
			return err
		}
	}
	return drive(ctx, replays, c.Resume, author, c.JSON, out)
}

// drive drives a replay with a progress bar.
func drive(ctx context.Context, replays replaysOf, id string, author events.Author, asJSON bool, out *terminal) error {
	begun, before := time.Now(), -1
	state, err := replays.Drive(ctx, id, author, func(r replay.Replay) {
		if before < 0 {
			before = r.Done()
		}
		out.bar("replay "+pace(r, r.Done()-before, time.Since(begun)), uint64(r.Done()), uint64(r.Total()))
	})
	out.clear()
	switch {
	case errors.Is(err, replay.ErrNeedsApproval):
		out.note("it has %s, and more than %s in an hour need a second person. They run, and then you:",
			output.Count(state.Requested.Events, "event"), output.Number(state.Requested.ApprovalOver))
		out.note("  ops replays approve %s", id)
		out.note("  ops redeliver --resume %s", id)
	case ctx.Err() != nil:
		out.note("interrupted at %d of %d; to continue:", state.Done(), state.Total())
		out.note("  ops redeliver --resume %s", id)
		return ctx.Err()
	case err != nil:
		return err
	}
	return out.answer(asJSON, state, func() error { return writeReplay(state, out) }, state.Counts.Failed > 0 || state.State != worker.ReplayFinished)
}

// pace is the rate of a replay and the time that it still takes.
func pace(r replay.Replay, done int, since time.Duration) string {
	if done <= 0 || since <= 0 {
		return ""
	}
	perSecond := float64(done) / since.Seconds()
	left := time.Duration(float64(r.Total()-r.Done()) / perSecond * float64(time.Second))
	return fmt.Sprintf("%.0f/s, %s left", perSecond, left.Round(time.Second))
}

// dryRunPage is how many events a dry run handles at a time.
const dryRunPage = 100

// replayedEvent is what handling one event again would do.
type replayedEvent struct {
	Sequence       uint64 `json:"sequence"`
	Lane           string `json:"lane"`
	Type           string `json:"type"`
	worker.Effects `json:"effects"`
}

// dryRun shows what a replay would do.
func (c *redeliverCommand) dryRun(ctx context.Context, replays replaysOf, plan replay.Plan, out *terminal) error {
	notePlan(plan, out)
	wrong, results, nothing, dry := false, []replayedEvent{}, 0, replays.dispatcher.NewDryRun()
	err := replays.EachPlanned(ctx, plan, dryRunPage, func(deliveries []worker.Delivery) error {
		effects, err := dry.Handle(ctx, deliveries...)
		if err != nil {
			return err
		}
		for i, e := range effects {
			if e.Nothing() && len(e.Done) == 0 {
				nothing++
				continue
			}
			wrong = wrong || len(e.Failures) > 0
			item := deliveries[i].Item
			results = append(results, replayedEvent{item.Sequence, deliveries[i].Lane, item.Type(), e})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return out.answer(c.JSON, map[string]any{"plan": plan, "events": results, "nothing": nothing}, func() error {
		for _, r := range results {
			if err := writeEffects(out, fmt.Sprint(r.Sequence), fmt.Sprintf("%s would handle %s again:", r.Lane, r.Type), r.Effects); err != nil {
				return err
			}
		}
		return out.printf("%s to do nothing: they were handled before", output.Count(nothing, "handling"))
	}, wrong)
}
