package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/cpu"
	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/seed"
	"tillstream/cmd/internal/target"
)

// command is the flags of load.
type command struct {
	target.Target `embed:""`

	Orders      int             `help:"Purchases to make up and go through; --soak goes on for a time instead." default:"100" group:"What to buy"`
	Lines       int             `help:"Different items in each of them." default:"2" group:"What to buy"`
	Seed        uint64          `help:"Same seed, same baskets, and with --faults the same faults at the same moments." default:"1" group:"What to buy"`
	CSV         string          `name:"csv" help:"Buy the invoices of this Online Retail file instead, and compare four independent sums." type:"existingfile" placeholder:"FILE" group:"What to buy"`
	DateFormat  seed.DateFormat `help:"How that file writes its dates: iso (2010-12-31), d/m/y (31/12/2010) or m/d/y (12/31/2010), each with or without the time of day (default: iso and d/m/y are both read, and a file with a month over 12 is refused)." placeholder:"FORMAT" group:"What to buy"`
	Concurrency int             `help:"Shoppers at a time." default:"8" group:"How to buy"`
	Rate        float64         `help:"Purchases begun per second at most (default: as soon as a shopper is free)." placeholder:"N" group:"How to buy"`
	Follow      string          `help:"How a shopper waits for the order: by server-sent events or by asking again (${enum})." enum:"events,polls" default:"events" group:"How to buy"`
	Patient     bool            `help:"Repeat unanswered requests until --timeout, so that the run outlives the shop being killed and started again." group:"How to buy"`
	Timeout     time.Duration   `help:"For one whole purchase." default:"60s" group:"How to buy"`

	Processes bool          `help:"Buy from a shop that is started for this run and ended after it, in the shape of production: two processes of each worker, a storefront, a broker and a database, all on this machine. It uses a fresh database on --mongodb's server, if that is given." group:"A shop of load's own"`
	Soak      time.Duration `help:"Buy for so long, such as 10m, in place of --orders; without --shop or any address from a shop as with --processes." placeholder:"DURATION" group:"A shop of load's own"`
	Faults    bool          `help:"Hurt that shop meanwhile: kill, suspend and cut off its processes, and have Stripe and mail misbehave. Then all must be well within a minute." group:"A shop of load's own"`
	Bin       string        `help:"Directory with the programs of that shop (default: they are built from this module with the go command)." type:"existingdir" placeholder:"DIR" group:"A shop of load's own"`
	Keep      string        `help:"Keep that shop's data, and what its processes said, in this directory (default: a temporary one, which stays only when something was off)." placeholder:"DIR" group:"A shop of load's own"`

	Acknowledged string `help:"Append the id of every order that was answered 201." placeholder:"FILE" group:"What to report"`
	Profile      bool   `help:"Say what an order costs in processor time, by part of the shop: one process, started with --pprof." group:"What to report"`
	JSON         string `name:"json" help:"Also write the report as JSON." placeholder:"FILE" group:"What to report"`
	NoVerify     bool   `help:"Do not check the shop's invariants afterwards." group:"What to report"`

	meanwhile func(ctx context.Context, shop *fleet.Fleet) error // for tests: what happens to load's own shop during a soak, in place of faults
}

// errFailed is returned when the run was gone through, but not everything was as it must be. The report says what.
var errFailed = errors.New("not everything went well")

// patience is how long projections and the ledger may need after the last purchase.
const patience = 30 * time.Second

func (c *command) check() error {
	switch {
	case c.Orders < 1 || c.Lines < 1:
		return fmt.Errorf("--orders %d --lines %d: want at least 1 of each", c.Orders, c.Lines)
	case c.Rate < 0 || math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0):
		return fmt.Errorf("--rate %g: want a number of purchases per second", c.Rate)
	case c.Concurrency < 1:
		return fmt.Errorf("--concurrency %d: want at least 1", c.Concurrency)
	case c.Timeout <= 0:
		return fmt.Errorf("--timeout %s: want more than nothing", c.Timeout)
	}
	return errors.Join(c.checkFiles(), c.checkOwn())
}

// checkFiles sees that nothing is written over what is read, or over something else that is written.
func (c *command) checkFiles() error {
	csv, ready := output.File{Name: "--csv", Path: c.CSV}, c.ReadyFile()
	acknowledged := output.File{Name: "--acknowledged", Path: c.Acknowledged}
	if c.DateFormat != seed.AnyDate && c.CSV == "" {
		return fmt.Errorf("--date-format %s: it is about the dates of a file, which --csv names", c.DateFormat)
	}
	return cmp.Or(output.Apart(output.File{Name: "--json", Path: c.JSON}, csv, ready, acknowledged), output.Apart(acknowledged, csv, ready))
}

// run goes through everything that the flags ask for.
func (c *command) run(ctx context.Context, out, progress io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.owns() {
		return c.visitOwn(ctx, out, progress)
	}
	target, err := c.Resolve()
	if err != nil {
		return err
	}
	return c.visit(ctx, target, nil, out, progress)
}

// visit goes shopping. The rig is nil when the shop is somebody else's.
func (c *command) visit(ctx context.Context, target target.Shop, rig *rig, out, progress io.Writer) error {
	s, err := c.open(ctx, target, out)
	if err != nil {
		return err
	}
	s.rig, s.stage = rig, newStage(progress)
	if s.plan, err = c.plan(s); err != nil {
		return err
	}
	if err := s.stockUp(ctx); err != nil {
		return err
	}
	if err := s.begin(ctx, c); err != nil {
		return err
	}
	report, problem := s.buy(ctx, c, progress)
	problem = errors.Join(problem, s.acknowledged.close())
	if errors.Is(problem, cpu.ErrNoProfiles) {
		return problem // nothing was bought
	}
	if !c.NoVerify {
		verdict, err := s.verify(context.WithoutCancel(ctx), c)
		report.Verify, problem = verdict, errors.Join(problem, err)
	}
	if err := errors.Join(c.publish(report, out), problem); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil && c.Soak == 0 { // a soak may end at any time
		return fmt.Errorf("called off: %w", err)
	}
	return errors.Join(failure(report), s.settle(ctx))
}

// publish writes the report for people and, if asked to, for programs.
func (c *command) publish(report loadgen.Report, out io.Writer) error {
	if err := report.WriteText(out); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if c.JSON == "" {
		return nil
	}
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(c.JSON, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// failure says why the run counts as failed, or nil.
func failure(r loadgen.Report) error {
	var problems []error
	if n := r.Failures(); n > 0 {
		problems = append(problems, fmt.Errorf("%w: %d purchases failed", errFailed, n))
	}
	if r.Verify != nil && !r.Verify.OK {
		problems = append(problems, fmt.Errorf("%w: invariants are broken", errFailed))
	}
	return errors.Join(problems...)
}
