package payments

import (
	"errors"
	"testing"
)

// Row 76 of the fault matrix: a run of the reconciler goes on after a few temporary errors, and ends when Stripe is not available.
func TestAFewFailuresDoNotEndARun(t *testing.T) {
	t.Parallel()
	first := errors.Join(ErrRetry)
	run := &failures{}
	for _, err := range []error{first, ErrRetry, nil, ErrRetry} {
		if ended := run.add(err); ended != nil {
			t.Errorf("after %v: the run ended with %v, want it to go on", err, ended)
		}
	}
	if !errors.Is(run.first, first) {
		t.Errorf("got first error %v, want %v", run.first, first)
	}
	for range maxFailures - 2 {
		if ended := run.add(ErrRetry); ended != nil {
			t.Errorf("the run ended before %d failures in a row", maxFailures)
		}
	}
	if run.add(ErrRetry) == nil {
		t.Errorf("the run goes on after %d failures in a row", maxFailures)
	}
	if (&failures{}).add(ErrCircuitOpen) == nil {
		t.Error("the run goes on while the circuit is open")
	}
}
