package replay_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// Row 12 of the fault matrix: lost events return to the log under their old sequences. A dry run only reports them.
func TestRepairRestoresLog(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.adjust("1", "A", "", 1)
	c.archive()
	c.lose(func() {
		for i := 2; i <= 500; i++ {
			c.adjust(fmt.Sprint(i), fmt.Sprintf("S%d", i%7), "", int64(i))
		}
	})
	if err := archive.New(c.db).CheckHistory(t.Context(), c.log); !errors.Is(err, eventlog.ErrTruncated) {
		t.Errorf("check history: got %v, want %v", err, eventlog.ErrTruncated)
	}
	for range 2 {
		if r := c.repair(true); r.LogLost.Count != 499 || r.Log != 1 || r.Archived != 500 || r.Diverged || r.LogLost.First[0].EventID != "2" {
			t.Fatalf("dry run: got %+v, want 499 lost of 500", r)
		}
	}
	c.repair(false)
	var want []string
	for i := 1; i <= 500; i++ {
		want = append(want, fmt.Sprint(i))
	}
	c.checkCopies(want...)
	level, seq, err := levels.Read(t.Context(), c.log, "S3")
	if err != nil || level.Available != 500-(500-3)%7 || seq != uint64(level.Available) {
		t.Errorf("level of S3: got %+v at %d, %v", level, seq, err)
	}
	c.archive() // continues at its head
	c.adjust("501", "A", "", 7)
	c.archive()
	c.checkCopies(append(want, "501")...)
}

// Events were appended before the loss was detected. An entity without new events gets its lost events at the end of the log. For an
// entity with new events the lost ones are superseded, together with events of the same cause.
func TestRepairOfDivergedLogKeepsNewEvents(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.adjust("a1", "A", "", 1)
	c.adjust("b1", "B", "", 1)
	c.archive()
	c.lose(func() {
		c.adjust("a2", "A", "", 2)
		c.adjust("b2", "B", "", 2)
		c.adjust("c1", "C", "order", 1) // has the same cause as d1
		c.adjust("d1", "D", "order", 1)
		c.adjust("b3", "B", "", 3)
		c.adjust("e1", "E", "", 1)
	})
	c.adjust("a2'", "A", "", 20)
	c.adjust("d1'", "D", "", 10)
	r := c.repair(true)
	if !r.Diverged || !slices.Equal(lostIDs(r.LogLost), []string{"b2", "b3", "e1"}) || !slices.Equal(lostIDs(r.Superseded), []string{"a2", "c1", "d1"}) {
		t.Fatalf("dry run: got %+v, want b2, b3, e1 lost and a2, c1, d1 superseded", r)
	}
	if r := c.repair(false); r.Aside != "archive_aside" {
		t.Errorf("repair: got %+v, want archive_aside", r)
	}
	c.checkCopies("a1", "b1", "a2'", "d1'", "b2", "b3", "e1")
	aside, err := archivedIn(t, archive.NewInCollection(c.db.Collection("archive_aside")))
	if err != nil || !slices.Equal(aside, []string{"a2", "b2", "c1", "d1", "b3", "e1"}) {
		t.Errorf("set aside: got %v, %v; want a2 b2 c1 d1 b3 e1", aside, err)
	}
	c.adjust("b4", "B", "", 4)
	c.archive()
	c.checkCopies("a1", "b1", "a2'", "d1'", "b2", "b3", "e1", "b4")
	moves := eventlog.Entity[int]{Prefix: events.PrefixStock, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}
	if n, _, err := moves.Read(t.Context(), c.log, "B"); n != 4 || err != nil {
		t.Errorf("events of B: got %d, %v; want 4", n, err)
	}
}

// Events that the archive has lost, some of them or all with the head, are written from the log.
func TestRepairRestoresArchive(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	var want []string
	for i := 1; i <= 30; i++ {
		want = append(want, fmt.Sprint(i))
		c.adjust(fmt.Sprint(i), "A", "", int64(i))
		if i%10 == 0 {
			c.archive()
		}
	}
	collection := c.db.Collection(archive.Collection)
	if n, err := collection.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: "000000000011"}}); err != nil || n.DeletedCount != 1 {
		t.Fatalf("delete chunk: got %+v, %v; want 1", n, err)
	}
	if r := c.repair(true); r.ArchiveLost.Count != 10 || r.ArchiveLost.First[0].Sequence != 11 {
		t.Errorf("dry run without one chunk: got %+v, want 10 lost from 11 on", r)
	}
	c.repair(false)
	c.checkCopies(want...)
	if err := collection.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := c.repair(false); r.ArchiveLost.Count != 30 {
		t.Errorf("repair without an archive: got %+v, want 30 lost", r)
	}
	c.checkCopies(want...)
	if head, err := archive.New(c.db).Head(t.Context()); err != nil || head.Last != 30 || head.EventID != "30" {
		t.Errorf("head: got %+v, %v; want event 30 at 30", head, err)
	}
}

