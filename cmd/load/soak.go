package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/chaos"
	"tillstream/cmd/internal/proof/loadgen"
)

// recovery is how long after the last fault every order may take to reach its final state, projections included (I7).
const recovery = time.Minute

// soak buys until the time is up or ctx ends, and injects faults with --faults. A purchase that has begun may take as long
// as the shop may take to recover. All faults are over when soak returns.
func (s *session) soak(ctx context.Context, c *command, run *loadgen.Run, buyer *loadgen.Buyer) error {
	open, closeShop := context.WithTimeout(ctx, c.Soak)
	defer closeShop()
	patience := max(recovery, c.Timeout)
	buyer.Timeout = c.Soak + patience
	buying, giveUp := context.WithTimeout(context.WithoutCancel(ctx), c.Soak+patience)
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(patience, giveUp) })()
	faults := make(chan error, 1)
	go func() { faults <- s.local.injectFaults(open, c) }()
	run.Do(buying, open.Done())
	return <-faults
}

// injectFaults executes the faults of the seed until ctx ends. All processes run again when it returns.
func (o *localShop) injectFaults(ctx context.Context, c *command) error {
	if o != nil && c.meanwhile != nil {
		return c.meanwhile(ctx, o.shop)
	}
	if o == nil || c.Faults != allFaults {
		return nil
	}
	plan := chaos.Plan(c.Seed, c.Soak, o.shop.Database != nil)
	fmt.Fprintf(o.out, "seed %d: %s in %s\n", c.Seed, output.Count(len(plan), "fault"), c.Soak)
	err := o.injector.Run(ctx, o.shop, plan, o.writeFault)
	o.faultsEnded = time.Now()
	return err
}

// writeFault writes a fault as it begins, on a line of its own.
func (o *localShop) writeFault(f chaos.Fault) {
	if o.clearProgress != nil {
		o.clearProgress()
	}
	fmt.Fprintln(o.out, f)
}

// progress is appended to the progress of a run: faults so far, and processes that exited unexpectedly.
func (o *localShop) progress() string {
	if o == nil {
		return ""
	}
	total, text := 0, ""
	for _, n := range o.injector.Counts() {
		total += n
	}
	if total > 0 {
		text = ", " + output.Count(total, "fault")
	}
	crashes := o.shop.Crashes()
	for _, name := range slices.Sorted(maps.Keys(crashes)) {
		text += fmt.Sprintf(", %s exited %s", name, output.Count(crashes[name], "time"))
	}
	return text
}

// addTo adds faults and unexpected exits to a report.
func (o *localShop) addTo(report *loadgen.Report) {
	if o == nil {
		return
	}
	report.Crashes = o.shop.Crashes()
	if !o.faultsEnded.IsZero() {
		report.Injected = o.injector.Counts()
	}
}

// verify checks the shop's invariants, and that every acknowledged order exists. In a local shop and after faults it makes no
// exception for recent orders, and repeats the check until every invariant holds or the time to recover is over.
func (s *session) verify(ctx context.Context, c *command) (*loadgen.Verdict, error) {
	options, closeShop, err := invariants.Attach(ctx, s.target)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer closeShop()
	options.Acknowledged = s.acknowledged.list
	options.Progress = func(p invariants.Progress) { s.progress.report("verify: "+p.Stage, int(p.Done), int(p.Total)) }
	defer s.progress.done()
	if s.local == nil && s.faultsEnded.IsZero() {
		return verdict(invariants.Check(ctx, options))
	}
	ended := s.faultsEnded
	if s.local != nil && ended.IsZero() {
		ended = s.local.faultsEnded
	}
	if ended.IsZero() {
		ended = time.Now()
	}
	options.ArchivePatience = 5 * time.Second
	return verdict(invariants.CheckRecovered(ctx, options, time.Until(ended.Add(recovery))))
}

func verdict(report invariants.Report, err error) (*loadgen.Verdict, error) {
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v := &loadgen.Verdict{OK: report.OK, Findings: make([]loadgen.Finding, 0, len(report.Findings))}
	for _, f := range report.Findings {
		v.Findings = append(v.Findings, loadgen.Finding(f))
	}
	for _, c := range report.Checks {
		if c.Skipped != "" {
			v.Skipped = append(v.Skipped, fmt.Sprintf("%s (%s): %s", c.Invariant, c.Title, c.Skipped))
		}
	}
	return v, nil
}
