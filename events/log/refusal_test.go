package log_test

import (
	"errors"
	"testing"
	"time"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Two entities that always change together are read one after the other, and change in between. What seems impossible
// then is no reason to refuse: the decision is made again.
func TestARefusalIsNotDecidedOnStatesOfDifferentMoments(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	both := func(tx *log.Tx) error { return errors.Join(add(tx, "a", 1), add(tx, "b", 1)) }
	if err := theirs.Do(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	errImpossible := errors.New("a and b differ")
	tries := 0
	err := ours.Do(t.Context(), func(tx *log.Tx) error {
		a, err := tallies.Load(tx, "a") // from the broker, as the first of all
		if err != nil {
			return err
		}
		if tries++; tries == 1 {
			if err := theirs.Do(t.Context(), both); err != nil {
				return err
			}
		}
		b, err := tallies.Load(tx, "b")
		if err != nil {
			return err
		}
		if a != b {
			return errImpossible
		}
		return nil
	})
	if err != nil || tries != 2 {
		t.Errorf("%d tries, %v; want a second one that agrees", tries, err)
	}
	if err := ours.Do(t.Context(), func(tx *log.Tx) error { return errImpossible }); !errors.Is(err, errImpossible) {
		t.Errorf("a refusal that stands: %v", err)
	}
}

// What is refused on a remembered state is refused only when that state is known to be the newest. When nobody can be
// asked the decision has not been made, and nobody is to take it for one.
func TestARefusalThatCannotBeVerifiedIsNone(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(c *log.Config) { c.Patience = 100 * time.Millisecond })
	if err := w.writer.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
		t.Fatal(err)
	}
	if err := w.observer.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
		t.Fatal(err)
	}
	errTooFew := errors.New("too few")
	err := w.writer.Do(t.Context(), func(tx *log.Tx) error {
		a, err := tallies.Load(tx, "a") // remembered
		if err != nil {
			return err
		}
		w.proxy.Hold()
		if a.Sum < 2 {
			return errTooFew
		}
		return nil
	})
	if errors.Is(err, errTooFew) || !errors.Is(err, log.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	w.proxy.Release()
}
