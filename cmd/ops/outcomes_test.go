package main

import (
	"strings"
	"testing"
)

// A few outcomes are listed, many are counted by lane and outcome.
func TestManyOutcomesAreCounted(t *testing.T) {
	t.Parallel()
	var outcomes []outcome
	for n := range uint64(listedOutcomes + 1) {
		o := outcome{Number: n + 1, Lane: "orders", Sequence: 100 + n, Outcome: "redriven", Attempt: 2}
		if n%7 == 6 {
			o.Outcome, o.Error = "failed", "still broken"
		}
		outcomes = append(outcomes, o)
	}
	for name, test := range map[string]struct {
		outcomes []outcome
		want     string
	}{
		"few":  {outcomes[5:7], "NUMBER LANE SEQUENCE ATTEMPT OUTCOME 6 orders 105 2 redriven 7 orders 106 2 failed: still broken"},
		"many": {outcomes, "COUNT LANE FIRST OUTCOME 18 orders 1 redriven 3 orders 7 failed: still broken"},
	} {
		var text strings.Builder
		if err := outcomeTable(test.outcomes).write(&terminal{out: &text}); err != nil {
			t.Fatal(err)
		}
		if got := words(text.String()); strings.TrimSpace(got) != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
