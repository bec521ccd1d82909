package main

import (
	"context"
	"fmt"

	"tillstream/cmd/internal/attach"
	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/loadgen"
)

// verify checks the shop's invariants, and that every order it acknowledged is there.
func verify(ctx context.Context, target attach.Shop, acknowledged []string) (*loadgen.Verdict, error) {
	options, closeShop, err := invariants.Attach(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer closeShop()
	options.Acknowledged = acknowledged
	report, err := invariants.Check(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	verdict := &loadgen.Verdict{OK: report.OK, Findings: make([]loadgen.Finding, 0, len(report.Findings))}
	for _, f := range report.Findings {
		verdict.Findings = append(verdict.Findings, loadgen.Finding(f))
	}
	for _, c := range report.Checks {
		if c.Skipped != "" {
			verdict.Skipped = append(verdict.Skipped, fmt.Sprintf("%s (%s): %s", c.Invariant, c.Title, c.Skipped))
		}
	}
	return verdict, nil
}
