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
	"slices"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/cpu"
	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/seed"
	"tillstream/cmd/internal/target"
)

// command holds the flags of load.
type command struct {
	target.Target `embed:""`

	Orders      int             `help:"Number of generated purchases; ignored with --soak and --csv." default:"100" group:"What to buy"`
	Lines       int             `help:"Number of different items in each generated purchase." default:"2" group:"What to buy"`
	Seed        uint64          `help:"Seed of the generated purchases, and with --faults of the faults: the same seed gives the same plan." default:"1" group:"What to buy"`
	CSV         string          `name:"csv" help:"Buy the invoices of this Online Retail file instead, and compare the sums of the file, the orders, Stripe and the stock ledger." type:"existingfile" placeholder:"FILE" group:"What to buy"`
	DateFormat  seed.DateFormat `help:"Date format of that file: iso (2010-12-31), d/m/y (31/12/2010) or m/d/y (12/31/2010), each with or without the time of day (default: iso and d/m/y are both read, and a file with a month over 12 is refused)." placeholder:"FORMAT" group:"What to buy"`
	Concurrency int             `help:"Number of concurrent shoppers." default:"8" group:"How to buy"`
	Rate        float64         `help:"Maximum number of purchases begun per second (default: no limit; 5 with --attack, 10 with --redeliver and --incident, 2 with --mail-incident alone)." placeholder:"N" group:"How to buy"`
	Follow      string          `help:"How a shopper waits for the order: by server-sent events or by polling (${enum})." enum:"events,polls" default:"events" group:"How to buy"`
	Patient     bool            `help:"Repeat unanswered requests until --timeout, so that the run continues while the shop restarts (default: five attempts)." group:"How to buy"`
	Timeout     time.Duration   `help:"Maximum duration of one purchase." default:"60s" group:"How to buy"`

	Attack      bool    `help:"Buy --orders twice: first undisturbed, then while attackers order everything, try stolen cards, forge webhooks, guess tokens, and send broken, slow and oversized requests. Nearly every shopper must succeed, and almost as fast. Without --shop and addresses it starts a shop as with --processes." group:"Attack"`
	AttackRate  float64 `help:"Requests per second of all attackers together (default: 100)." default:"100" placeholder:"N" group:"Attack"`
	MaxSlowdown float64 `help:"How many times as long the slowest percent of the shoppers may wait during the attack or the redelivery (default: 3; 2 with --redeliver)." placeholder:"N" group:"Attack"`

	Redeliver  bool `help:"Buy --orders at a steady rate, then go on while every event of the log is handled again by every lane that decides or acts, Stripe's events included. Nothing may be appended, charged or mailed by that, and the slowest percent of the shoppers may wait less than twice as long. Without --shop and addresses it starts a shop as with --processes." group:"Redelivery"`
	ReplayRate int  `help:"Events per second that are handled again, as ops redeliver --rate (default: 500)." default:"500" placeholder:"N" group:"Redelivery"`

	Incident     bool          `help:"Start a shop as with --processes, deploy a release of orders with a bug in it, and do with the real ops what staff do: find the cause, deploy the fixed release, redrive. Prints what is typed and seen. Every order must be confirmed and mailed once." group:"Incident"`
	MailIncident bool          `help:"The same with a mail server that refuses the shop; with --incident too, one after the other." group:"Incident"`
	DeadLetters  int           `help:"Number of dead letters before the bug is fixed (default: 500, which takes a minute)." default:"500" placeholder:"N" group:"Incident"`
	RefuseFor    time.Duration `help:"How long the mail server refuses the shop (default: 10m)." default:"10m" placeholder:"DURATION" group:"Incident"`

	Processes bool          `help:"Start a shop for this run, as in production: two processes of each worker, a storefront, a broker and a database, all on this machine. With --mongodb it uses a new database on that server." group:"Local shop"`
	Soak      time.Duration `help:"Buy for this long, such as 10m, instead of a number of --orders. Without --shop and addresses it starts a shop as with --processes." placeholder:"DURATION" group:"Local shop"`
	Faults    faults        `help:"Inject faults. all, or no value: into that shop during a soak test; kill, suspend and disconnect its processes, and let Stripe and the mail server fail. payments: while --orders are bought, lose, repeat, delay and forge webhooks, and let requests to Stripe fail; Stripe must be a sandbox, and without --shop and addresses it starts a shop as with --processes. The shop must recover within a minute." placeholder:"all|payments" group:"Local shop"`
	Bin       string        `help:"Directory with the programs of that shop (default: they are built from this module with the go command)." type:"existingdir" placeholder:"DIR" group:"Local shop"`
	Keep      string        `help:"Directory for the data and the log of that shop (default: a temporary one, which is kept only after a failure)." placeholder:"DIR" group:"Local shop"`

	Acknowledged string `help:"Append the id of every order that was answered 201 to this file." placeholder:"FILE" group:"What to report"`
	Profile      bool   `help:"Report the processor time of an order, by part of the shop. The shop must be one process started with --pprof." group:"What to report"`
	JSON         string `name:"json" help:"Also write the report as JSON to this file." placeholder:"FILE" group:"What to report"`
	NoVerify     bool   `help:"Do not check the shop's invariants after the run." group:"What to report"`

	meanwhile func(ctx context.Context, shop *fleet.Fleet) error // for tests: called during a soak test of a local shop, instead of faults
}

