package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"tillstream/cmd/internal/dryrun"
	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/proof/redelivery"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// steadyRate is the number of purchases begun per second with --redeliver, unless --rate is set. It is well below what a shop of
// several processes on one machine can do.
const steadyRate = 10

// warmUp is the number of purchases before those that are measured: the first ones open connections and fill caches.
const warmUp = 50

func (c *command) checkRedeliver() error {
	switch {
	case !c.Redeliver:
		return nil
	case c.Soak > 0 || c.CSV != "" || c.Profile || c.Faults != noFaults || c.Attack || c.playsIncident() || c.NoVerify:
		return errors.New("--redeliver: omit --soak, --faults, --csv, --attack, --profile, --no-verify and incidents")
	case c.ReplayRate < 1:
		return fmt.Errorf("--replay-rate %d: want at least 1", c.ReplayRate)
	case c.MaxSlowdown == 0:
		c.MaxSlowdown = 2
	}
	if c.Rate == 0 {
		c.Rate = steadyRate
	}
	c.Concurrency = max(c.Concurrency, int(4*c.Rate)) // enough that a slow purchase delays no other
	return nil
}

// planRedelivery plans the purchases before the replays, and those without end during them, which are alike.
func (c *command) planRedelivery(s *session, generation loadgen.Generation) (p plan, err error) {
	for _, phase := range []struct {
		baskets *loadgen.Source
		orders  int
	}{{&p.warmUp, warmUp}, {&p.before, c.Orders}, {&p.baskets, math.MaxInt}} {
		generation.RunID, generation.Orders = loadgen.NewRunID(), phase.orders
		if *phase.baskets, err = loadgen.NewGenerator(generation, s.items); err != nil {
			return plan{}, err
		}
	}
	p.demand = contend(s)
	return p, nil
}

// redelivering replays everything that is in the log while shoppers buy: once, and again until there are enough purchases to measure.
type redelivering struct {
	options invariants.Options
	before  *redelivery.Snapshot
	effects invariants.Effects
	author  events.Author
	replays *replay.Replays
	plan    replay.Plan

	ended  chan struct{} // closed when the last replay has ended
	took   time.Duration
	times  int // how often everything was replayed
	counts events.ReplayCounts
	err    error
	text   atomic.Pointer[string] // the progress
}

// buyDuringRedelivery buys before everything is redelivered, and during that. The report is that of the second time.
func (s *session) buyDuringRedelivery(ctx context.Context, c *command, progress io.Writer) (loadgen.Report, error) {
	during := s.plan.baskets
	fmt.Fprintf(s.out, "%s at %g a second, and %d to warm up\n", output.Count(c.Orders, "purchase"), c.Rate, warmUp)
	s.plan.baskets, s.plan.orders = s.plan.warmUp, warmUp
	warm, err := s.buy(ctx, c, progress)
	if err != nil || ctx.Err() != nil {
		return warm, err
	}
	s.plan.baskets, s.plan.orders = s.plan.before, c.Orders
	before, err := s.buy(ctx, c, progress)
	if err != nil || ctx.Err() != nil {
		return before, err
	}
	r, closeShop, err := s.prepareRedelivery(ctx, c)
	if err != nil {
		return before, err
	}
	defer closeShop()
	fmt.Fprintf(s.out, "purchases at the same rate while %s are handled again by %s\n", output.Count(r.plan.Events, "event"), output.Count(len(r.plan.ByLane), "lane"))
	placed := s.acknowledged.count()
	s.plan.baskets, s.plan.orders, s.redelivering = during, 0, r
	go r.run(ctx, func() bool { return s.acknowledged.count()-placed >= c.Orders })
	report, err := s.buy(ctx, c, progress)
	if err = errors.Join(err, r.err); err != nil {
		return report, err
	}
	if report.Redelivery, err = s.judge(ctx, r, s.acknowledged.count()-placed); err != nil {
		return report, err
	}
	report.Redelivery.Before = before
	report.Redelivery.Judge(report, c.MaxSlowdown)
	return report, nil
}

// prepareRedelivery records what the shop is like, and plans to replay everything. The caller calls closeShop after the last replay.
func (s *session) prepareRedelivery(ctx context.Context, c *command) (r *redelivering, closeShop func(), err error) {
	r = &redelivering{ended: make(chan struct{})}
	if r.options, closeShop, err = invariants.Attach(ctx, s.target); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			closeShop()
		}
	}()
	if r.before, err = redelivery.Take(ctx, redelivery.Shop{Log: r.options.Log, DB: r.options.DB, Books: true}); err != nil {
		return nil, nil, err
	}
	if r.effects, err = invariants.ReadEffects(ctx, r.options); err != nil {
		return nil, nil, err
	}
	lanes, err := dryrun.Dispatcher(r.options.Log.Log(), s.target.StripeSecretKey)
	if err != nil {
		return nil, nil, err
	}
	r.replays = replay.NewReplays(r.options.Log, lanes, math.MaxInt) // load asks no second person
	if r.author, err = s.target.Author(ctx, r.options.Log, api.RunReplays, "load: everything is handled again while shoppers buy"); err != nil {
		return nil, nil, err
	}
	// Forced: what was replayed three times is replayed once more.
	r.plan, err = r.replays.Plan(ctx, replay.ReplayOptions{To: r.before.Last(), Rate: c.ReplayRate, Force: true})
	return r, closeShop, err
}

// run replays everything, once more until there are enough purchases.
func (r *redelivering) run(ctx context.Context, enough func() bool) {
	defer close(r.ended)
	began := time.Now()
	for ended := false; !ended; ended = enough() {
		id, err := r.replays.Request(ctx, r.plan, r.author)
		if err != nil {
			r.err = err
			return
		}
		end, err := r.replays.Drive(ctx, id, r.author, r.show)
		if err != nil {
			r.err = err
			return
		}
		r.counts.Add(end.Counts)
		r.times++
		r.took = time.Since(began)
	}
}

// show keeps the progress of the replay.
func (r *redelivering) show(state replay.Replay) {
	text := fmt.Sprintf(", replay %d: %d/%d", r.times+1, state.Done(), state.Total())
	r.text.Store(&text)
}

// progress is appended to the progress of a run.
func (r *redelivering) progress() string {
	if r == nil || r.text.Load() == nil {
		return ""
	}
	return *r.text.Load()
}

// judge compares the shop with what it was before the replay. placed is the number of orders since.
func (s *session) judge(ctx context.Context, r *redelivering, placed int) (*loadgen.Redelivery, error) {
	result, err := r.before.Compare(ctx)
	if err != nil {
		return nil, err
	}
	effects, err := invariants.ReadEffects(ctx, r.options)
	if err != nil {
		return nil, err
	}
	counts := r.counts
	broken := slices.Concat(result.Broken(), redelivery.BrokenOutside(r.effects, effects, placed))
	if n := counts.Appended() + counts.Opened + counts.Failed; n > 0 {
		broken = append(broken, fmt.Sprintf("the lanes report %d events appended, %d acts opened, %d failures", counts.Appended(), counts.Opened, counts.Failed))
	}
	return &loadgen.Redelivery{Events: r.plan.Events, Times: r.times, Handled: counts.Handled, Done: counts.Done, ElapsedS: r.took.Seconds(), Live: result.Live,
		Requests: result.Requests, Parts: result.States.N + result.Docs.N, State: result.States.After, Broken: broken}, nil
}
