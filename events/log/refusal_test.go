package log_test

import (
	"errors"
	"testing"

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
