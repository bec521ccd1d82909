package replay_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"tillstream/events/replay"
)

// note writes a lane's checkpoint as if the lane had come so far, with open acts.
func (c *twoCopies) note(lane string, position uint64, open ...replay.OpenAct) {
	c.t.Helper()
	checkpoint, err := c.log.LoadCheckpoint(c.t.Context(), lane)
	if err != nil {
		c.t.Fatal(err)
	}
	checkpoint.Position, checkpoint.Read = position, position
	if len(open) > 0 {
		if checkpoint.State, err = json.Marshal(open); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := c.log.SaveCheckpoint(c.t.Context(), &checkpoint); err != nil {
		c.t.Fatal(err)
	}
}

// Row 12 of the fault matrix: checkpoints are not always as old as the log that was put back. A lane that is ahead of it
// would pass over what comes at those sequences.
func TestRepairSetsLanesBack(t *testing.T) {
	t.Parallel()
	for name, wentOn := range map[string]bool{"Exact": false, "WentOn": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTwoCopies(t)
			c.move("a1", "A", "", 1)
			c.archive()
			backup := filepath.Join(t.TempDir(), "backup")
			c.backup(backup)
			c.move("a2", "A", "", 2)
			c.move("b1", "B", "", 1)
			c.archive()
			c.putBack(backup)
			c.note("orders", 1)
			c.note("inventory", 3)
			c.note("notifications.mail", 4, replay.OpenAct{Sequence: 1, Attempt: 2}, replay.OpenAct{Sequence: 3, Attempt: 1})
			if wentOn {
				c.move("c1", "C", "", 1)
			}
			want := []string{"inventory", "notifications.mail"}
			if r := c.repair(true); !slices.Equal(r.LanesAhead, want) {
				t.Errorf("dry run: %+v", r)
			}
			if r := c.repair(false); !slices.Equal(r.LanesAhead, want) {
				t.Errorf("repair: %+v", r)
			}
			for _, lane := range []string{"orders", "inventory", "notifications.mail"} {
				l := c.lane(lane)
				if l.Position != 1 {
					t.Errorf("%s goes on behind %d, want 1", lane, l.Position)
				}
				if lane == "notifications.mail" && (len(l.Open) != 1 || l.Open[0].Sequence != 1) {
					t.Errorf("open acts: %+v", l.Open)
				}
			}
		})
	}
}

// The end of the log was in neither copy: nothing can be given back, and the lanes go on where the log ends.
func TestRepairOfALogWhoseEndIsGone(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.move("a1", "A", "", 1)
	c.archive()
	c.note("orders", 7)
	if r := c.repair(true); !r.HasFindings() || !slices.Equal(r.LanesAhead, []string{"orders"}) {
		t.Errorf("dry run: %+v", r)
	}
	c.repair(false)
	c.whole("a1")
	if l := c.lane("orders"); l.Position != 1 {
		t.Errorf("got %+v", l)
	}
	if checkpoint, err := c.log.LoadCheckpoint(t.Context(), "orders"); err != nil || checkpoint.Read != 1 {
		t.Errorf("got %+v, %v", checkpoint, err)
	}
}
