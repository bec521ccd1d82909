package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

func TestErrorOfAnActDecidesItsRetry(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var tries [3]atomic.Int64
	p := start(t, l, configOf(acting(4, func(ctx context.Context, id string) error {
		switch id {
		case "busy":
			if tries[0].Add(1); worker.Attempt(ctx) < 3 {
				return worker.RetryAfter(10*time.Millisecond, errors.New("busy"))
			}
		case "hopeless":
			tries[1].Add(1)
			return worker.DeadLetter(errors.New("hopeless"))
		case "fine":
			tries[2].Add(1)
		}
		return nil
	})))
	p.waitLeased(t, "actor")
	place(t, l, "busy", "hopeless", "fine")
	dead := deadLetters(t, l, "actor", 1)[0]
	p.caughtUp(t, "actor")
	if got := [3]int64{tries[0].Load(), tries[1].Load(), tries[2].Load()}; got != [3]int64{3, 1, 1} {
		t.Errorf("attempts: got %v, want 3, 1 and 1", got)
	}
	if dead.Subject != "orders.hopeless" || dead.Error != "hopeless" {
		t.Errorf("dead letter: got %+v, want orders.hopeless with its error", dead)
	}
}

// waitFailures waits until n attempts of the actor have failed and their retries are scheduled.
func waitFailures(t testing.TB, registry *prometheus.Registry, n int) {
	t.Helper()
	waitUntil(t, fmt.Sprintf("%d attempts have failed", n), func() bool { return int(metric(t, registry, "tillstream_lane_retries_total", "actor")) >= n })
}

// schedule is how long an act waits after each failed attempt.
var schedule = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute}

// A failed act is retried on schedule, not earlier, and its event becomes a dead letter after the last attempt. Other
// acts are not delayed.
func TestFailedActIsRetriedOnScheduleThenDeadLettered(t *testing.T) {
	t.Parallel()
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.set)
	var made acts
	config := configOf(acting(2, func(ctx context.Context, id string) error {
		made.add(ctx, id)
		if id == "bad" {
			return errors.New("odd")
		}
		return nil
	}))
	config.Registerer = registry
	p := start(t, l, config)
	p.waitLeased(t, "actor")
	place(t, l, "bad")
	for i, delay := range schedule {
		waitFailures(t, registry, i+1)
		now.move(delay - time.Millisecond)
		place(t, l, fmt.Sprintf("other%d", i)) // the lane starts due acts before it takes this order
		waitUntil(t, "another act is made", func() bool { return len(made.of(fmt.Sprintf("other%d", i))) == 1 })
		if n := len(made.of("bad")); n != i+1 {
			t.Fatalf("got %d attempts, the last one %s too early", n, time.Millisecond)
		}
		now.move(delay/4 + time.Millisecond)
	}
	dead := deadLetters(t, l, "actor", 1)[0]
	if dead.Attempt != len(schedule)+1 || dead.Error != "odd" || dead.Subject != "orders.bad" {
		t.Errorf("dead letter: got %+v, want attempt %d", dead, len(schedule)+1)
	}
	p.caughtUp(t, "actor")
}

// Acts that wait for a retry survive a restart, with the number of the attempt and its time.
func TestOpenActsSurviveARestart(t *testing.T) {
	t.Parallel()
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.set)
	var first, second acts
	wait := func(made *acts) worker.Config {
		return configOf(acting(2, func(ctx context.Context, id string) error {
			made.add(ctx, id)
			if strings.HasPrefix(id, "wait") {
				return worker.RetryAfter(time.Hour, errors.New("busy"))
			}
			return nil
		}))
	}
	config := wait(&first)
	config.Registerer = registry
	p := start(t, l, config)
	p.waitLeased(t, "actor")
	place(t, l, "wait1", "fine", "wait2")
	waitUntil(t, "two acts wait", func() bool { return len(first.of("fine")) == 1 && p.lane(t, "actor").Open == 2 })
	waitFailures(t, registry, 2)
	now.move(2 * time.Hour)
	waitFailures(t, registry, 4)
	p.stop()
	checkpoint, err := l.LoadCheckpoint(t.Context(), "actor")
	if err != nil {
		t.Fatal(err)
	}
	var open []struct {
		Sequence uint64
		Attempt  int
		Due      time.Time
	}
	if err := json.Unmarshal(checkpoint.State, &open); err != nil || len(open) != 2 || checkpoint.Position != 3 {
		t.Fatalf("checkpoint: got position %d and state %s (%v), want 3 and two open acts", checkpoint.Position, checkpoint.State, err)
	}
	for i, o := range open {
		if in := o.Due.Sub(now.Now()); o.Attempt != 2 || o.Sequence != uint64(1+2*i) || in < time.Hour || in > 75*time.Minute {
			t.Errorf("open act: got %+v, due in %s; want attempt 2, due in an hour to 75 minutes", o, in)
		}
	}
	place(t, l, "meanwhile")
	p = start(t, l, wait(&second))
	waitUntil(t, "the order placed meanwhile is acted on", func() bool { return len(second.of("meanwhile")) == 1 })
	if got, want := second.String(), "map[meanwhile:[2]]"; got != want {
		t.Errorf("attempts: got %s, want %s", got, want)
	}
	place(t, l, "afterwards")
	waitUntil(t, "the order placed afterwards is acted on", func() bool { return len(second.of("afterwards")) == 1 })
	now.move(2 * time.Hour)
	waitUntil(t, "every order is acted on", func() bool {
		return second.String() == "map[afterwards:[1] meanwhile:[2] wait1:[3] wait2:[3]]"
	})
}

// A lane that cannot restore its open acts waits and reports why. It does not overwrite its checkpoint.
func TestOpenActsThatCannotBeRestoredAreKept(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "a", "b")
	checkpoint, err := l.LoadCheckpoint(t.Context(), "actor")
	if err != nil {
		t.Fatal(err)
	}
	checkpoint.Position, checkpoint.State = 2, json.RawMessage(`[{"sequence":1,"attempt":4},{"sequence":77,"attempt":1}]`)
	if err := l.SaveCheckpoint(t.Context(), &checkpoint); err != nil {
		t.Fatal(err)
	}
	var made acts
	config := configOf(acting(1, func(ctx context.Context, id string) error { made.add(ctx, id); return nil }))
	p := start(t, l, config)
	waitUntil(t, "readiness names the missing event", func() bool { return p.Ready() != nil && strings.Contains(p.Ready().Error(), "sequence 77") })
	p.stop()
	kept, err := l.LoadCheckpoint(t.Context(), "actor")
	if err != nil || string(kept.State) != string(checkpoint.State) || kept.Position != 2 {
		t.Errorf("checkpoint: got state %s at %d (%v), want it unchanged", kept.State, kept.Position, err)
	}
	config.Missing = func(_ context.Context, from, _ uint64) ([]eventlog.Message, error) { // the archive has the event
		m, err := l.Get(t.Context(), 2)
		m.Sequence = from
		return []eventlog.Message{m}, err
	}
	start(t, l, config).caughtUp(t, "actor")
	if got, want := made.String(), "map[a:[5] b:[2]]"; got != want {
		t.Errorf("attempts: got %s, want %s", got, want)
	}
}
