package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/cpu"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/target"
)

// session is one run against one shop.
type session struct {
	out      io.Writer
	target   target.Shop
	shop     *loadgen.Shop
	items    []loadgen.Item
	runID    string
	plan     plan
	progress *operationProgress // nil: not displayed

	local        *localShop    // nil: an existing shop
	redelivering *redelivering // nil: no replay runs
	acknowledged *acknowledged
	books        loadgen.Books   // only with --csv
	charges      loadgen.Charges // only with --faults payments
	faultsEnded  time.Time       // zero: there were none but those of local
	logFrom      uint64          // last sequence of the log before the run
	since        time.Time
}

// open connects to the shop and reads its catalogue.
func (c *command) open(ctx context.Context, at target.Shop, out io.Writer) (*session, error) {
	if err := at.Require(at.Storefront, "storefront"); err != nil {
		return nil, err
	}
	if err := at.Require(at.Stripe, "stripe"); err != nil {
		return nil, err
	}
	if err := c.requireForChecks(at); err != nil {
		return nil, err
	}
	shop := loadgen.NewShop(loadgen.Addresses{Storefront: at.Storefront, Stripe: at.Stripe, Ops: at.Ops, OpsKey: at.OpsKey,
		PublishableKey: at.StripePublishableKey, SecretKey: at.StripeSecretKey}, c.Concurrency, c.Patient || c.Faults != noFaults)
	items, err := shop.Items(ctx)
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("%w; is the shop running?", err)
	}
	if err != nil {
		return nil, err
	}
	return &session{out: out, target: at, shop: shop, items: items, runID: loadgen.NewRunID()}, nil
}

// requireForChecks refuses a run whose result could not be checked, before anything is bought.
func (c *command) requireForChecks(at target.Shop) error {
	if c.CSV != "" { // the sums are read from log, database and Stripe
		return cmp.Or(at.Require(at.NATS, "nats"), at.Require(at.MongoDB, "mongodb"),
			at.Require(at.StripeSecretKey, "stripe-secret-key"))
	}
	if c.NoVerify {
		return nil
	}
	if c.Faults == paymentFaults {
		return cmp.Or(at.Require(at.NATS, "nats"), at.Require(at.StripeSecretKey, "stripe-secret-key"))
	}
	if c.Redeliver { // what was charged and mailed is compared
		return cmp.Or(at.Require(at.NATS, "nats"), at.Require(at.MongoDB, "mongodb"), at.Require(at.Mail, "mail"),
			at.Require(at.StripeSecretKey, "stripe-secret-key"), at.Require(at.OpsKey, "ops-key"))
	}
	if err := at.Require(at.NATS, "nats"); err != nil {
		return fmt.Errorf("%w; --no-verify runs without it", err)
	}
	return nil
}

// restock receives the stock that the plan needs and the shop lacks.
func (s *session) restock(ctx context.Context) error {
	missing := loadgen.Shortfall(s.plan.demand, s.items)
	if len(missing) == 0 {
		return nil
	}
	var units int64
	for _, line := range missing {
		units += line.Quantity
	}
	if !s.shop.CanReceive() {
		fmt.Fprintf(s.out, "stock is short by %s of %s, so orders will be rejected:\n  pass --ops and --ops-key to receive stock\n",
			output.Count(units, "unit"), output.Count(len(missing), "item"))
		return nil
	}
	for i, line := range missing {
		s.progress.report("receiving stock, items", i, len(missing))
		if err := s.shop.Receive(ctx, []loadgen.Line{line}); err != nil {
			return fmt.Errorf("restock: %w", err)
		}
	}
	s.progress.done()
	fmt.Fprintf(s.out, "received %s of %s for this run\n", output.Count(units, "unit"), output.Count(len(missing), "item"))
	return nil
}

// begin opens the output files and records the end of the log.
func (s *session) begin(ctx context.Context, c *command) error {
	var err error
	if s.acknowledged, err = openAcknowledged(c.Acknowledged); err != nil {
		return err
	}
	if s.plan.file == "" && c.Faults != paymentFaults {
		return nil
	}
	reader, closeLog, err := s.target.Log(ctx)
	if err != nil {
		return err
	}
	defer closeLog()
	s.since = time.Now()
	s.logFrom, err = reader.Last(ctx)
	return err
}

