package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// acts records the attempts that were made at each order.
type acts struct {
	mu       sync.Mutex
	attempts map[string][]int
}

func (a *acts) add(ctx context.Context, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.attempts == nil {
		a.attempts = map[string][]int{}
	}
	a.attempts[id] = append(a.attempts[id], worker.Attempt(ctx))
}

func (a *acts) of(id string) []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.attempts[id])
}

func (a *acts) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprint(a.attempts)
}

// Acts run concurrently, as many as the lane allows and no more.
func TestActsRunConcurrentlyUpToTheLimit(t *testing.T) {
	t.Parallel()
	const most, all = 4, 40
	l := logtest.Open(t)
	var running, peak atomic.Int64
	finish := make(chan struct{})
	p := start(t, l, configOf(acting(most, func(context.Context, string) error {
		n := running.Add(1)
		defer running.Add(-1)
		for seen := peak.Load(); n > seen && !peak.CompareAndSwap(seen, n); seen = peak.Load() {
		}
		<-finish
		return nil
	})))
	placeMany(t, l, "o", all)
	waitUntil(t, "as many acts run as the lane allows", func() bool { return running.Load() == most })
	if lane := p.lane(t, "actor"); lane.Open != most || lane.Position != most {
		t.Errorf("got %d open acts at position %d, want %d of each", lane.Open, lane.Position, most)
	}
	close(finish)
	p.caughtUp(t, "actor")
	if n := peak.Load(); n != most {
		t.Errorf("got %d acts at a time, want %d", n, most)
	}
}

// An event that arrives while all acts of the lane run waits, and is acted on once.
func TestActThatWaitsForConcurrencyRunsOnce(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var made acts
	turns := make(chan struct{})
	p := start(t, l, configOf(acting(1, func(ctx context.Context, id string) error {
		made.add(ctx, id)
		<-turns
		return nil
	})))
	p.waitLeased(t, "actor")
	place(t, l, "a", "b", "c", "d")
	for range 4 {
		turns <- struct{}{}
	}
	p.caughtUp(t, "actor")
	if got, want := made.String(), "map[a:[1] b:[1] c:[1] d:[1]]"; got != want {
		t.Errorf("attempts: got %s, want %s", got, want)
	}
}

// Row 59 of the fault matrix: a replica that stops finishes its acts and begins none. The next holder of the lease acts
// on what arrives after the stop.
func TestStoppingReplicaTakesNoMoreEvents(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	var first, second acts
	begun, finish := make(chan struct{}), make(chan struct{})
	stopping := start(t, logtest.OpenOn(t, server), configOf(acting(4, func(ctx context.Context, id string) error {
		first.add(ctx, id)
		close(begun)
		<-finish
		return ctx.Err()
	})))
	stopping.waitLeased(t, "actor")
	place(t, l, "o0")
	receive(t, patience, begun, "the first act begins")
	stopping.cancel()
	place(t, l, "o1", "o2", "o3", "o4", "o5")
	successor := start(t, l, configOf(acting(1, func(ctx context.Context, id string) error { second.add(ctx, id); return nil })))
	if lane := stopping.lane(t, "actor"); !lane.Leased || lane.Open != 1 {
		t.Errorf("the stopping lane: got %+v, want leased with 1 open act", lane)
	}
	close(finish)
	successor.caughtUp(t, "actor")
	if got, want := first.String(), "map[o0:[1]]"; got != want {
		t.Errorf("attempts of the first worker: got %s, want %s", got, want)
	}
	if got, want := second.String(), "map[o1:[2] o2:[2] o3:[2] o4:[2] o5:[2]]"; got != want { // the previous holder may have begun them
		t.Errorf("attempts of the second worker: got %s, want %s", got, want)
	}
}

