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

// acts remembers which attempts at each order were made.
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

// Acts are made at the same time, as many as the lane allows and no more.
func TestActsAreMadeAtTheSameTime(t *testing.T) {
	t.Parallel()
	const most, all = 4, 40
	l := logtest.Open(t)
	var running, peak atomic.Int64
	finish := make(chan struct{})
	p := start(t, l, only(acting(most, func(context.Context, string) error {
		n := running.Add(1)
		defer running.Add(-1)
		for seen := peak.Load(); n > seen && !peak.CompareAndSwap(seen, n); seen = peak.Load() {
		}
		<-finish
		return nil
	})))
	placeMany(t, l, "o", all)
	until(t, "as many acts run as the lane allows", func() bool { return running.Load() == most })
	if lane := p.lane(t, "actor"); lane.Open != most || lane.Position != most {
		t.Errorf("%d acts are open, the lane stands at %d; want %d", lane.Open, lane.Position, most)
	}
	close(finish)
	p.caughtUp(t, "actor")
	if n := peak.Load(); n != most {
		t.Errorf("%d acts at a time, want %d", n, most)
	}
}

// An event that finds all places taken waits for one and is acted on once.
func TestWhatWaitsForAPlaceIsActedOnOnce(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var made acts
	turns := make(chan struct{})
	p := start(t, l, only(acting(1, func(ctx context.Context, id string) error {
		made.add(ctx, id)
		<-turns
		return nil
	})))
	p.holds(t, "actor")
	place(t, l, "a", "b", "c", "d")
	for range 4 {
		turns <- struct{}{}
	}
	p.caughtUp(t, "actor")
	if got, want := made.String(), "map[a:[1] b:[1] c:[1] d:[1]]"; got != want {
		t.Errorf("acted in attempts %s, want %s", got, want)
	}
}

// Row 59 of the fault matrix: a replica that finishes what it has begun begins nothing more. What came after the stop is its
// successor's.
func TestAStoppingReplicaTakesNothingMore(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	var first, second acts
	begun, finish := make(chan struct{}), make(chan struct{})
	stopping := start(t, logtest.OpenOn(t, server), only(acting(4, func(ctx context.Context, id string) error {
		first.add(ctx, id)
		close(begun)
		<-finish
		return ctx.Err()
	})))
	stopping.holds(t, "actor")
	place(t, l, "o0")
	within(t, patience, begun, "the first act")
	stopping.cancel()
	place(t, l, "o1", "o2", "o3", "o4", "o5")
	successor := start(t, l, only(acting(1, func(ctx context.Context, id string) error { second.add(ctx, id); return nil })))
	if lane := stopping.lane(t, "actor"); !lane.Leased || lane.Open != 1 {
		t.Errorf("the lane that finishes is %+v", lane)
	}
	close(finish)
	successor.caughtUp(t, "actor")
	if got, want := first.String(), "map[o0:[1]]"; got != want {
		t.Errorf("the first one acted in attempts %s, want %s", got, want)
	}
	if got, want := second.String(), "map[o1:[2] o2:[2] o3:[2] o4:[2] o5:[2]]"; got != want { // a predecessor may have begun them
		t.Errorf("the second one acted in attempts %s, want %s", got, want)
	}
}

// Work that does not end is cut short when the grace is over. What it was about is acted on by the successor.
func TestAnActThatDoesNotEndIsCutShort(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	begun := make(chan struct{})
	config := only(acting(1, func(ctx context.Context, _ string) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}))
	config.Grace = 100 * time.Millisecond
	p := start(t, l, config)
	p.holds(t, "actor")
	place(t, l, "a")
	<-begun
	p.stop()
	var made acts
	start(t, l, only(acting(1, func(ctx context.Context, id string) error { made.add(ctx, id); return nil }))).caughtUp(t, "actor")
	if got, want := made.String(), "map[a:[2]]"; got != want {
		t.Errorf("the successor acted in attempts %s, want %s", got, want)
	}
}

// A lane in which as many acts wait as a checkpoint holds takes no more, and goes on when there is room.
func TestAFullLaneTakesNoMore(t *testing.T) {
	t.Parallel()
	const most = 1000
	now := newClock()
	l := logtest.Open(t, now.by)
	var busy atomic.Bool
	busy.Store(true)
	var done ids
	config := only(acting(1, func(_ context.Context, id string) error {
		if busy.Load() && strings.HasPrefix(id, "wait") {
			return worker.RetryAfter(time.Hour, errors.New("busy"))
		}
		done.add(id)
		return nil
	}))
	p := start(t, l, config)
	p.holds(t, "actor")
	all := 0
	for i := range 110 { // one after the other, with successes between them: else the lane would be on hold
		placeMany(t, l, fmt.Sprintf("wait%d-", i), 10)
		placeMany(t, l, fmt.Sprintf("fine%d-", i), 1)
		all += 11
	}
	until(t, "the lane is full", func() bool { return p.lane(t, "actor").Open == most })
	place(t, l, "last")
	p.stop() // and look whether it has taken more
	if c, err := l.LoadCheckpoint(t.Context(), "actor"); err != nil || c.Position != most+99 || len(done.all()) != 99 {
		t.Errorf("the lane has come to %d (%v) and has made %d acts, want %d and 99", c.Position, err, len(done.all()), most+99)
	}
	p = start(t, l, config)
	until(t, "its successor is full, too", func() bool { return p.lane(t, "actor").Open == most })
	busy.Store(false)
	now.move(2 * time.Hour)
	p.caughtUp(t, "actor")
	if n := len(done.all()); n != all+1 {
		t.Errorf("%d acts were made, want %d", n, all+1)
	}
}

// A lane that operators have paused begins nothing; what had begun is finished, what waits is repeated afterwards.
func TestAPausedLaneBeginsNothing(t *testing.T) {
	t.Parallel()
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.by)
	var made acts
	begun, finish := make(chan struct{}, 10), make(chan struct{})
	config := only(acting(2, func(ctx context.Context, id string) error {
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
	p.holds(t, "actor")
	place(t, l, "slow", "again")
	<-begun
	failed(t, registry, 1)
	pause(t, l, time.Time{}, "actor")
	until(t, "the lane is paused", func() bool { return p.lane(t, "actor").Paused })
	now.move(time.Hour)
	place(t, l, "new")
	close(finish)
	until(t, "what had begun is finished", func() bool { return p.lane(t, "actor").Open == 1 })
	if got, want := made.String(), "map[again:[1] slow:[1]]"; got != want {
		t.Errorf("acted in attempts %s, want %s", got, want)
	}
	resume(t, l, "actor")
	failed(t, registry, 2) // the new one, for the first time
	now.move(time.Hour)
	p.caughtUp(t, "actor")
	if got, want := made.String(), "map[again:[1 2] new:[1 2] slow:[1]]"; got != want {
		t.Errorf("acted in attempts %s, want %s", got, want)
	}
}
