package log_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Row 9 of the fault matrix: 50 goroutines in two processes append to one entity, and no update is lost.
func TestConcurrentWritersOfOneEntityLoseNoUpdate(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	logs := []*eventlog.Log{ours, theirs}
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			for range 4 {
				if err := logs[i%2].Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, "hot", 1) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for _, l := range logs {
		expectTally(t, l, "hot", tally{Events: 200, Sum: 200})
	}
}

// Row 8 of the fault matrix: one of 300 requests in a group commit conflicts, and only that one is decided again.
func TestOnlyConflictingRequestOfBatchIsDecidedAgain(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	mustAdd(t, ours, "id-7") // cached with one event
	mustAdd(t, theirs, "id-7")
	var decisions atomic.Int64
	var group sync.WaitGroup
	for i := range 300 {
		group.Go(func() {
			id := fmt.Sprintf("id-%d", i)
			if err := ours.Do(t.Context(), func(tx *eventlog.Tx) error { decisions.Add(1); return add(tx, id, 1) }); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := decisions.Load(); got != 301 {
		t.Errorf("decisions: got %d, want 301: 300 requests and one conflict", got)
	}
	expectTally(t, ours, "id-7", tally{3, 3})
}

func TestTransactionIsStoredWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	tx := ours.Begin(t.Context())
	for _, id := range []string{"a", "b", "c"} {
		if err := add(tx, id, 1); err != nil {
			t.Fatal(err)
		}
	}
	mustAdd(t, theirs, "c")
	if err := tx.Commit(); !eventlog.IsConflict(err) {
		t.Fatalf("commit after another append to c: got %v, want a conflict", err)
	}
	for _, id := range []string{"a", "b"} {
		if _, _, err := tallies.Read(t.Context(), ours, id); !errors.Is(err, eventlog.ErrNotFound) {
			t.Errorf("read %s: got %v, want ErrNotFound", id, err)
		}
	}
}

func TestTransactionLargerThanMaxBatchIsRefused(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	fill := func(n int) error {
		return l.Do(t.Context(), func(tx *eventlog.Tx) error {
			for i := range n {
				if err := add(tx, fmt.Sprintf("sku-%d", i), 1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := fill(eventlog.MaxBatch + 1); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("%d events: got %v, want ErrTooLarge", eventlog.MaxBatch+1, err)
	}
	if err := fill(eventlog.MaxBatch); err != nil {
		t.Errorf("%d events: %v", eventlog.MaxBatch, err)
	}
}

func TestCommitEachStoresUnitsSeparatelyAndJoinsThoseOfOneEntity(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	tx := ours.Begin(t.Context())
	decide := func(ids ...string) int {
		unit := tx.Unit()
		for _, id := range ids {
			if err := add(tx, id, 1); err != nil {
				t.Fatal(err)
			}
		}
		return unit
	}
	alone, conflicting, joined, last := decide("a"), decide("b", "c"), decide("c", "d"), decide("e")
	mustAdd(t, theirs, "b")
	outcome := tx.CommitEach()
	if outcome(alone) != nil || outcome(last) != nil {
		t.Errorf("units without a conflict: got %v and %v, want no errors", outcome(alone), outcome(last))
	}
	if !eventlog.IsConflict(outcome(conflicting)) || !eventlog.IsConflict(outcome(joined)) {
		t.Errorf("joined units: got %v and %v, want conflicts", outcome(conflicting), outcome(joined))
	}
	for id, want := range map[string]int{"a": 1, "b": 1, "c": 0, "d": 0, "e": 1} {
		if got, _, err := tallies.Read(t.Context(), ours, id); got.Events != want {
			t.Errorf("events of %s: got %d (%v), want %d", id, got.Events, err, want)
		}
	}
}

// A decision that only reads is repeated when the cached state was old.
func TestReadOnlyDecisionIsRepeatedOnNewState(t *testing.T) {
	t.Parallel()
	ours, _ := staleCache(t)
	var seen []int
	err := ours.Do(t.Context(), func(tx *eventlog.Tx) error {
		state, err := tallies.Load(tx, "a")
		seen = append(seen, state.Events)
		return err
	})
	if want := []int{1, 2}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("loaded states: got %v, %v; want %v", seen, err, want)
	}
}

// A decision that refuses is repeated when the cached state was old.
func TestRefusalIsRepeatedOnNewState(t *testing.T) {
	t.Parallel()
	ours, _ := staleCache(t)
	errTooFew := errors.New("too few")
	err := ours.Do(t.Context(), func(tx *eventlog.Tx) error {
		state, err := tallies.Load(tx, "a")
		if err == nil && state.Sum < 2 {
			err = errTooFew
		}
		return err
	})
	if err != nil {
		t.Errorf("decision on the old state: got %v, want no error", err)
	}
}

// Two entities that always change together are read one after the other and change in between. A refusal because they differ
// is repeated.
func TestRefusalOnStatesOfDifferentMomentsIsRepeated(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	both := func(tx *eventlog.Tx) error { return errors.Join(add(tx, "a", 1), add(tx, "b", 1)) }
	if err := theirs.Do(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	errDiffer := errors.New("a and b differ")
	attempts := 0
	err := ours.Do(t.Context(), func(tx *eventlog.Tx) error {
		a, err := tallies.Load(tx, "a") // read from the broker
		if err != nil {
			return err
		}
		if attempts++; attempts == 1 {
			if err := theirs.Do(t.Context(), both); err != nil {
				return err
			}
		}
		b, err := tallies.Load(tx, "b")
		if err != nil {
			return err
		}
		if a != b {
			return errDiffer
		}
		return nil
	})
	if err != nil || attempts != 2 {
		t.Errorf("got %d attempts, %v; want 2 attempts and no error", attempts, err)
	}
	if err := ours.Do(t.Context(), func(*eventlog.Tx) error { return errDiffer }); !errors.Is(err, errDiffer) {
		t.Errorf("a refusal without reads: got %v, want %v", err, errDiffer)
	}
}

// A refusal on a cached state is returned only when that state is known to be the newest. Without an answer from the broker
// the decision was not made, and the caller must not mistake it for one.
func TestRefusalThatCannotBeVerifiedIsUnavailable(t *testing.T) {
	t.Parallel()
	link := newBrokenLink(t, func(c *eventlog.Config) { c.Patience = 100 * time.Millisecond })
	mustAdd(t, link.writer, "a")
	mustAdd(t, link.observer, "a")
	errTooFew := errors.New("too few")
	err := link.writer.Do(t.Context(), func(tx *eventlog.Tx) error {
		a, err := tallies.Load(tx, "a") // cached
		if err != nil {
			return err
		}
		link.proxy.Hold()
		if a.Sum < 2 {
			return errTooFew
		}
		return nil
	})
	if errors.Is(err, errTooFew) || !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	link.proxy.Release()
}

// DryRun decides on the newest states, as Do does, and stores nothing. It reads an entity that should be new, and repeats a
// decision on a state that another writer changes meanwhile.
func TestDryRunDecidesOnNewestStateAndStoresNothing(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	mustAdd(t, theirs, "a")
	type run struct{ Runs, Found, Appended int }
	var got run
	err := ours.DryRun(t.Context(), func(tx *eventlog.Tx) error {
		got.Runs++
		state, err := tallies.LoadNew(tx, "a")
		if err != nil {
			return err
		}
		if got.Runs == 1 {
			mustAdd(t, theirs, "a")
		}
		err = add(tx, "a", 1)
		got.Found, got.Appended = state.Events, tx.Len()
		return err
	})
	if want := (run{Runs: 2, Found: 2, Appended: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	expectStored(t, ours, 2)
	errRefused := errors.New("refused by rule")
	if err := ours.DryRun(t.Context(), func(*eventlog.Tx) error { return errRefused }); !errors.Is(err, errRefused) {
		t.Errorf("refusing decision: got %v, want %v", err, errRefused)
	}
}

// What a process has followed is the basis of its decisions: "nothing to do" is decided on the newest event that it has
// followed, not on an older cached state, and without a request to the broker.
func TestDecisionAboutFollowedEventUsesCacheAsNewAsTheEvent(t *testing.T) {
	t.Parallel()
	broker := logtest.Server(t)
	theirs := logtest.OpenOn(t, broker)
	ours := logtest.OpenOn(t, broker, func(c *eventlog.Config) { c.CacheSize = 2 })
	appendTo := func(id string) eventlog.Message {
		t.Helper()
		mustAdd(t, theirs, id)
		last, err := theirs.End(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		m, err := theirs.Get(t.Context(), last)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	expectLoaded := func(when string, want int) {
		t.Helper()
		tx := ours.BeginCached(t.Context())
		got, err := tallies.Load(tx, "a")
		if err != nil || got.Events != want {
			t.Errorf("%s: loaded %+v, %v; want %d events", when, got, err, want)
		}
		before := sentMessages(ours)
		if err := tx.Commit(); err != nil {
			t.Errorf("%s: commit without events: %v", when, err)
		}
		if sent := sentMessages(ours) - before; sent != 0 {
			t.Errorf("%s: the commit sent %d messages to the broker, want 0", when, sent)
		}
	}
	first := appendTo("a")
	expectLoaded("after the first event", 1)
	ours.Observe(first)
	expectLoaded("after the first event was followed", 1)
	second := appendTo("a")
	expectLoaded("before the second event is followed", 1)
	ours.Observe(second)
	expectLoaded("after the second event was followed", 2)
	ours.Observe(appendTo("a"))
	for _, other := range []string{"b", "c", "d"} { // more than the cache holds
		ours.Observe(appendTo(other))
	}
	expectLoaded("after the third event and three other entities were followed", 3)
}

// A process that does not follow the log compares its cached states with the broker.
func TestDecisionWithoutFollowingIsComparedWithBroker(t *testing.T) {
	t.Parallel()
	ours, _ := staleCache(t)
	tx := ours.Begin(t.Context())
	if got, err := tallies.Load(tx, "a"); err != nil || got.Events != 1 {
		t.Fatalf("cached state: got %+v, %v; want 1 event", got, err)
	}
	if err := tx.Commit(); !eventlog.IsConflict(err) {
		t.Errorf("commit without events on an old state: got %v, want a conflict", err)
	}
}
