package worker_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// hearing is a domain that marks each order and remembers which ones it decided about.
func hearing(l *eventlog.Log, heard *ids) worker.Domain {
	return onPlaced(l, func(tx *eventlog.Tx, id string) error {
		heard.add(id)
		return markOnce(tx, id)
	})
}

// A worker that is started again goes on behind what its predecessor had handled.
func TestARestartGoesOnBehindTheCheckpoint(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var first, second ids
	place(t, l, "a", "b", "c")
	p := start(t, l, only(hearing(l, &first)))
	p.caughtUp(t, "inventory")
	last := end(t, l)
	p.stop()
	checkpoint, err := l.LoadCheckpoint(t.Context(), "inventory")
	if err != nil || checkpoint.Position != last {
		t.Errorf("the checkpoint is at %d (%v), want %d", checkpoint.Position, err, last)
	}
	place(t, l, "d", "e")
	start(t, l, only(hearing(l, &second))).caughtUp(t, "inventory")
	if got := second.all(); !slices.Equal(got, []string{"d", "e"}) {
		t.Errorf("the second one decided about %v, want d and e", got)
	}
}

// A worker that dies leaves the checkpoint that it wrote last. What it had handled since is handled again, to no effect.
func TestAfterACrashEventsAreHandledAgainToNoEffect(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, conn := logtest.OpenOn(t, server), logtest.Connect(t, server)
	dying := logtest.OpenOver(t, conn, func(c *eventlog.Config) { c.Patience = time.Second })
	var first, second ids
	config := only(hearing(dying, &first))
	config.Holder = "one"
	p := start(t, dying, config)
	p.holds(t, "inventory")
	before := placeMany(t, l, "before", 600)
	expect(t, l, events.PrefixReservation, len(before))
	p.caughtUp(t, "inventory")
	var checkpoint eventlog.Checkpoint
	until(t, "there is a checkpoint", func() (ok bool) {
		checkpoint, _ = l.LoadCheckpoint(t.Context(), "inventory")
		return checkpoint.Position >= uint64(len(before))
	})
	after := placeMany(t, l, "after", 20)
	expect(t, l, events.PrefixReservation, len(before)+len(after))
	conn.Close()
	p.stop()
	checkpoint, err := l.LoadCheckpoint(t.Context(), "inventory")
	if err != nil {
		t.Fatal(err)
	}
	var since []string
	for _, e := range read(t, l, events.PrefixOrder) {
		if e.Sequence > checkpoint.Position {
			since = append(since, e.Payload.(events.OrderPlaced).OrderID)
		}
	}
	config = only(hearing(l, &second))
	config.Holder = "one"
	start(t, l, config).caughtUp(t, "inventory")
	if got := second.all(); !slices.Equal(got, since) {
		t.Errorf("the second one decided about %v, want what came behind %d: %v", got, checkpoint.Position, since)
	}
	if n := count(t, l, events.PrefixReservation); n != len(before)+len(after) {
		t.Errorf("%d marks, want %d", n, len(before)+len(after))
	}
}

// A lane whose checkpoint somebody else has written is not this process's any more: it goes on from there, if at all.
func TestALaneWhoseCheckpointIsOvertakenBeginsAgain(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, operator := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	var heard ids
	p := start(t, l, only(hearing(l, &heard), acting(2, idle)))
	placed := placeMany(t, l, "o", 100)
	p.caughtUp(t, "inventory", "actor")
	for _, lane := range []string{"inventory", "actor"} {
		until(t, lane+" has a checkpoint", func() bool {
			c, err := operator.LoadCheckpoint(t.Context(), lane)
			if err != nil || c.Position == 0 {
				return false
			}
			c.Position, c.State = 0, nil
			err = operator.SaveCheckpoint(t.Context(), &c)
			if err != nil && !errors.Is(err, eventlog.ErrCheckpointConflict) { // else the lane was faster
				t.Error(err)
			}
			return err == nil
		})
	}
	placed = append(placed, placeMany(t, l, "more", 600)...) // enough for the next checkpoint
	until(t, "everything is decided about again", func() bool { return heard.count(placed[0]) == 2 && heard.count(placed[len(placed)-1]) >= 1 })
	p.caughtUp(t, "inventory", "actor")
	if n := count(t, l, events.PrefixReservation); n != len(placed) {
		t.Errorf("%d marks, want %d", n, len(placed))
	}
}
