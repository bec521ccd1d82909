package replay_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events/archive"
	"tillstream/events/replay"
)

// Row 12 of the fault matrix: two repairs at once put back once what was lost, whether the log went on or not: the
// slower one is told.
func TestTwoRepairsAtOnce(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	backup := filepath.Join(t.TempDir(), "backup")
	c.backup(backup)
	c.move("a1", "A", "", 1)
	c.move("b1", "B", "", 1)
	c.archive()
	for _, want := range []string{"a1 b1", "a1' b1"} {
		c.putBack(backup)
		if strings.HasPrefix(want, "a1'") {
			c.move("a1'", "A", "", 2)
		}
		if _, err := c.during("restore log", false, func() { c.repair(false) }); !errors.Is(err, replay.ErrConcurrentAppend) {
			t.Errorf("the slower one: %v", err)
		}
		c.whole(strings.Fields(want)...)
	}
}

// What was put back can be lost again, and put back again from an archive that was written after the first time.
func TestRepairOfWhatWasRepaired(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	backup := filepath.Join(t.TempDir(), "backup")
	c.backup(backup)
	c.move("a1", "A", "", 1)
	c.move("b1", "B", "", 1)
	c.archive()
	c.putBack(backup)
	c.repair(false)
	if err := c.db.Collection(archive.Collection).Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.archive()
	c.repair(false)
	c.whole("a1", "b1")
	c.putBack(backup)
	c.move("a1'", "A", "", 2)
	c.move("a2'", "A", "", 3)
	c.repair(false)
	c.whole("a1'", "a2'", "b1")
}

// A repair was cut off, the shop went on all the same, and the repair is run again: what an entity has said since is not
// followed by what it said before.
func TestRepairOfALogThatWentOnAfterHalfARepair(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	backup := filepath.Join(t.TempDir(), "backup")
	c.backup(backup)
	c.move("a1", "A", "", 1)
	c.move("b1", "B", "", 1)
	c.move("a2", "A", "", 2)
	c.archive()
	c.putBack(backup)
	c.move("x1", "X", "", 1)
	c.move("a1", "A", "", 1) // as far as the repair came
	c.move("a2'", "A", "", 20)
	if r := c.repair(false); !slices.Equal(names(r.LogLost), []string{"b1"}) || !slices.Equal(names(r.Superseded), []string{"a2"}) {
		t.Errorf("repair: %+v", r)
	}
	c.whole("x1", "a1", "a2'", "b1")
}

// The same backup is put back twice: what the log went on without is kept both times.
func TestRepairOfALogThatWentOnTwice(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.move("a1", "A", "", 1)
	c.archive()
	backup := filepath.Join(t.TempDir(), "backup")
	c.backup(backup)
	for _, event := range []string{"first", "second", "third"} {
		c.move(event, "A", "", 2)
		c.repair(false)
		c.archive()
		c.whole("a1", event)
		c.putBack(backup)
	}
	if kept := c.aside(); !slices.Equal(kept, []string{"first", "second"}) {
		t.Errorf("aside: %v", kept)
	}
}

// aside reads what repairs have set aside, in all collections.
func (c *twoCopies) aside() (kept []string) {
	c.t.Helper()
	collections, err := c.db.ListCollectionNames(c.t.Context(), bson.D{})
	if err != nil {
		c.t.Fatal(err)
	}
	slices.Sort(collections)
	for _, name := range collections {
		if !strings.HasPrefix(name, "archive_aside") {
			continue
		}
		ids, err := archivedIn(c.t, archive.NewInCollection(c.db.Collection(name)))
		kept = append(kept, ids...)
		if err != nil {
			c.t.Fatal(err)
		}
	}
	return kept
}
