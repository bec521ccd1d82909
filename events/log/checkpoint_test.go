package log_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// loadCheckpoint loads the checkpoint of a lane.
func loadCheckpoint(t *testing.T, l *eventlog.Log, lane string) eventlog.Checkpoint {
	t.Helper()
	c, err := l.LoadCheckpoint(t.Context(), lane)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// saveAt saves a checkpoint with a new position.
func saveAt(t *testing.T, l *eventlog.Log, c *eventlog.Checkpoint, position uint64) error {
	t.Helper()
	c.Position = position
	return l.SaveCheckpoint(t.Context(), c)
}

// A saved checkpoint is read by every process.
func TestSavedCheckpointIsLoadedByAnotherProcess(t *testing.T) {
	t.Parallel()
	broker, now := logtest.Server(t), time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	first := logtest.OpenOn(t, broker, func(c *eventlog.Config) { c.Now = func() time.Time { return now } })
	none, err := first.Checkpoints(t.Context())
	if err != nil || len(none) != 0 {
		t.Errorf("checkpoints of a new shop: got %v, %v; want none", none, err)
	}
	c := loadCheckpoint(t, first, "orders-decide")
	if c.Position != 0 || c.Lane != "orders-decide" {
		t.Fatalf("checkpoint of a new lane: got %+v, want position 0", c)
	}
	for _, position := range []uint64{0, 10, 20} {
		c.State = []byte(`{"open":[7]}`)
		if err := saveAt(t, first, &c, position); err != nil {
			t.Fatal(err)
		}
	}
	other := loadCheckpoint(t, first, "mail-act")
	if err := first.SaveCheckpoint(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	second := logtest.OpenOn(t, broker)
	want := eventlog.Checkpoint{Lane: "orders-decide", Position: 20, State: []byte(`{"open":[7]}`), Written: now}
	exported := cmpopts.IgnoreUnexported(eventlog.Checkpoint{})
	if diff := cmp.Diff(want, loadCheckpoint(t, second, "orders-decide"), exported); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
	all, err := second.Checkpoints(t.Context())
	byLane := cmpopts.SortSlices(func(a, b eventlog.Checkpoint) bool { return a.Lane > b.Lane })
	if diff := cmp.Diff([]eventlog.Checkpoint{want, {Lane: "mail-act", Written: now}}, all, byLane, exported); err != nil || diff != "" {
		t.Errorf("all checkpoints: %v (-want +got):\n%s", err, diff)
	}
}

// Of two processes that both run a lane, only the successor can write its checkpoint. A written position never goes back.
func TestSuspendedProcessCannotOverwriteCheckpoint(t *testing.T) {
	t.Parallel()
	for name, saves := range map[string]int{"NewLane": 0, "ExistingLane": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suspended, successor := twoLogs(t)
			old := loadCheckpoint(t, suspended, "lane")
			for i := range saves {
				if err := saveAt(t, suspended, &old, uint64(i)); err != nil {
					t.Fatal(err)
				}
			}
			current := loadCheckpoint(t, successor, "lane")
			if err := saveAt(t, successor, &current, 100); err != nil {
				t.Fatal(err)
			}
			if err := saveAt(t, suspended, &old, 50); !errors.Is(err, eventlog.ErrCheckpointConflict) {
				t.Errorf("save by the suspended process: got %v, want ErrCheckpointConflict", err)
			}
			if err := saveAt(t, successor, &current, 110); err != nil {
				t.Errorf("save by its successor: %v", err)
			}
			if got := loadCheckpoint(t, suspended, "lane"); got.Position != 110 {
				t.Errorf("position: got %d, want 110", got.Position)
			}
		})
	}
}

// A checkpoint that cannot be written is not a conflict: the process still runs the lane.
func TestCheckpointWithoutConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	link := newBrokenLink(t, func(c *eventlog.Config) { c.Patience = 100 * time.Millisecond })
	c := loadCheckpoint(t, link.writer, "lane")
	link.disconnect(t)
	if err := link.writer.SaveCheckpoint(t.Context(), &c); !errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrCheckpointConflict) {
		t.Errorf("save while disconnected: got %v, want ErrUnavailable", err)
	}
	if _, err := link.writer.LoadCheckpoint(t.Context(), "lane"); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("load while disconnected: got %v, want ErrUnavailable", err)
	}
	link.proxy.Release()
	until(t, "the connection is up", link.writer.JetStream().Conn().IsConnected)
	if err := link.writer.SaveCheckpoint(t.Context(), &c); err != nil {
		t.Errorf("save after the reconnect: %v", err)
	}
}

// mustAcquire acquires the lease of a free lane.
func mustAcquire(t *testing.T, l *eventlog.Log, lane, holder string) eventlog.Lease {
	t.Helper()
	lease, ok, err := l.Acquire(t.Context(), lane, holder)
	if err != nil || !ok {
		t.Fatalf("acquire %s for %s: got %t, %v; want true", lane, holder, ok, err)
	}
	return lease
}

// mustRenew renews a lease.
func mustRenew(t *testing.T, l *eventlog.Log, lease *eventlog.Lease) {
	t.Helper()
	if err := l.Renew(t.Context(), lease); err != nil {
		t.Fatalf("renew lease of %s: %v", lease.Holder, err)
	}
}

// mustRelease releases a lease.
func mustRelease(t *testing.T, l *eventlog.Log, lease eventlog.Lease) {
	t.Helper()
	if err := l.Release(t.Context(), lease); err != nil {
		t.Fatalf("release lease of %s: %v", lease.Holder, err)
	}
}

