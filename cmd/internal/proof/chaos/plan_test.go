package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPlanDependsOnlyOnTheSeed(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(Plan(7, time.Minute, true), Plan(7, time.Minute, true)); diff != "" {
		t.Errorf("two plans of one seed (-first +second):\n%s", diff)
	}
	if cmp.Equal(Plan(7, time.Minute, true), Plan(8, time.Minute, true)) {
		t.Error("plans of seeds 7 and 8: got the same plan, want different ones")
	}
}

func TestPlanEndsInTimeAndHasOneFaultPerTargetAtOnce(t *testing.T) {
	t.Parallel()
	const length = 5 * time.Minute
	for seed := range uint64(50) {
		busyUntil := map[string]time.Duration{}
		plan := Plan(seed, length, true)
		if len(plan) < 100 {
			t.Errorf("seed %d: got %d faults, want at least 100", seed, len(plan))
		}
		for i, f := range plan {
			if i > 0 && f.At < plan[i-1].At {
				t.Errorf("seed %d: fault %d begins at %s, before the previous one at %s", seed, i, f.At, plan[i-1].At)
			}
			if f.At < busyUntil[f.Target] {
				t.Errorf("seed %d: got %s, want it after the previous fault of its target ends at %s", seed, f, busyUntil[f.Target])
			}
			if f.At+f.For > length || f.For < 0 {
				t.Errorf("seed %d: got %s, want it to end within %s", seed, f, length)
			}
			busyUntil[f.Target] = f.At + f.For
		}
	}
}

func TestLongPlanHasEveryKindAndTarget(t *testing.T) {
	t.Parallel()
	kinds, targets := map[Kind]bool{}, map[string]bool{}
	for _, f := range Plan(1, 2*time.Hour, true) {
		kinds[f.Kind], targets[f.Target] = true, true
		if !strings.Contains(f.String(), string(f.Kind)) || !strings.Contains(f.String(), f.Target) {
			t.Errorf("String: got %q, want it to name %s and %s", f, f.Kind, f.Target)
		}
	}
	for _, kind := range Kinds() {
		if !kinds[kind] {
			t.Errorf("plan of two hours: got no %s", kind)
		}
	}
	for _, target := range append(append(workers(), connections()...), "broker", "database", "stripe", "webhooks", "mail") {
		if !targets[target] {
			t.Errorf("plan of two hours: got no fault of %s", target)
		}
	}
}

func TestPlanWithoutDatabaseHasNoFaultOfIt(t *testing.T) {
	t.Parallel()
	for _, f := range Plan(1, time.Hour, false) {
		if strings.Contains(f.Target, "database") {
			t.Errorf("got %s, want no fault of the database", f)
		}
	}
}