// Restored events can be lost again, and restored again from an archive that was written after the first repair.
func TestRestoredEventsCanBeRestoredAgain(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	store := c.lose(func() {
		c.adjust("a1", "A", "", 1)
		c.adjust("b1", "B", "", 1)
	})
	c.repair(false)
	if err := c.db.Collection(archive.Collection).Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.archive()
	c.repair(false)
	c.checkCopies("a1", "b1")
	c.replaceStore(store)
	c.adjust("a1'", "A", "", 2)
	c.adjust("a2'", "A", "", 3)
	c.repair(false)
	c.checkCopies("a1'", "a2'", "b1")
}

// The shop ran after an interrupted repair, and the repair is run again: new events of an entity are not followed by its old ones.
func TestRepairAfterInterruptedRepairKeepsNewEvents(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.lose(func() {
		c.adjust("a1", "A", "", 1)
		c.adjust("b1", "B", "", 1)
		c.adjust("a2", "A", "", 2)
	})
	c.adjust("x1", "X", "", 1)
	c.adjust("a1", "A", "", 1) // restored by the interrupted repair
	c.adjust("a2'", "A", "", 20)
	if r := c.repair(false); !slices.Equal(lostIDs(r.LogLost), []string{"b1"}) || !slices.Equal(lostIDs(r.Superseded), []string{"a2"}) {
		t.Errorf("repair: got %+v, want b1 lost and a2 superseded", r)
	}
	c.checkCopies("x1", "a1", "a2'", "b1")
}

// The store is replaced by the same copy twice: the superseded events of both times are kept.
func TestRepairKeepsSupersededEventsOfEachTime(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.adjust("a1", "A", "", 1)
	c.archive()
	store := c.copyStore()
	for _, event := range []string{"first", "second", "third"} {
		c.adjust(event, "A", "", 2)
		c.repair(false)
		c.archive()
		c.checkCopies("a1", event)
		c.replaceStore(store)
	}
	if got, want := c.asideIDs(), []string{"first", "second"}; !slices.Equal(got, want) {
		t.Errorf("set aside: got %v, want %v", got, want)
	}
}

// Row 12 of the fault matrix: checkpoints may be newer than a log that was replaced by an older copy. A lane that is ahead would skip
// the events that are appended next.
func TestRepairSetsLanesBack(t *testing.T) {
	t.Parallel()
	for name, diverged := range map[string]bool{"Exact": false, "Diverged": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newInstallation(t)
			c.adjust("a1", "A", "", 1)
			c.archive()
			c.lose(func() {
				c.adjust("a2", "A", "", 2)
				c.adjust("b1", "B", "", 1)
			})
			c.saveCheckpoint("orders", 1)
			c.saveCheckpoint("inventory", 3)
			c.saveCheckpoint("notifications.mail", 4, replay.OpenAct{Sequence: 1, Attempt: 2}, replay.OpenAct{Sequence: 3, Attempt: 1})
			if diverged {
				c.adjust("c1", "C", "", 1)
			}
			want := []string{"inventory", "notifications.mail"}
			if r := c.repair(true); !slices.Equal(r.LanesAhead, want) {
				t.Errorf("dry run: got %+v, want lanes %v ahead", r, want)
			}
			if r := c.repair(false); !slices.Equal(r.LanesAhead, want) {
				t.Errorf("repair: got %+v, want lanes %v ahead", r, want)
			}
			for _, lane := range []string{"orders", "inventory", "notifications.mail"} {
				l := c.lane(lane)
				if l.Position != 1 {
					t.Errorf("position of %s: got %d, want 1", lane, l.Position)
				}
				if lane == "notifications.mail" && (len(l.Open) != 1 || l.Open[0].Sequence != 1) {
					t.Errorf("open acts: got %+v, want the one of event 1", l.Open)
				}
			}
		})
	}
}

// Both copies lack the end of the log: nothing can be restored, and the lanes continue at the end of the log.
func TestRepairSetsLanesBackWhenBothCopiesLackTheEnd(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.adjust("a1", "A", "", 1)
	c.archive()
	c.saveCheckpoint("orders", 7)
	if r := c.repair(true); !r.HasFindings() || !slices.Equal(r.LanesAhead, []string{"orders"}) {
		t.Errorf("dry run: got %+v, want lane orders ahead", r)
	}
	c.repair(false)
	c.checkCopies("a1")
	if l := c.lane("orders"); l.Position != 1 {
		t.Errorf("lane orders: got %+v, want position 1", l)
	}
	if checkpoint, err := c.log.LoadCheckpoint(t.Context(), "orders"); err != nil || checkpoint.Read != 1 {
		t.Errorf("checkpoint: got %+v, %v; want read 1", checkpoint, err)
	}
}