// expectLost asserts that a lease cannot be renewed because another process has taken it.
func expectLost(t *testing.T, l *eventlog.Log, lease *eventlog.Lease) {
	t.Helper()
	if err := l.Renew(t.Context(), lease); !errors.Is(err, eventlog.ErrCheckpointConflict) {
		t.Errorf("renew the lost lease of %s: got %v, want ErrCheckpointConflict", lease.Holder, err)
	}
}

// expectHeld asserts which leases are held, as "lane holder".
func expectHeld(t *testing.T, l *eventlog.Log, want ...string) {
	t.Helper()
	leases, err := l.Leases(t.Context())
	var got []string
	for _, lease := range leases {
		got = append(got, lease.Lane+" "+lease.Holder)
	}
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("held leases: got %v, %v; want %v", got, err, want)
	}
}

// Of many processes that acquire one lane at once, exactly one succeeds. Each lane has its own lease.
func TestOneOfConcurrentProcessesAcquiresLane(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	logs := []*eventlog.Log{ours, theirs}
	var group sync.WaitGroup
	winners := make(chan string, 20)
	for i := range cap(winners) {
		group.Go(func() {
			holder := fmt.Sprintf("process-%d", i)
			_, ok, err := logs[i%2].Acquire(t.Context(), "lane", holder)
			if err != nil {
				t.Error(err)
			}
			if ok {
				winners <- holder
			}
		})
	}
	group.Wait()
	if len(winners) != 1 {
		t.Fatalf("processes with the lease: got %d, want 1", len(winners))
	}
	winner := <-winners
	expectHeld(t, ours, "lane "+winner)
	lease, ok, err := ours.Acquire(t.Context(), "lane", "latecomer")
	if ok || err != nil || lease.Holder != winner {
		t.Errorf("acquire by a latecomer: got %+v, %t, %v; want a lease of %s", lease, ok, err, winner)
	}
	mustAcquire(t, theirs, "another", "latecomer")
}

// A process that stops releases its lanes, and the next process acquires them at once.
func TestReleasedLeaseIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	lease := mustAcquire(t, ours, "lane", "ours")
	mustRenew(t, ours, &lease)
	mustRelease(t, ours, lease)
	expectHeld(t, theirs)
	next := mustAcquire(t, theirs, "lane", "theirs")
	expectLost(t, ours, &lease)
	mustRelease(t, ours, lease) // of a lease that another process holds: no effect
	mustRenew(t, theirs, &next)
	expectHeld(t, ours, "lane theirs")
}

// A process that restarts under its old name takes its lease again at once. The process that it replaces has lost the lease.
func TestSameHolderTakesItsLeaseAgain(t *testing.T) {
	t.Parallel()
	before, after := twoLogs(t)
	old := mustAcquire(t, before, "lane", "worker-1")
	current := mustAcquire(t, after, "lane", "worker-1")
	expectLost(t, before, &old)
	mustRenew(t, after, &current)
}

// The lease of a process that dies expires after its TTL, not before. A watch reports each change of a lease.
func TestLeaseWithoutRenewalExpires(t *testing.T) {
	t.Parallel()
	dead, next := twoLogs(t)
	started := mustAcquire(t, next, "started", "next")
	ctx, cancel := context.WithCancel(t.Context())
	watching, changes, ended := make(chan string, 100), make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- next.WatchLeases(ctx, func(lease eventlog.Lease) {
			if lease.Lane == "started" {
				watching <- lease.Holder
				return
			}
			changes <- lease.Lane + " " + lease.Holder
		})
	}()
	expectChange := func(want string) {
		t.Helper()
		if got := <-changes; got != want {
			t.Errorf("watched change: got %q, want %q", got, want)
		}
	}
	<-watching
	mustRelease(t, next, started)
	began := time.Now()
	lease := mustAcquire(t, dead, "lane", "dead")
	expectChange("lane dead")
	expectChange("lane ") // the broker's marker of the expired lease
	ttl := next.LeaseTTL()
	if took := time.Since(began); took < ttl || took > ttl+20*time.Second {
		t.Errorf("the lease expired after %s, want about %s", took, ttl)
	}
	expectHeld(t, next)
	successor := mustAcquire(t, next, "lane", "next")
	expectChange("lane next")
	expectLost(t, dead, &lease)
	mustRelease(t, next, successor)
	expectChange("lane ")
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("watch: got %v, want no error", err)
	}
}

// A watch begins with the leases that are held already.
func TestWatchBeginsWithHeldLeases(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	mustAcquire(t, l, "a", "worker-1")
	mustAcquire(t, l, "b", "worker-2")
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	err := l.WatchLeases(ctx, func(lease eventlog.Lease) {
		if got = append(got, lease.Lane+" "+lease.Holder); len(got) == 2 {
			cancel()
		}
	})
	slices.Sort(got)
	if want := []string{"a worker-1", "b worker-2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("watch: got %v, %v; want %v", got, err, want)
	}
}

// The end of the context is no error of the watch, also when its subscription is closed before that is noticed.
func TestCancelledWatchReturnsNoError(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	mustAcquire(t, l, "lane", "a process")
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		err := l.WatchLeases(ctx, func(eventlog.Lease) {
			cancel()
			if _, err := l.End(t.Context(), 0); err != nil { // as long as a request to the broker takes
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
