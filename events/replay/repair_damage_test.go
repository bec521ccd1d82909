package replay_test

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events/archive"
)

// A log that lacks messages between others did not go back: what the archive has of them stays there, where readers find
// it, and is named. A repair gives back the rest.
func TestRepairOfADamagedLog(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.damageable()
	// Each is a chunk of its own.
	c.archive(func() { c.move("a1", "A", "", 1) }, func() { c.move("b1", "B", "", 1) }, func() { c.move("c1", "C", "", 1) }, func() { c.move("d1", "D", "", 1) })
	c.damage(2, 3)
	for _, chunk := range []string{"000000000003", "000000000004"} {
		if _, err := c.db.Collection(archive.Collection).DeleteOne(t.Context(), bson.D{{Key: "_id", Value: chunk}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, dry := range []bool{true, false} {
		r := c.repair(dry)
		if !r.Unrepairable() || r.Damaged.Count != 1 || r.Damaged.First[0].EventID != "b1" || r.LostInBoth.Count != 1 || r.LostInBoth.First[0].Sequence != 3 ||
			r.ArchiveLost.Count != 1 || r.ArchiveLost.First[0].EventID != "d1" || r.LogLost.Count > 0 || r.Diverged || r.Aside != "" {
			t.Errorf("dry run %v: %+v", dry, r)
		}
	}
	if r := c.repair(true); !r.Unrepairable() || r.ArchiveLost.Count > 0 {
		t.Errorf("afterwards: %+v", r)
	}
	if ids, err := archivedIn(t, archive.New(c.db)); err != nil || len(ids) != 3 {
		t.Errorf("the archive holds %v, %v", ids, err)
	}
}

// A damaged log that went back and on is restored by the rules of one that is whole.
func TestRepairOfADamagedLogThatWentBack(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.damageable()
	c.archive(func() { c.move("a1", "A", "", 1) }, func() { c.move("b1", "B", "", 1) }, func() { c.move("c1", "C", "", 1) })
	c.damageable() // an empty one: everything is lost
	c.move("a1", "A", "", 1)
	c.move("b1", "B", "", 1)
	c.damage(1)
	if r := c.repair(false); r.Damaged.Count != 1 || r.LogLost.Count != 1 || r.LogLost.First[0].EventID != "c1" || r.Diverged {
		t.Errorf("repair: %+v", r)
	}
	c.archive(func() { c.move("d1", "D", "", 1) })
	if ids, err := archivedIn(t, archive.New(c.db)); err != nil || len(ids) != 4 {
		t.Errorf("the archive holds %v, %v", ids, err)
	}
}