// An act that does not end is cancelled after the grace period. The next holder acts on its event.
func TestActThatDoesNotEndIsCancelledAfterGrace(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	begun := make(chan struct{})
	config := configOf(acting(1, func(ctx context.Context, _ string) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}))
	config.Grace = 100 * time.Millisecond
	p := start(t, l, config)
	p.waitLeased(t, "actor")
	place(t, l, "a")
	<-begun
	p.stop()
	var made acts
	start(t, l, configOf(acting(1, func(ctx context.Context, id string) error { made.add(ctx, id); return nil }))).caughtUp(t, "actor")
	if got, want := made.String(), "map[a:[2]]"; got != want {
		t.Errorf("attempts of the next holder: got %s, want %s", got, want)
	}
}

// A lane with as many open acts as a checkpoint holds takes no event, and continues when acts have ended.
func TestLaneWithMaxOpenActsTakesNoMoreEvents(t *testing.T) {
	t.Parallel()
	const most = 1000
	now := newClock()
	l := logtest.Open(t, now.set)
	var busy atomic.Bool
	busy.Store(true)
	var done ids
	config := configOf(acting(1, func(_ context.Context, id string) error {
		if busy.Load() && strings.HasPrefix(id, "wait") {
			return worker.RetryAfter(time.Hour, errors.New("busy"))
		}
		done.add(id)
		return nil
	}))
	p := start(t, l, config)
	p.waitLeased(t, "actor")
	all := 0
	for i := range 110 { // with successes between the failures, which would open the circuit otherwise
		placeMany(t, l, fmt.Sprintf("wait%d-", i), 10)
		placeMany(t, l, fmt.Sprintf("fine%d-", i), 1)
		all += 11
	}
	waitUntil(t, "the lane is full", func() bool { return p.lane(t, "actor").Open == most })
	place(t, l, "last")
	p.stop() // its last checkpoint shows whether it has taken more
	if c, err := l.LoadCheckpoint(t.Context(), "actor"); err != nil || c.Position != most+99 || len(done.all()) != 99 {
		t.Errorf("got position %d (%v) and %d acts, want %d and 99", c.Position, err, len(done.all()), most+99)
	}
	p = start(t, l, config)
	waitUntil(t, "the next holder's lane is full", func() bool { return p.lane(t, "actor").Open == most })
	busy.Store(false)
	now.move(2 * time.Hour)
	p.caughtUp(t, "actor")
	if n := len(done.all()); n != all+1 {
		t.Errorf("got %d acts, want %d", n, all+1)
	}
}

// A paused lane begins no act. It finishes the acts that run, and retries the others after the pause.
func TestPausedActLaneBeginsNoAct(t *testing.T) {
	t.Parallel()
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.set)
	var made acts
	begun, finish := make(chan struct{}, 10), make(chan struct{})
	config := configOf(acting(2, func(ctx context.Context, id string) error {
		made.add(ctx, id)
		switch {
		case id == "slow":
			begun <- struct{}{}
			<-finish
		case worker.Attempt(ctx) == 1:
			return worker.RetryAfter(time.Minute, errors.New("busy"))
		}
		return nil
	}))
	config.Registerer = registry
	p := start(t, l, config)
	p.waitLeased(t, "actor")
	place(t, l, "slow", "again")
	<-begun
	waitFailures(t, registry, 1)
	pause(t, l, time.Time{}, "actor")
	waitUntil(t, "the lane is paused", func() bool { return p.lane(t, "actor").Paused })
	now.move(time.Hour)
	place(t, l, "new")
	close(finish)
	waitUntil(t, "the running act has ended", func() bool { return p.lane(t, "actor").Open == 1 })
	if got, want := made.String(), "map[again:[1] slow:[1]]"; got != want {
		t.Errorf("attempts: got %s, want %s", got, want)
	}
	resume(t, l, "actor")
	waitFailures(t, registry, 2) // the first attempt at the new order
	now.move(time.Hour)
	p.caughtUp(t, "actor")
	if got, want := made.String(), "map[again:[1 2] new:[1 2] slow:[1]]"; got != want {
		t.Errorf("attempts: got %s, want %s", got, want)
	}
}
