package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"tillstream/cmd/internal/proof/chaos"
	"tillstream/cmd/internal/proof/loadgen"
)

// recovery is how long after the last fault every order may need to its end, projections and all (I7).
const recovery = time.Minute

// fastest is more orders a second than any shop on one machine has taken: what a soak of somebody else's shop stocks up for.
const fastest = 2000

// owns reports whether the shop is load's own.
func (c *command) owns() bool { return (c.Processes || c.Soak > 0) && !c.somebodys() }

// somebodys reports whether a shop was named. That a database is given is no such thing: load's own shop can use it.
func (c *command) somebodys() bool {
	return slices.ContainsFunc([]string{c.Shop, c.NATS, c.Storefront, c.Ops}, func(given string) bool { return given != "" })
}

func (c *command) checkOwn() error {
	switch {
	case c.Soak < 0:
		return fmt.Errorf("--soak %s: want more than nothing", c.Soak)
	case c.Soak > 0 && c.CSV != "":
		return errors.New("--soak and --csv: a file of invoices has its own length; give one of the two")
	case c.Processes && c.CSV != "":
		return errors.New("--processes and --csv: load's own shop does not sell what is in a file of invoices; start cmd/shop with its catalogue and pass --shop")
	case c.Processes && c.somebodys():
		return errors.New("--processes starts a shop: leave out --shop and all addresses (--nats or NATS_URL, --storefront, --ops)")
	case c.Profile && c.owns():
		return errors.New("--profile: the shop that load starts itself is many processes; start one with cmd/shop --pprof and pass --shop")
	case c.Faults && c.Soak == 0:
		return errors.New("--faults: say for how long, such as --soak 10m")
	case c.Faults && c.somebodys():
		return errors.New("--faults hurts only a shop that load starts itself: leave out --shop and all addresses (--nats or NATS_URL, --storefront, --ops)")
	case (c.Bin != "" || c.Keep != "") && !c.owns():
		return errors.New("--bin and --keep are about the shop that load starts for --processes, or for --soak when no other is given")
	}
	return nil
}

// planSoak makes baskets up without end.
func (c *command) planSoak(s *session, generation loadgen.Generation) (plan, error) {
	generation.Orders = math.MaxInt
	baskets, err := loadgen.NewGenerator(generation, s.items)
	if err != nil {
		return plan{}, err
	}
	p := plan{baskets: baskets}
	if s.rig != nil {
		return p, nil // its shelves are full
	}
	p.demand = map[string]int64{}
	units := int64(c.Soak.Seconds()*fastest) * int64(2*c.Lines) / int64(len(s.items))
	for _, item := range s.items {
		p.demand[item.SKU] = max(units, 1)
	}
	return p, nil
}

// soak has people shop until the time is up or ctx ends, and hurts the shop meanwhile if asked to. A purchase that was begun
// has until all should be well again. When it returns nobody is hurt any more.
func (s *session) soak(ctx context.Context, c *command, run *loadgen.Run, buyer *loadgen.Buyer) error {
	shopping, closing := context.WithTimeout(ctx, c.Soak)
	defer closing()
	patience := max(recovery, c.Timeout)
	buyer.Timeout = c.Soak + patience
	buying, giveUp := context.WithTimeout(context.WithoutCancel(ctx), c.Soak+patience)
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(patience, giveUp) })()
	hurt := make(chan error, 1)
	go func() { hurt <- s.rig.hurt(shopping, c) }()
	run.Do(buying, shopping.Done())
	return <-hurt
}

// told writes a fault as it begins, on a line of its own.
func (r *rig) told(f chaos.Fault) {
	if r.makeRoom != nil {
		r.makeRoom()
	}
	fmt.Fprintln(r.out, f)
}

// hurt goes through the faults of the seed until ctx ends, and sees to it that everything runs again.
func (r *rig) hurt(ctx context.Context, c *command) error {
	if r != nil && c.meanwhile != nil {
		return c.meanwhile(ctx, r.shop)
	}
	if r == nil || !c.Faults {
		return nil
	}
	plan := chaos.Plan(c.Seed, c.Soak, r.shop.Database != nil)
	fmt.Fprintf(r.out, "seed %d: %d faults in %s\n", c.Seed, len(plan), c.Soak)
	err := r.hand.Run(ctx, r.shop, plan, r.told)
	r.calm = time.Now()
	return err
}

// progress is what a rig adds to the line that says how far a run is.
func (r *rig) progress() string {
	total := 0
	for _, n := range r.hand.Counts() {
		total += n
	}
	text := fmt.Sprintf(", %d faults", total)
	falls := r.shop.Falls()
	for _, name := range slices.Sorted(maps.Keys(falls)) {
		text += fmt.Sprintf(", %s fell %d times", name, falls[name])
	}
	return strings.TrimSuffix(text, ", 0 faults")
}

// tell notes in a report what was done to the shop.
func (r *rig) tell(report *loadgen.Report) {
	if r == nil {
		return
	}
	report.Falls = r.shop.Falls()
	if !r.calm.IsZero() {
		report.Injected = r.hand.Counts()
	}
}
