package log_test

import (
	"errors"
	"fmt"
	"testing"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// sums is another kind of state of the subjects of [tallies], as a second domain keeps one.
var sums = log.Entity[int64]{Prefix: events.PrefixStock,
	Apply: func(sum int64, e events.Event) (int64, error) {
		return sum + e.Payload.(events.StockAdjusted).Quantity, nil
	}}

// agree loads both states of an entity and compares them with what is wanted.
func agree(tx *log.Tx, id string, want tally) error {
	state, err := tallies.Load(tx, id)
	if err != nil {
		return err
	}
	sum, err := sums.Load(tx, id)
	if err != nil {
		return err
	}
	if state != want || sum != want.Sum {
		return fmt.Errorf("%s is %+v and sums to %d, want %+v", id, state, sum, want)
	}
	return nil
}

// What is appended by way of one state of a subject is in the other at once, and is gone from both when it is rolled back.
func TestTwoStatesOfOneSubjectAgree(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 100) }); err != nil {
		t.Fatal(err)
	}
	err := l.Do(t.Context(), func(tx *log.Tx) error {
		if err := errors.Join(tallies.Append(tx, "a", plus(1)), agree(tx, "a", tally{2, 101})); err != nil {
			return fmt.Errorf("appended to one: %w", err)
		}
		if err := errors.Join(sums.Append(tx, "a", plus(2)), agree(tx, "a", tally{3, 103})); err != nil {
			return fmt.Errorf("appended to the other: %w", err)
		}
		mark := tx.Len()
		if err := errors.Join(tallies.Append(tx, "a", plus(10)), sums.Append(tx, "a", plus(20)), agree(tx, "a", tally{5, 133})); err != nil {
			return fmt.Errorf("appended to both: %w", err)
		}
		tx.RollBack(mark)
		if err := agree(tx, "a", tally{3, 103}); err != nil {
			return fmt.Errorf("rolled back: %w", err)
		}
		return sums.Append(tx, "a", plus(4))
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, reader := range map[string]*log.Log{"the writer": l, "a newcomer": logtest.OpenOn(t, server)} {
		state, _, err := tallies.Read(t.Context(), reader, "a")
		sum, _, sumErr := sums.Read(t.Context(), reader, "a")
		if state != (tally{4, 107}) || sum != 107 || err != nil || sumErr != nil {
			t.Errorf("%s reads %+v (%v) and %d (%v), want 4 events summing to 107", name, state, err, sum, sumErr)
		}
	}
}

// A state that was loaded after a fact has the fact in it. When the fact is rolled back the state does not keep it.
func TestAStateThatWasLoadedBehindAFactIsRolledBackToo(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]int{"OfANewEntity": 0, "OfAKnownEntity": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := logtest.Open(t)
			for range known {
				if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
					t.Fatal(err)
				}
			}
			at := func(n int) tally { return tally{known + n, int64(known + n)} }
			err := l.Do(t.Context(), func(tx *log.Tx) error {
				if err := add(tx, "a", 1); err != nil {
					return err
				}
				if err := agree(tx, "a", at(1)); err != nil { // loads the second state
					return fmt.Errorf("loaded behind the first fact: %w", err)
				}
				if err := errors.Join(sums.Append(tx, "a", plus(1)), agree(tx, "a", at(2))); err != nil {
					return err
				}
				tx.RollBack(1)
				if err := agree(tx, "a", at(1)); err != nil {
					return fmt.Errorf("without the second fact: %w", err)
				}
				tx.RollBack(0)
				if err := agree(tx, "a", at(0)); err != nil {
					return fmt.Errorf("without any: %w", err)
				}
				return sums.Append(tx, "a", plus(1))
			})
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := tallies.Read(t.Context(), l, "a"); err != nil || got != at(1) {
				t.Errorf("stored %+v, %v; want %+v", got, err, at(1))
			}
		})
	}
}

// Two states of one subject that were read at different moments do not fit together: the decision is made again.
func TestTwoStatesOfDifferentMomentsAreReadAgain(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	if err := ours.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
		t.Fatal(err)
	}
	tries := 0
	err := ours.Do(t.Context(), func(tx *log.Tx) error {
		tries++
		state, err := tallies.Load(tx, "a") // cached at one event, the first time
		if err != nil {
			return err
		}
		sum, err := sums.Load(tx, "a") // read from the broker
		if err != nil {
			return err
		}
		if sum != state.Sum {
			t.Errorf("one state says %d, the other %d", state.Sum, sum)
		}
		return tallies.Append(tx, "a", plus(1))
	})
	if err != nil || tries != 2 {
		t.Errorf("%d tries, %v; want a second one that agrees", tries, err)
	}
}
