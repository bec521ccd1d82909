package main

import (
	"fmt"
	"os"

	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/seed"
	"tillstream/events"
)

// plan is what a run is going to buy.
type plan struct {
	baskets loadgen.Source
	orders  int
	demand  map[string]int64

	file   string // of a replay
	dates  seed.DateFormat
	prices map[string]events.Money
}

func (c *command) plan(s *session) (plan, error) {
	if c.CSV != "" {
		return c.planReplay(s)
	}
	generation := loadgen.Generation{RunID: s.runID, Orders: c.Orders, Lines: c.Lines, Seed: c.Seed, Habits: c.Soak > 0}
	if c.Soak > 0 {
		return c.planSoak(s, generation)
	}
	rehearsal, err := loadgen.NewGenerator(generation, s.items)
	if err != nil {
		return plan{}, err
	}
	baskets, err := loadgen.NewGenerator(generation, s.items)
	return plan{baskets: baskets, orders: c.Orders, demand: loadgen.Demand(rehearsal)}, err
}

func (c *command) planReplay(s *session) (plan, error) {
	file, err := os.Open(c.CSV)
	if err != nil {
		return plan{}, fmt.Errorf("open the invoices: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return plan{}, fmt.Errorf("open the invoices: %w", err)
	}
	prices := map[string]events.Money{}
	for _, item := range s.items {
		prices[item.SKU] = item.Price
	}
	seen := seed.Watch(file, func(bytes int64) { s.stage.told("reading the invoices, bytes", int(bytes), int(info.Size())) })
	invoices, err := loadgen.ReadInvoices(seen, c.DateFormat, prices)
	s.stage.over()
	if err != nil {
		return plan{}, fmt.Errorf("%s: %w", c.CSV, err)
	}
	if err := invoices.WriteLeftOut(s.out); err != nil {
		return plan{}, fmt.Errorf("write what was left out: %w", err)
	}
	if err := invoices.Check(); err != nil {
		return plan{}, fmt.Errorf("%s: %w", c.CSV, err)
	}
	return plan{baskets: loadgen.NewReplay(s.runID, invoices.List), orders: len(invoices.List), file: c.CSV, dates: c.DateFormat, prices: prices,
		demand: loadgen.Demand(loadgen.NewReplay(s.runID, invoices.List))}, nil
}
