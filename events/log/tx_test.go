package log_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

func TestLoadNewOfExistingEntityIsRepeatedWithItsState(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	mustAdd(t, theirs, "a")
	var seen []int
	err := ours.Do(t.Context(), func(tx *eventlog.Tx) error {
		state, err := tallies.LoadNew(tx, "a")
		seen = append(seen, state.Events)
		if err != nil || state.Events > 0 {
			return err
		}
		return tallies.Append(tx, "a", plus(1))
	})
	if want := []int{0, 1}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("loaded states: got %v, %v; want %v", seen, err, want)
	}
}

func TestRollBackRemovesOnlyLaterEvents(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		if err := add(tx, "a", 1); err != nil {
			return err
		}
		mark := tx.Len()
		if err := errors.Join(add(tx, "a", 10), add(tx, "b", 10)); err != nil {
			return err
		}
		tx.RollBack(mark)
		return add(tx, "a", 2)
	})
	if err != nil {
		t.Fatal(err)
	}
	expectTally(t, l, "a", tally{Events: 2, Sum: 3})
	if _, _, err := tallies.Read(t.Context(), l, "b"); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("read b: got %v, want ErrNotFound", err)
	}
}

// checkStates loads both states of an entity and compares them.
func checkStates(tx *eventlog.Tx, id string, want tally) error {
	state, err := tallies.Load(tx, id)
	if err != nil {
		return err
	}
	sum, err := sums.Load(tx, id)
	if err != nil {
		return err
	}
	if state != want || sum != want.Sum {
		return fmt.Errorf("states of %s: got %+v and sum %d, want %+v", id, state, sum, want)
	}
	return nil
}

// An event appended through one state of a subject changes the other state at once, and a rollback changes both back.
func TestTwoStatesOfOneSubjectAgree(t *testing.T) {
	t.Parallel()
	broker := logtest.Server(t)
	l := logtest.OpenOn(t, broker)
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, "a", 100) }); err != nil {
		t.Fatal(err)
	}
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		if err := errors.Join(tallies.Append(tx, "a", plus(1)), checkStates(tx, "a", tally{2, 101})); err != nil {
			return fmt.Errorf("append to one: %w", err)
		}
		if err := errors.Join(sums.Append(tx, "a", plus(2)), checkStates(tx, "a", tally{3, 103})); err != nil {
			return fmt.Errorf("append to the other: %w", err)
		}
		mark := tx.Len()
		if err := errors.Join(tallies.Append(tx, "a", plus(10)), sums.Append(tx, "a", plus(20)), checkStates(tx, "a", tally{5, 133})); err != nil {
			return fmt.Errorf("append to both: %w", err)
		}
		tx.RollBack(mark)
		if err := checkStates(tx, "a", tally{3, 103}); err != nil {
			return fmt.Errorf("roll back: %w", err)
		}
		return sums.Append(tx, "a", plus(4))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, reader := range []*eventlog.Log{l, logtest.OpenOn(t, broker)} { // cached, and read from the broker
		expectTally(t, reader, "a", tally{4, 107})
		if sum, _, err := sums.Read(t.Context(), reader, "a"); err != nil || sum != 107 {
			t.Errorf("sum: got %d, %v; want 107", sum, err)
		}
	}
}

// A state that is loaded after an append includes the event. A rollback of the event changes that state too.
func TestRollBackChangesStateLoadedAfterTheEvent(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]int{"NewEntity": 0, "ExistingEntity": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := logtest.Open(t)
			for range stored {
				mustAdd(t, l, "a")
			}
			plusStored := func(n int) tally { return tally{stored + n, int64(stored + n)} }
			err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
				if err := add(tx, "a", 1); err != nil {
					return err
				}
				if err := checkStates(tx, "a", plusStored(1)); err != nil { // loads the second state
					return fmt.Errorf("load after the first event: %w", err)
				}
				if err := errors.Join(sums.Append(tx, "a", plus(1)), checkStates(tx, "a", plusStored(2))); err != nil {
					return err
				}
				tx.RollBack(1)
				if err := checkStates(tx, "a", plusStored(1)); err != nil {
					return fmt.Errorf("roll back the second event: %w", err)
				}
				tx.RollBack(0)
				if err := checkStates(tx, "a", plusStored(0)); err != nil {
					return fmt.Errorf("roll back both events: %w", err)
				}
				return sums.Append(tx, "a", plus(1))
			})
			if err != nil {
				t.Fatal(err)
			}
			expectTally(t, l, "a", plusStored(1))
		})
	}
}

// When two states of one subject are read at different moments, the decision is repeated.
func TestTwoStatesOfDifferentMomentsAreReadAgain(t *testing.T) {
	t.Parallel()
	ours, _ := staleCache(t)
	attempts := 0
	err := ours.Do(t.Context(), func(tx *eventlog.Tx) error {
		attempts++
		state, err := tallies.Load(tx, "a") // in the first attempt cached with one event
		if err != nil {
			return err
		}
		sum, err := sums.Load(tx, "a") // read from the broker
		if err != nil {
			return err
		}
		if sum != state.Sum {
			t.Errorf("sum: got %d, want %d as in the other state", sum, state.Sum)
		}
		return tallies.Append(tx, "a", plus(1))
	})
	if err != nil || attempts != 2 {
		t.Errorf("got %d attempts, %v; want 2 attempts and no error", attempts, err)
	}
}

