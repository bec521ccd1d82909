package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheSameSeedGivesTheSamePlan(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(Plan(7, time.Minute, true), Plan(7, time.Minute, true)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(Plan(7, time.Minute, true), Plan(8, time.Minute, true)) {
		t.Error("two seeds gave one plan")
	}
}

func TestAPlanIsOverInTimeAndHurtsNobodyTwiceAtOnce(t *testing.T) {
	t.Parallel()
	const length = 5 * time.Minute
	for seed := range uint64(50) {
		until := map[string]time.Duration{}
		plan := Plan(seed, length, true)
		if len(plan) < 100 {
			t.Errorf("seed %d: only %d faults", seed, len(plan))
		}
		for i, f := range plan {
			if i > 0 && f.At < plan[i-1].At {
				t.Errorf("seed %d: fault %d comes before the one before", seed, i)
			}
			if f.At < until[f.Victim] || f.At+f.For > length || f.For < 0 {
				t.Errorf("seed %d: %s while it was hurt until %s, in %s", seed, f, until[f.Victim], length)
			}
			until[f.Victim] = f.At + f.For
		}
	}
}

func TestALongPlanHasEverything(t *testing.T) {
	t.Parallel()
	kinds, victims := map[Kind]int{}, map[string]bool{}
	for _, f := range Plan(1, 2*time.Hour, true) {
		kinds[f.Kind]++
		victims[f.Victim] = true
		if !strings.Contains(f.String(), string(f.Kind)) || !strings.Contains(f.String(), f.Victim) {
			t.Errorf("%q does not say what is done to whom", f)
		}
	}
	for _, kind := range Kinds() {
		if kinds[kind] == 0 {
			t.Errorf("no %s in two hours", kind)
		}
	}
	for _, victim := range append(append(workers(), connections()...), "broker", "database", "stripe", "webhooks", "mail") {
		if !victims[victim] {
			t.Errorf("%s was never hurt", victim)
		}
	}
}

func TestSomebodyElsesDatabaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, f := range Plan(1, time.Hour, false) {
		if strings.Contains(f.Victim, "database") {
			t.Errorf("%s", f)
		}
	}
}