// errFailed is returned when the run is complete, but purchases failed, an invariant does not hold, or sums differ.
var errFailed = errors.New("run failed")

// patience is how long projections and the stock ledger may be behind after the last purchase.
const patience = 30 * time.Second

// startsShop reports whether load starts a local shop: a shop on this machine that runs only during the run.
func (c *command) startsShop() bool {
	return (c.Processes || c.Attack || c.Redeliver || c.Soak > 0 || c.playsIncident() || c.Faults == paymentFaults) && !c.namesShop()
}

// namesShop reports whether the flags name an existing shop. The address of a database alone does not: a local shop can use the
// database.
func (c *command) namesShop() bool {
	return slices.ContainsFunc([]string{c.Shop, c.NATS, c.Storefront, c.Ops}, func(given string) bool { return given != "" })
}

func (c *command) check() error {
	switch {
	case c.Orders < 1 || c.Lines < 1:
		return fmt.Errorf("--orders %d --lines %d: want at least 1 of each", c.Orders, c.Lines)
	case c.Rate < 0 || math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0):
		return fmt.Errorf("--rate %g: want a number of purchases per second", c.Rate)
	case c.Concurrency < 1:
		return fmt.Errorf("--concurrency %d: want at least 1", c.Concurrency)
	case c.MaxSlowdown < 0 || math.IsNaN(c.MaxSlowdown):
		return fmt.Errorf("--max-slowdown %g: want more than 0", c.MaxSlowdown)
	case c.Timeout <= 0:
		return fmt.Errorf("--timeout %s: want a positive duration", c.Timeout)
	}
	return errors.Join(c.checkFiles(), c.checkLocalShop(), c.checkFaults(), c.checkAttack(), c.checkRedeliver(), c.checkIncident())
}

// checkFiles refuses an output file that is also an input or another output.
func (c *command) checkFiles() error {
	csv, ready := output.File{Name: "--csv", Path: c.CSV}, c.ReadyFile()
	acknowledged := output.File{Name: "--acknowledged", Path: c.Acknowledged}
	if c.DateFormat != seed.AnyDate && c.CSV == "" {
		return fmt.Errorf("--date-format %s: it applies only to the file of --csv", c.DateFormat)
	}
	return cmp.Or(output.CheckDistinct(output.File{Name: "--json", Path: c.JSON}, csv, ready, acknowledged), output.CheckDistinct(acknowledged, csv, ready))
}

