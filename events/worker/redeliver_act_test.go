package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// brokenAct has an act that returns DeadLetter until works is set, and records its attempts.
type brokenAct struct {
	acts
	works atomic.Bool
}

func (a *brokenAct) domain() worker.Domain {
	return acting(2, func(ctx context.Context, id string) error {
		a.add(ctx, id)
		if !a.works.Load() {
			return worker.DeadLetter(errors.New("no template"))
		}
		return nil
	})
}

// A redelivered act continues the attempts of its dead letter: it fails again, and then succeeds.
func TestRedeliveredActContinuesItsAttempts(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var a brokenAct
	start(t, l, configOf(a.domain())).waitLeased(t, "actor")
	place(t, l, "a", "b")
	deadLetters(t, l, "actor", 2)
	first := redeliver(t, l, "actor", 1)
	outcomes(t, l, "actor", 1, 2)
	a.works.Store(true)
	second := redeliver(t, l, "actor", 1)
	want := []string{"failed 1 for 0: no template", fmt.Sprintf("failed 2 for %d: no template", first), fmt.Sprintf("redriven 3 for %d", second)}
	if diff := cmp.Diff(want, outcomes(t, l, "actor", 1, 3)); diff != "" {
		t.Errorf("dead letter (-want +got):\n%s", diff)
	}
	if !slices.Equal(a.of("a"), []int{1, 2, 3}) || !slices.Equal(a.of("b"), []int{1}) {
		t.Errorf("attempts: got %s, want 3 of a and 1 of b", a.String())
	}
}

// A process ends during a redelivered act, and after another one whose outcome is not stored. The next holder finishes
// the open acts and skips those with an outcome.
func TestSuccessorActsOnRedeliveriesWithoutOutcome(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var a brokenAct
	first := start(t, l, configOf(a.domain()))
	place(t, l, "a", "b", "c")
	deadLetters(t, l, "actor", 3)
	first.caughtUp(t, "actor")
	a.works.Store(true)
	limitDeadLetters(t, l, 4) // there is room for one outcome
	redeliver(t, l, "actor", 1, 2, 3)
	waitUntil(t, "every act was repeated", func() bool { return len(a.of("a")) > 1 && len(a.of("b")) > 1 && len(a.of("c")) > 1 })
	first.stop()
	settled := 0
	for sequence := range uint64(3) {
		settled += len(deadLetterEvents(t, l, "actor", sequence+1)) - 1
	}
	if settled != 1 {
		t.Fatalf("got %d outcomes, want 1", settled)
	}
	limitDeadLetters(t, l, -1)
	before := a.attemptsMade()
	start(t, l, configOf(a.domain())).caughtUp(t, "actor")
	for sequence := range uint64(3) {
		if stored := outcomes(t, l, "actor", sequence+1, 2); len(stored) != 2 || !strings.HasPrefix(stored[1], "redriven") {
			t.Errorf("dead letter of %d: got %q, want redriven at the end", sequence+1, stored)
		}
	}
	if n := a.attemptsMade() - before; n != 2 {
		t.Errorf("acts of the next holder: got %d, want 2", n)
	}
}

func (a *brokenAct) attemptsMade() int { return len(a.of("a")) + len(a.of("b")) + len(a.of("c")) }