// A domain appends under its own prefixes. It may read every entity.
func TestDomainCannotAppendUnderPrefixOfAnother(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	orders, unknown := l.ForDomain("orders"), l.ForDomain("unknown")
	confirmed := events.OrderConfirmed{}
	for name, c := range map[string]struct {
		by     *eventlog.Log
		decide func(*eventlog.Tx) error
	}{
		"Entity":  {orders, func(tx *eventlog.Tx) error { return add(tx, "a", 1) }},
		"Journal": {orders, func(tx *eventlog.Tx) error { return webhooks.Append(tx, events.WebhookReceived{}) }},
		"TwoDomains": {orders, func(tx *eventlog.Tx) error {
			return errors.Join(confirmations.Append(tx, "o", confirmed), add(tx, "a", 1))
		}},
		"UnknownDomain":  {unknown, func(tx *eventlog.Tx) error { return confirmations.Append(tx, "o", confirmed) }},
		"PreviousDomain": {l.ForDomain("inventory"), func(tx *eventlog.Tx) error { tx.ForDomain(orders); return add(tx, "a", 1) }},
	} {
		if err := c.by.Do(t.Context(), c.decide); !errors.Is(err, eventlog.ErrNotOwner) {
			t.Errorf("%s: got %v, want ErrNotOwner", name, err)
		}
	}
	expectStored(t, l, 0)
	err := orders.Do(t.Context(), func(tx *eventlog.Tx) error {
		if _, err := tallies.Load(tx, "a"); err != nil {
			return err
		}
		return confirmations.Append(tx, "o", confirmed)
	})
	if err != nil || orders.Source() != "orders" {
		t.Errorf("%s reads another domain and appends to its own: %v", orders.Source(), err)
	}
}

// Without Config.Owns a process appends under the prefixes of the domain that Config.Source names.
func TestSourceOwnsPrefixesOfItsDomain(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t, func(c *eventlog.Config) { c.Source, c.Owns = "orders", nil })
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return confirmations.Append(tx, "o", events.OrderConfirmed{}) }); err != nil {
		t.Error(err)
	}
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, "a", 1) }); !errors.Is(err, eventlog.ErrNotOwner) {
		t.Errorf("append to stock: got %v, want ErrNotOwner", err)
	}
}

// What several domains decide together is stored as one atomic batch, and each event names its own domain as the source.
func TestTransactionOfSeveralDomainsIsOneBatch(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return decideInThreeDomains(tx, l) }); err != nil {
		t.Fatal(err)
	}
	type stored struct{ Subject, Source, Revision, BatchSequence, BatchCommit string }
	var got []stored
	batches := map[string]bool{}
	for sequence := range messages(t, l) {
		m, err := l.Get(t.Context(), sequence+1)
		if err != nil {
			t.Fatal(err)
		}
		h := func(name string) string { return m.Header.Get(name) }
		got = append(got, stored{m.Subject, h(events.HeaderSource), h(events.HeaderRevision), h(jetstreamext.BatchSeqHeader), h(jetstreamext.BatchCommitHeader)})
		batches[h(jetstreamext.BatchIDHeader)] = true
	}
	want := []stored{
		{"orders.o", "orders", "1", "1", ""},
		{"inventory.stock.main.a", "inventory", "1", "2", ""},
		{"payments.p", "payments", "1", "3", ""},
		{"payments.webhooks", "payments", "", "4", "1"},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(batches) != 1 {
		t.Errorf("got %d batches, want 1; events (-want +got):\n%s", len(batches), diff)
	}
}

// What several domains decide together is stored together or not at all.
func TestTransactionOfSeveralDomainsIsStoredWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	tx := ours.Begin(t.Context())
	if err := decideInThreeDomains(tx, ours); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, "a", 5) }); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); !eventlog.IsConflict(err) {
		t.Fatalf("commit after another append to the stock: got %v, want a conflict", err)
	}
	for i := range tx.Len() {
		if got := tx.Sequence(i); got != 0 {
			t.Errorf("sequence of the refused event of %s: got %d, want 0", tx.Fact(i).Subject, got)
		}
	}
	expectStored(t, ours, 1)
	if err := ours.Do(t.Context(), func(tx *eventlog.Tx) error { return decideInThreeDomains(tx, ours) }); err != nil {
		t.Fatal(err)
	}
	got, seq, err := tallies.Read(t.Context(), theirs, "a")
	if err != nil || got != (tally{Events: 2, Sum: 6}) || seq != 3 {
		t.Errorf("after the second attempt: got %+v at %d, %v; want 2 events, the last at 3", got, seq, err)
	}
}

// decideInThreeDomains appends as three domains in one transaction.
func decideInThreeDomains(tx *eventlog.Tx, l *eventlog.Log) error {
	tx.ForDomain(l.ForDomain("orders"))
	problem := confirmations.Append(tx, "o", events.OrderConfirmed{})
	tx.ForDomain(l.ForDomain("inventory"))
	problem = errors.Join(problem, add(tx, "a", 1))
	tx.ForDomain(l.ForDomain("payments"))
	return errors.Join(problem, captures.Append(tx, "p", events.PaymentCaptured{}), webhooks.Append(tx, events.WebhookReceived{}))
}

func TestTraceAndCorrelationAreStoredInHeaders(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		tx.WithTrace(trace)
		tx.WithCorrelation("o1")
		return add(tx, "a", 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := l.Get(t.Context(), 1)
	if err != nil || msg.Header.Get(events.HeaderTraceParent) != trace || msg.Header.Get(events.HeaderCorrelationID) != "o1" {
		t.Errorf("got headers %v, %v; want trace %s and correlation o1", msg.Header, err, trace)
	}
}