func (c *command) checkLocalShop() error {
	switch {
	case c.Soak < 0:
		return fmt.Errorf("--soak %s: want a positive duration", c.Soak)
	case c.Soak > 0 && c.CSV != "":
		return errors.New("--soak and --csv: the file determines the number of purchases; use one of the two")
	case c.Processes && c.CSV != "":
		return errors.New("--processes and --csv: a local shop does not list the items of the file; start cmd/shop, import them and pass --shop")
	case c.Processes && c.namesShop():
		return errors.New("--processes starts a shop: omit --shop and all addresses (--nats or NATS_URL, --storefront, --ops)")
	case c.Profile && c.startsShop():
		return errors.New("--profile: a local shop is several processes; start one with cmd/shop --pprof and pass --shop")
	case (c.Bin != "" || c.Keep != "") && !c.startsShop():
		return errors.New("--bin and --keep: they apply only to the shop that --processes, or --soak, --attack, --redeliver, --incident or --faults payments without an address, starts")
	}
	return nil
}

// run executes the command.
func (c *command) run(ctx context.Context, out, progress io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.startsShop() {
		return c.runLocalShop(ctx, out, progress)
	}
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	return c.runAt(ctx, shop, nil, out, progress)
}

// runAt buys from a shop, verifies and reports. local is nil for an existing shop.
func (c *command) runAt(ctx context.Context, at target.Shop, local *localShop, out, progress io.Writer) error {
	s, err := c.open(ctx, at, out)
	if err != nil {
		return err
	}
	s.local, s.progress = local, newOperationProgress(progress)
	if s.plan, err = c.plan(s); err != nil {
		return err
	}
	if err := s.restock(ctx); err != nil {
		return err
	}
	if err := s.begin(ctx, c); err != nil {
		return err
	}
	buy := s.buy
	switch {
	case c.Attack:
		buy = s.buyUnderAttack
	case c.Redeliver:
		buy = s.buyDuringRedelivery
	case c.Faults == paymentFaults:
		buy = s.buyWithPaymentFaults
	}
	report, err := buy(ctx, c, progress)
	err = errors.Join(err, s.acknowledged.close())
	if errors.Is(err, cpu.ErrNoProfiles) {
		return err // nothing was bought
	}
	if !c.NoVerify {
		verdict, verifyErr := s.verify(context.WithoutCancel(ctx), c)
		report.Verify, err = verdict, errors.Join(err, verifyErr)
	}
	if c.Faults == paymentFaults && err == nil {
		report.Payments, err = s.comparePayments(context.WithoutCancel(ctx), report.Injected)
	}
	if err := errors.Join(c.publish(report, out), err); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil && c.Soak == 0 { // a soak test may end at any time
		return fmt.Errorf("interrupted: %w", err)
	}
	return errors.Join(failure(report), s.compareSums(ctx))
}

// publish writes the report as text and, with --json, as JSON.
func (c *command) publish(report loadgen.Report, out io.Writer) error {
	if err := report.WriteText(out); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if c.JSON == "" {
		return nil
	}
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(c.JSON, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// failure returns why the run counts as failed, or nil.
func failure(r loadgen.Report) error {
	var problems []error
	if n := r.Failures(); n > 0 && r.UnderAttack == nil {
		problems = append(problems, fmt.Errorf("%w: %s", errFailed, output.Count(n, "failed purchase")))
	}
	if u := r.UnderAttack; u != nil && len(u.Broken) > 0 {
		problems = append(problems, fmt.Errorf("%w: %s under attack", errFailed, output.Count(len(u.Broken), "broken promise")))
	}
	if d := r.Redelivery; d != nil && len(d.Broken) > 0 {
		problems = append(problems, fmt.Errorf("%w: %s during the redelivery", errFailed, output.Count(len(d.Broken), "broken promise")))
	}
	if p := r.Payments; p != nil && len(p.Differences) > 0 {
		problems = append(problems, fmt.Errorf("%w: %s between Stripe and what shoppers have paid", errFailed, output.Count(len(p.Differences), "difference")))
	}
	if r.Verify != nil && !r.Verify.OK {
		problems = append(problems, fmt.Errorf("%w: %s of the invariant checker", errFailed, output.Count(len(r.Verify.Findings), "finding")))
	}
	return errors.Join(problems...)
}
