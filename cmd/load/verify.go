package main

import (
	"context"
	"fmt"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/proof/loadgen"
)

// verify checks the shop's invariants, and that every order it acknowledged is there. After faults nothing is excused for
// being young: it looks again and again until all is well, or should have been.
func (s *session) verify(ctx context.Context, c *command) (*loadgen.Verdict, error) {
	options, closeShop, err := invariants.Attach(ctx, s.target)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer closeShop()
	options.Acknowledged = s.acknowledged.list
	options.Progress = func(p invariants.Progress) { s.stage.told("verify: "+p.Stage, int(p.Done), int(p.Total)) }
	defer s.stage.over()
	if s.rig == nil {
		report, err := invariants.Check(ctx, options)
		return verdict(report, err)
	}
	return verdict(s.untilWell(ctx, options))
}

// untilWell checks a shop of our own until there is nothing to object to, or its time to recover is over.
func (s *session) untilWell(ctx context.Context, options invariants.Options) (invariants.Report, error) {
	options.Settle, options.Patience, options.ArchivePatience = time.Nanosecond, time.Nanosecond, 5*time.Second
	deadline := time.Now().Add(recovery)
	if !s.rig.calm.IsZero() {
		deadline = s.rig.calm.Add(recovery)
	}
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for {
		report, err := invariants.Check(ctx, options)
		if err != nil || report.OK || time.Now().After(deadline) {
			return report, err
		}
		<-again.C
	}
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
