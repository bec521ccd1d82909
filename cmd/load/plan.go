package main

import (
	"context"
	"fmt"
	"math"
	"os"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/seed"
	"tillstream/events"
)

// plan is what a run buys.
type plan struct {
	baskets loadgen.Source
	orders  int              // 0: until the end of a soak test
	demand  map[string]int64 // units by SKU
	before  loadgen.Source   // with --attack or --redeliver: before the attack or the replay
	warmUp  loadgen.Source   // with --redeliver: before anything is measured

	file   string // of --csv; empty: generated baskets
	dates  seed.DateFormat
	prices map[string]events.Money
}

func (c *command) plan(s *session) (plan, error) {
	if c.CSV != "" {
		return c.planInvoices(s)
	}
	generation := loadgen.Generation{RunID: s.runID, Orders: c.Orders, Lines: c.Lines, Seed: c.Seed, Habits: c.habits()}
	if c.Soak > 0 || c.playsIncident() {
		return c.planSoak(s, generation)
	}
	if c.Redeliver {
		return c.planRedelivery(s, generation)
	}
	baskets, err := loadgen.NewGenerator(generation, s.items)
	if err != nil {
		return plan{}, err
	}
	demanded, err := loadgen.NewGenerator(generation, s.items) // the same baskets, since Demand consumes its source
	if err != nil {
		return plan{}, err
	}
	p := plan{baskets: baskets, orders: c.Orders, demand: loadgen.Demand(demanded)}
	if c.Attack {
		return c.planAttack(s, p, generation)
	}
	return p, nil
}

// habits returns the habits of half of the shoppers.
func (c *command) habits() []loadgen.Habit {
	switch {
	case c.Faults == paymentFaults:
		return loadgen.PaymentHabits()
	case c.Soak > 0:
		return loadgen.OrderHabits()
	}
	return nil
}

// maxRate is more orders per second than a shop on one machine handles. A soak test of an existing shop adds enough stock for
// this rate.
const maxRate = 2000

// planSoak generates baskets without end.
func (c *command) planSoak(s *session, generation loadgen.Generation) (plan, error) {
	generation.Orders = math.MaxInt
	baskets, err := loadgen.NewGenerator(generation, s.items)
	if err != nil {
		return plan{}, err
	}
	p := plan{baskets: baskets}
	if s.local != nil {
		return p, nil // a local shop has enough stock
	}
	p.demand = map[string]int64{}
	units := int64(c.Soak.Seconds()*maxRate) * int64(2*c.Lines) / int64(len(s.items))
	for _, item := range s.items {
		p.demand[item.SKU] = max(units, 1)
	}
	return p, nil
}

// planInvoices reads the file of --csv and writes what is left out.
func (c *command) planInvoices(s *session) (plan, error) {
	file, err := os.Open(c.CSV)
	if err != nil {
		return plan{}, fmt.Errorf("open invoices: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return plan{}, fmt.Errorf("open invoices: %w", err)
	}
	prices := map[string]events.Money{}
	for _, item := range s.items {
		prices[item.SKU] = item.Price
	}
	watched := seed.Watch(file, func(bytes int64) { s.progress.report("reading invoices, bytes", int(bytes), int(info.Size())) })
	invoices, err := loadgen.ReadInvoices(watched, c.DateFormat, prices)
	s.progress.done()
	if err != nil {
		return plan{}, fmt.Errorf("%s: %w", c.CSV, err)
	}
	if err := invoices.WriteLeftOut(s.out); err != nil {
		return plan{}, fmt.Errorf("write summary of the invoices: %w", err)
	}
	if err := invoices.Check(); err != nil {
		return plan{}, fmt.Errorf("%s: %w", c.CSV, err)
	}
	return plan{baskets: loadgen.NewReplay(s.runID, invoices.List), orders: len(invoices.List), file: c.CSV, dates: c.DateFormat, prices: prices,
		demand: loadgen.Demand(loadgen.NewReplay(s.runID, invoices.List))}, nil
}

// compareSums compares the sums of file, orders, Stripe and stock ledger after the invoices of --csv were bought.
func (s *session) compareSums(ctx context.Context) error {
	if s.plan.file == "" {
		return nil
	}
	file, err := os.Open(s.plan.file)
	if err != nil {
		return fmt.Errorf("open invoices: %w", err)
	}
	defer file.Close()
	reader, closeLog, err := s.target.Log(ctx)
	if err != nil {
		return err
	}
	defer closeLog()
	db, closeDB, err := s.target.Database(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	sums, err := s.books.Sums(ctx, loadgen.Evidence{File: file, Shop: s.shop, Prices: s.plan.prices, Database: db, Log: reader,
		LogFrom: s.logFrom, Since: s.since, Patience: patience, Dates: s.plan.dates, Progress: s.progress.report})
	s.progress.done()
	if err != nil {
		return err
	}
	differences := loadgen.Compare(sums)
	if err := loadgen.WriteSums(s.out, sums, differences); err != nil {
		return fmt.Errorf("write sums: %w", err)
	}
	if loadgen.NothingSold(sums) {
		return fmt.Errorf("%w: nothing was bought", errFailed)
	}
	if len(differences) > 0 {
		return fmt.Errorf("%w: %s between the sums", errFailed, output.Count(len(differences), "difference"))
	}
	return nil
}
