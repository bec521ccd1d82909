package main

import (
	"fmt"
	"os"

	"tillstream/cmd/internal/loadgen"
	"tillstream/events"
)

// plan is what a run is going to buy.
type plan struct {
	baskets loadgen.Source
	orders  int
	demand  map[string]int64

	file   string // of a replay
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
	invoices, err := loadgen.ReadInvoices(file)
	if err != nil {
		return plan{}, err
	}
	if err := invoices.WriteLeftOut(s.out); err != nil {
		return plan{}, fmt.Errorf("write what was left out: %w", err)
	}
	p := plan{baskets: loadgen.NewReplay(s.runID, invoices.List), orders: len(invoices.List), file: c.CSV, prices: map[string]events.Money{},
		demand: loadgen.Demand(loadgen.NewReplay(s.runID, invoices.List))}
	for _, item := range s.items {
		p.prices[item.SKU] = item.Price
	}
	return p, nil
}
