package log_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

func acquire(t *testing.T, l *log.Log, lane, holder string) (log.Lease, bool) {
	t.Helper()
	lease, ok, err := l.Acquire(t.Context(), lane, holder)
	if err != nil {
		t.Fatal(err)
	}
	return lease, ok
}

// holders returns who holds which lane, as "lane holder".
func holders(t *testing.T, l *log.Log) (held []string) {
	t.Helper()
	leases, err := l.Leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, lease := range leases {
		held = append(held, lease.Lane+" "+lease.Holder)
	}
	slices.Sort(held)
	return held
}

// Of many processes that want a lane at once one gets it; each lane has its own.
func TestALaneIsRunByOneProcess(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	logs := []*log.Log{logtest.OpenOn(t, server), logtest.OpenOn(t, server)}
	var group sync.WaitGroup
	won := make(chan string, 20)
	for i := range cap(won) {
		group.Go(func() {
			holder := fmt.Sprintf("process-%d", i)
			_, ok, err := logs[i%2].Acquire(t.Context(), "lane", holder)
			if err != nil {
				t.Error(err)
			}
			if ok {
				won <- holder
			}
		})
	}
	group.Wait()
	if len(won) != 1 {
		t.Fatalf("%d processes have the lane, want one", len(won))
	}
	winner := <-won
	if held := holders(t, logs[0]); !slices.Equal(held, []string{"lane " + winner}) {
		t.Errorf("held: %v, want by %s", held, winner)
	}
	lease, ok := acquire(t, logs[0], "lane", "a latecomer")
	if ok || lease.Holder != winner {
		t.Errorf("a latecomer is told %+v, %v; want that %s has it", lease, ok, winner)
	}
	if _, ok := acquire(t, logs[1], "another", "a latecomer"); !ok {
		t.Error("another lane is not free")
	}
}

// A process that stops gives its lanes back, and the next one need not wait.
func TestALeaseThatIsReleasedIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	lease, ok := acquire(t, ours, "lane", "ours")
	if !ok {
		t.Fatal("the lane is not free")
	}
	if err := ours.Renew(t.Context(), &lease); err != nil {
		t.Fatal(err)
	}
	if err := ours.Release(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	if held := holders(t, theirs); len(held) != 0 {
		t.Errorf("held: %v, want none", held)
	}
	next, ok := acquire(t, theirs, "lane", "theirs")
	if !ok {
		t.Fatal("released, and not free")
	}
	if err := ours.Renew(t.Context(), &lease); !errors.Is(err, log.ErrCheckpointConflict) {
		t.Errorf("the old holder renews: %v, want ErrOvertaken", err)
	}
	if err := ours.Release(t.Context(), lease); err != nil {
		t.Errorf("the old holder releases once more: %v", err)
	}
	if err := theirs.Renew(t.Context(), &next); err != nil {
		t.Errorf("the new holder renews: %v", err)
	}
	if held := holders(t, ours); !slices.Equal(held, []string{"lane theirs"}) {
		t.Errorf("held: %v, want by theirs", held)
	}
}

// A process that is started again under its old name need not wait until its lease runs out. The one that it replaces, if
// it still runs, has lost it.
func TestTheSameHolderTakesItsLeaseAgain(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	before, after := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	old, ok := acquire(t, before, "lane", "worker-1")
	if !ok {
		t.Fatal("the lane is not free")
	}
	current, ok := acquire(t, after, "lane", "worker-1")
	if !ok {
		t.Fatal("its own lease is not free")
	}
	if err := before.Renew(t.Context(), &old); !errors.Is(err, log.ErrCheckpointConflict) {
		t.Errorf("the process that was replaced renews: %v, want ErrOvertaken", err)
	}
	if err := after.Renew(t.Context(), &current); err != nil {
		t.Errorf("the process that replaced it renews: %v", err)
	}
}

// A process that dies renews nothing. Its lane is free when the lease has run out, not before; who watches is told each
// time that a lease changes hands.
func TestALeaseThatIsNotRenewedRunsOut(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	dead, next := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	earlier, ok := acquire(t, next, "earlier", "next")
	if !ok {
		t.Fatal("the earlier lane is not free")
	}
	ctx, cancel := context.WithCancel(t.Context())
	watching, told, ended := make(chan string, 100), make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- next.WatchLeases(ctx, func(lease log.Lease) {
			if lease.Lane == "earlier" {
				watching <- lease.Holder
				return
			}
			told <- lease.Lane + " " + lease.Holder
		})
	}()
	<-watching
	if err := next.Release(t.Context(), earlier); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	lease, ok := acquire(t, dead, "lane", "dead")
	if !ok {
		t.Fatal("the lane is not free")
	}
	if got := <-told; got != "lane dead" {
		t.Errorf("told %q", got)
	}
	if got := <-told; got != "lane " { // the broker's marker
		t.Errorf("told %q, want that the lane is free", got)
	}
	ttl := next.LeaseTTL()
	if took := time.Since(began); took < ttl || took > ttl+20*time.Second {
		t.Errorf("it ran out after %s, want about %s", took, ttl)
	}
	if held := holders(t, next); len(held) != 0 {
		t.Errorf("held: %v, want none", held)
	}
	successor, ok := acquire(t, next, "lane", "next")
	if !ok {
		t.Error("run out, and not free")
	}
	if got := <-told; got != "lane next" {
		t.Errorf("told %q", got)
	}
	if err := dead.Renew(t.Context(), &lease); !errors.Is(err, log.ErrCheckpointConflict) {
		t.Errorf("the dead one comes back and renews: %v, want ErrOvertaken", err)
	}
	if err := next.Release(t.Context(), successor); err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != "lane " {
		t.Errorf("told %q, want that the lane is free", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the watch ended with %v", err)
	}
}

// Who begins to watch is told of the leases that are held already.
func TestAWatchBeginsWithTheLeasesAsTheyAre(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	acquire(t, l, "a", "worker-1")
	acquire(t, l, "b", "worker-2")
	ctx, cancel := context.WithCancel(t.Context())
	var told []string
	err := l.WatchLeases(ctx, func(lease log.Lease) {
		if told = append(told, lease.Lane+" "+lease.Holder); len(told) == 2 {
			cancel()
		}
	})
	slices.Sort(told)
	if err != nil || !slices.Equal(told, []string{"a worker-1", "b worker-2"}) {
		t.Errorf("told %v, %v", told, err)
	}
}

// A watch that is ended is no failure, also when its subscription is found closed first.
func TestAWatchThatIsEndedReturnsNoError(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	acquire(t, l, "lane", "a process")
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		err := l.WatchLeases(ctx, func(log.Lease) {
			cancel()
			holders(t, l) // as long as a question to the broker takes
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
