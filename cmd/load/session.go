package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"tillstream/cmd/internal/proof/cpu"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/target"
)

// session is one run against one shop.
type session struct {
	out    io.Writer
	target target.Shop
	shop   *loadgen.Shop
	items  []loadgen.Item
	runID  string
	plan   plan
	stage  *stage // nil: nobody watches

	rig          *rig // nil: the shop is somebody else's
	acknowledged *acknowledged
	books        loadgen.Books // only a replay keeps them
	logFrom      uint64        // where the log ended before the run
	since        time.Time
}

// open finds the shop and looks through its window.
func (c *command) open(ctx context.Context, target target.Shop, out io.Writer) (*session, error) {
	if err := target.Require(target.Storefront, "storefront"); err != nil {
		return nil, err
	}
	if err := target.Require(target.Stripe, "stripe"); err != nil {
		return nil, err
	}
	if err := c.canLook(target); err != nil {
		return nil, err
	}
	shop := loadgen.NewShop(loadgen.Addresses{Storefront: target.Storefront, Stripe: target.Stripe, Ops: target.Ops, OpsToken: target.OpsToken,
		PublishableKey: target.StripePublishableKey, SecretKey: target.StripeSecretKey}, c.Concurrency, c.Patient || c.Faults)
	items, err := shop.Items(ctx)
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("%w; is the shop running?", err)
	}
	if err != nil {
		return nil, err
	}
	return &session{out: out, target: target, shop: shop, items: items, runID: loadgen.NewRunID()}, nil
}

// canLook sees before anything is bought that what was bought can be looked at afterwards.
func (c *command) canLook(target target.Shop) error {
	if c.CSV != "" { // its sums are taken from log, database and Stripe
		return cmp.Or(target.Require(target.NATS, "nats"), target.Require(target.MongoDB, "mongodb"),
			target.Require(target.StripeSecretKey, "stripe-secret-key"))
	}
	if c.NoVerify {
		return nil
	}
	if err := target.Require(target.NATS, "nats"); err != nil {
		return fmt.Errorf("%w; --no-verify goes without", err)
	}
	return nil
}

// stockUp makes sure that what is planned can be sold.
func (s *session) stockUp(ctx context.Context) error {
	missing := loadgen.Shortfall(s.plan.demand, s.items)
	if len(missing) == 0 {
		return nil
	}
	var units int64
	for _, line := range missing {
		units += line.Quantity
	}
	if !s.shop.CanReceive() {
		fmt.Fprintf(s.out, "the shop is %d units of %d items short; without --ops and --ops-token none can be received, so some orders will be sold out\n", units, len(missing))
		return nil
	}
	for i, line := range missing {
		s.stage.told("stocking up, items", i, len(missing))
		if err := s.shop.Receive(ctx, []loadgen.Line{line}); err != nil {
			return fmt.Errorf("stock up: %w", err)
		}
	}
	s.stage.over()
	fmt.Fprintf(s.out, "received %d units of %d items, so that there is enough for the run\n", units, len(missing))
	return nil
}

// begin opens what the run writes to, and notes where it begins.
func (s *session) begin(ctx context.Context, c *command) error {
	var err error
	if s.acknowledged, err = openAcknowledged(c.Acknowledged); err != nil {
		return err
	}
	if s.plan.file == "" {
		return nil
	}
	log, closeLog, err := s.target.Log(ctx)
	if err != nil {
		return err
	}
	defer closeLog()
	s.since = time.Now()
	s.logFrom, err = log.Last(ctx)
	return err
}

// buy goes through the purchases. The first signal, and the end of a soak, stop new ones from being begun; those under
// way are finished. An error says that a soak could not do what it wanted to the shop.
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
	watch, err := c.watch(ctx, s.target, &tally)
	if err != nil {
		return loadgen.Report{}, err
	}
	stopShowing := s.show(&run, &tally, progress)
	begun := time.Now()
	var problem error
	if c.Soak > 0 {
		problem = s.soak(ctx, c, &run, &buyer)
	} else {
		run.Do(context.WithoutCancel(ctx), ctx.Done())
	}
	elapsed := time.Since(begun)
	stopShowing()
	report := tally.Report(elapsed, s.shop.Retries())
	if s.plan.file == "" {
		report.Seed = c.Seed
	}
	s.rig.tell(&report)
	report.CPU, err = costs(watch)
	return report, errors.Join(problem, err)
}

// watch begins to profile the shop, if that is wanted.
func (c *command) watch(ctx context.Context, target target.Shop, tally *loadgen.Tally) (*cpu.Watch, error) {
	if !c.Profile {
		return nil, nil //nolint:nilnil // nobody wants one
	}
	return cpu.Start(context.WithoutCancel(ctx), target.Storefront, func() int {
		_, confirmed, _ := tally.Counts()
		return confirmed
	})
}

// costs says what one order cost, in milliseconds by part; nil when nobody watched.
func costs(watch *cpu.Watch) (map[string]float64, error) {
	if watch == nil {
		return nil, nil
	}
	parts, err := watch.Stop()
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	named := map[string]float64{}
	for part, milliseconds := range parts {
		named[string(part)] = milliseconds
	}
	return named, nil
}

// show tells how far a run is, until it is stopped.
func (s *session) show(run *loadgen.Run, tally *loadgen.Tally, progress io.Writer) (stop func()) {
	show := loadgen.Progress{To: progress, Every: 10 * time.Second, Total: s.plan.orders, Run: run, Tally: tally}
	if s.rig != nil {
		show.Every, show.More = 5*time.Second, s.rig.progress
	}
	if isTerminal(progress) {
		show.Terminal, show.Every = true, time.Second
	}
	if s.rig != nil {
		s.rig.makeRoom = func() { fmt.Fprint(progress, show.Clear()) }
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

// isTerminal reports whether somebody watches.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// settle compares the sums of a replay.
func (s *session) settle(ctx context.Context) error {
	if s.plan.file == "" {
		return nil
	}
	file, err := os.Open(s.plan.file)
	if err != nil {
		return fmt.Errorf("open the invoices: %w", err)
	}
	defer file.Close()
	log, closeLog, err := s.target.Log(ctx)
	if err != nil {
		return err
	}
	defer closeLog()
	db, closeDB, err := s.target.Database(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	sums, err := s.books.Sums(ctx, loadgen.Evidence{File: file, Shop: s.shop, Prices: s.plan.prices, Database: db, Log: log,
		LogFrom: s.logFrom, Since: s.since, Patience: patience, Dates: s.plan.dates, Progress: s.stage.told})
	s.stage.over()
	if err != nil {
		return err
	}
	differences := loadgen.Compare(sums)
	if err := loadgen.WriteSums(s.out, sums, differences); err != nil {
		return fmt.Errorf("write the sums: %w", err)
	}
	if loadgen.NothingSold(sums) {
		return fmt.Errorf("%w: nothing was bought", errFailed)
	}
	if len(differences) > 0 {
		return fmt.Errorf("%w: the sums differ", errFailed)
	}
	return nil
}