// buy makes the purchases. After the first signal, and at the end of a soak test, no purchase begins and running purchases
// finish. An error means that a soak test could not inject its faults, an incident did not end
// well, or the shop could not be profiled.
func (s *session) buy(ctx context.Context, c *command, progress io.Writer) (loadgen.Report, error) {
	var tally loadgen.Tally
	buyer := loadgen.Buyer{Shop: s.shop, Timeout: c.Timeout, Acknowledged: s.acknowledged.add, Follow: loadgen.FollowEvents}
	if c.Follow == "polls" {
		buyer.Follow = loadgen.FollowPolls
	}
	run := loadgen.Run{Baskets: s.plan.baskets, Buy: buyer.Buy, Concurrency: c.Concurrency, Rate: c.Rate, Observers: []func(loadgen.Purchase){tally.Observe}}
	if s.plan.file != "" {
		run.Observers = append(run.Observers, s.books.Observe)
	}
	if c.Faults == paymentFaults {
		buyer.Timeout, buyer.Impatience = max(c.Timeout, 3*recovery), impatience // a purchase may meet several faults
		run.Observers = append(run.Observers, s.charges.Observe)
	}
	profile, err := c.startProfile(ctx, s.target, &tally)
	if err != nil {
		return loadgen.Report{}, err
	}
	stopShowing := s.show(&run, &tally, progress)
	begun := time.Now()
	var faultErr error
	switch {
	case c.Soak > 0:
		faultErr = s.soak(ctx, c, &run, &buyer)
	case c.playsIncident():
		faultErr = s.incident(ctx, c, &run, &tally, &buyer)
	case s.redelivering != nil:
		run.Do(context.WithoutCancel(ctx), s.redelivering.ended)
	default:
		run.Do(context.WithoutCancel(ctx), ctx.Done())
	}
	elapsed := time.Since(begun)
	stopShowing()
	report := tally.Report(elapsed, s.shop.Retries())
	if s.plan.file == "" {
		report.Seed = c.Seed
	}
	s.local.addTo(&report)
	report.CPU, err = stopProfile(profile)
	return report, errors.Join(faultErr, err)
}

// startProfile begins to profile the shop with --profile.
func (c *command) startProfile(ctx context.Context, at target.Shop, tally *loadgen.Tally) (*cpu.Watch, error) {
	if !c.Profile {
		return nil, nil //nolint:nilnil // no profile is wanted
	}
	return cpu.Start(context.WithoutCancel(ctx), at.Storefront, func() int {
		_, confirmed, _ := tally.Counts()
		return confirmed
	})
}

// stopProfile returns the processor time of one order, in milliseconds by part of the shop; nil without a profile.
func stopProfile(profile *cpu.Watch) (map[string]float64, error) {
	if profile == nil {
		return nil, nil
	}
	parts, err := profile.Stop()
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	named := map[string]float64{}
	for part, milliseconds := range parts {
		named[string(part)] = milliseconds
	}
	return named, nil
}

// show displays the progress of a run until stop is called.
func (s *session) show(run *loadgen.Run, tally *loadgen.Tally, progress io.Writer) (stop func()) {
	show := loadgen.Progress{To: progress, Every: 10 * time.Second, Total: s.plan.orders, Run: run, Tally: tally,
		More: func() string { return s.local.progress() + s.redelivering.progress() }}
	if s.local != nil {
		show.Every = 5 * time.Second
	}
	if isTerminal(progress) {
		show.Terminal, show.Every = true, time.Second
	}
	if s.local != nil {
		s.local.clearProgress = func() { fmt.Fprint(progress, show.Clear()) }
	}
	showing, stopShowing := context.WithCancel(context.Background())
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		show.Show(showing)
	}()
	return func() {
		stopShowing()
		<-shown
		fmt.Fprint(progress, show.Clear())
	}
}

// acknowledged is the list of orders answered 201. With --acknowledged each id is also appended to a file, which is not
// synced: it must survive the end of this process and of the shop, but not a power failure.
type acknowledged struct {
	mu   sync.Mutex
	list []string
	file *os.File // nil: no file
}

func openAcknowledged(path string) (*acknowledged, error) {
	if path == "" {
		return &acknowledged{}, nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open list of acknowledged orders: %w", err)
	}
	return &acknowledged{file: file}, nil
}

func (a *acknowledged) add(orderID string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, orderID)
	if a.file == nil {
		return nil
	}
	if _, err := a.file.WriteString(orderID + "\n"); err != nil {
		return fmt.Errorf("record acknowledged order %s: %w", orderID, err)
	}
	return nil
}

func (a *acknowledged) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.list)
}

func (a *acknowledged) close() error {
	if a.file == nil {
		return nil
	}
	if err := a.file.Close(); err != nil {
		return fmt.Errorf("close list of acknowledged orders: %w", err)
	}
	return nil
}
