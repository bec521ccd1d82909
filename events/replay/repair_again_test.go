package replay_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/replay"
)

// Two repairs at once put back once what was lost, whether the log went on or not: the slower one is told.
func TestTwoRepairsAtOnce(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	backup := filepath.Join(t.TempDir(), "backup")
	c.fill(events.PrefixOrder+"x", longEnough)
	c.backup(backup)
	c.move("a1", "A", "", 1)
	c.move("b1", "B", "", 1)
	c.archive()
	for _, want := range []string{"a1 b1", "a1' b1"} {
		c.putBack(backup)
		if strings.HasPrefix(want, "a1'") {
			c.move("a1'", "A", "", 2)
		}
		if _, err := c.during(events.StreamOrders, false, func() { c.repair(false) }); !errors.Is(err, replay.ErrGrew) {
			t.Errorf("the slower one: %v", err)
		}
		c.whole(strings.Fields(want)...)
	}
}
