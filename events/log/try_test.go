package log_test

import (
	"errors"
	"testing"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Try decides on the newest states, as Do would, and stores nothing. An entity that should be new is looked at, and a decision on what
// another writer changes meanwhile is made again.
func TestTryDecidesAndStoresNothing(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, other := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	if err := other.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 5) }); err != nil {
		t.Fatal(err)
	}
	runs, facts, found := 0, 0, 0
	err := l.DryRun(t.Context(), func(tx *log.Tx) error {
		runs++
		n, err := tallies.LoadNew(tx, "a")
		if err != nil {
			return err
		}
		if runs == 1 {
			if err := other.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 2) }); err != nil {
				t.Fatal(err)
			}
		}
		err = add(tx, "a", 1)
		found, facts = int(n.Sum), tx.Len()
		return err
	})
	if err != nil || runs != 2 || found != 7 || facts != 1 {
		t.Errorf("%d runs, the last one found %d and appended %d facts, %v; want 2, 7, 1", runs, found, facts, err)
	}
	if n := messages(t, l, events.StreamShop); n != 2 {
		t.Errorf("%d events in the log, want those of the other writer", n)
	}
	errRefused := errors.New("refused by rule")
	if err := l.DryRun(t.Context(), func(*log.Tx) error { return errRefused }); !errors.Is(err, errRefused) {
		t.Errorf("got %v, want the decision's error", err)
	}
}
