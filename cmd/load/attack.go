package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/attack"
	"tillstream/cmd/internal/proof/loadgen"
)

// calmRate is the number of purchases begun per second with --attack, unless --rate is set. It is well below what a shop can do:
// the question is what the attackers take away.
const calmRate = 5

// contested is how many units of each item an existing shop gets for a run with --attack or --redeliver. Attackers may hold as many as
// the shop's limits allow, and the shoppers want some too.
const contested = 200_000

// contend returns the units of each item for such a run; none for a local shop, which has enough stock.
func contend(s *session) map[string]int64 {
	demand := map[string]int64{}
	if s.local == nil {
		for _, item := range s.items {
			demand[item.SKU] = contested
		}
	}
	return demand
}

func (c *command) checkAttack() error {
	switch {
	case !c.Attack:
		return nil
	case c.Soak > 0 || c.CSV != "" || c.Profile || c.Faults != noFaults:
		return errors.New("--attack: it has a number of --orders; omit --soak, --faults, --csv and --profile")
	case c.AttackRate <= 0:
		return fmt.Errorf("--attack-rate %g: want more than 0", c.AttackRate)
	case c.Rate == 0:
		c.Rate = calmRate
	}
	if c.MaxSlowdown == 0 {
		c.MaxSlowdown = 3
	}
	return nil
}

// planAttack adds the purchases before the attack, which are as many as those during it.
func (c *command) planAttack(s *session, p plan, generation loadgen.Generation) (plan, error) {
	generation.RunID, generation.Seed = loadgen.NewRunID(), c.Seed+1
	before, err := loadgen.NewGenerator(generation, s.items)
	if err != nil {
		return plan{}, err
	}
	p.before = before
	maps.Copy(p.demand, contend(s))
	return p, nil
}

// buyUnderAttack buys twice: before attackers come, and while they attack. The report is that of the second time.
func (s *session) buyUnderAttack(ctx context.Context, c *command, progress io.Writer) (loadgen.Report, error) {
	during := s.plan.baskets
	fmt.Fprintf(s.out, "%s before the attack\n", output.Count(c.Orders, "purchase"))
	s.plan.baskets = s.plan.before
	before, err := s.buy(ctx, c, progress)
	if err != nil || ctx.Err() != nil {
		return before, err
	}
	config := attack.Config{Storefront: s.target.Storefront, Stripe: s.target.Stripe, PublishableKey: s.target.StripePublishableKey,
		Seed: c.Seed, Rate: c.AttackRate, Placed: s.acknowledged.add}
	for _, item := range s.items {
		config.SKUs = append(config.SKUs, item.SKU)
	}
	fmt.Fprintf(s.out, "%s during the attack, seed %d\n", output.Count(c.Orders, "purchase"), c.Seed)
	s.plan.baskets = during
	attacking, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan attack.Report, 1)
	go func() { ended <- attack.Run(attacking, config) }()
	report, err := s.buy(ctx, c, progress)
	stop()
	report.UnderAttack = loadgen.NewUnderAttack(before, report, <-ended, c.MaxSlowdown)
	return report, err
}
