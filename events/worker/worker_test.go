package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 21 of the fault matrix: the whole log read again changes nothing.
func TestTheWholeStreamAgainAppendsNothing(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	ids := make([]string, 200)
	for i := range ids {
		ids[i] = fmt.Sprintf("o%d", i)
	}
	place(t, l, ids...)
	p := start(t, l, only(marker(l)))
	for _, e := range expect(t, l, events.PrefixReservation, len(ids)) {
		if e.CausationID == "" {
			t.Fatalf("%s on %s has no cause", e.Type, e.Subject)
		}
	}
	p.stop()
	forget(t, l, "inventory")
	start(t, l, only(marker(l))).caughtUp(t, "inventory")
	if n := count(t, l, events.PrefixReservation); n != len(ids) {
		t.Errorf("%d facts after the second reading, want %d", n, len(ids))
	}
}

// A worker is ready while it runs, and neither before nor after.
func TestAWorkerThatHasNotBegunIsNotReady(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	w, err := worker.New(t.Context(), l, only(marker(l)))
	if err != nil {
		t.Fatal(err)
	}
	if w.Ready() == nil {
		t.Error("ready before it runs")
	}
	p := start(t, l, only(marker(l)))
	until(t, "the worker is ready", func() bool { return p.Ready() == nil })
	p.stop()
	if p.Ready() == nil {
		t.Error("ready after it was stopped")
	}
}

// A sweep is run again and again, whatever becomes of it.
func TestASweepIsRunAgainAndAgain(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var runs atomic.Int64
	domain := marker(l)
	domain.Periodics = []worker.Periodic{{Name: "sweep", Every: time.Millisecond, Run: func(context.Context) error {
		switch runs.Add(1) {
		case 1:
			return errors.New("not this time")
		case 2:
			panic("not this time")
		}
		return nil
	}}}
	p := start(t, l, only(domain))
	until(t, "it has run five times", func() bool { return runs.Load() >= 5 })
	p.stop()
}

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

// Row 59 of the fault matrix, before there is any load: a worker that is stopped while the broker opens what it reads, or
// does not, has not failed.
func TestAWorkerIsStoppedWhileItsLanesBegin(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, wire := wired(t, server.URL())
	w, err := worker.New(t.Context(), l, only(marker(l)))
	if err != nil {
		t.Fatal(err)
	}
	wire.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	until(t, "somebody waits for the broker", wire.Holding)
	cancel()
	if err := within(t, 30*time.Second, ended, "the end"); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// A worker whose broker is gone is stopped like any other: within half a minute.
func TestAWorkerIsStoppedWithoutABroker(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, wire := wired(t, server.URL(), func(c *eventlog.Config) { c.Patience = time.Second })
	p := start(t, l, only(marker(l), acting(1, func(context.Context, string) error { return nil })))
	place(t, l, "a")
	expect(t, l, events.PrefixReservation, 1)
	wire.Refuse()
	until(t, "the connection is gone", func() bool { return !l.JetStream().Conn().IsConnected() })
	ended := make(chan struct{})
	began := time.Now()
	go func() { defer close(ended); p.stop() }()
	within(t, 30*time.Second, ended, "the end")
	t.Logf("stopped in %s", time.Since(began))
}

// Nothing that stands in the log later is handled before what stands there earlier, also when a worker is stopped while it
// cannot handle the earlier one. Its successor goes on with that.
func TestAStopLeavesNoEventOut(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placed := placeMany(t, l, "o", 1200) // more than are taken at once
	var first, second ids
	stopping := make(chan struct{})
	reached := make(chan struct{}, 1000)
	p := start(t, l, only(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		first.add(id)
		if id == placed[700] {
			reached <- struct{}{}
			<-stopping
			return eventlog.ErrUnavailable
		}
		return markOnce(tx, id)
	})))
	within(t, patience, reached, "the event that cannot be handled")
	p.cancel()
	close(stopping)
	p.stop()
	if heard := first.all(); slices.Index(placed, heard[len(heard)-1]) > 700 {
		t.Fatalf("%s was handled, and %s was not", heard[len(heard)-1], placed[700])
	}
	start(t, l, only(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		second.add(id)
		return markOnce(tx, id)
	}))).caughtUp(t, "inventory")
	for i, e := range read(t, l, events.PrefixReservation) {
		if want := events.PrefixReservation + placed[i]; e.Subject != want {
			t.Fatalf("fact %d is about %s, want %s", i, e.Subject, want)
		}
	}
	if heard := second.all(); slices.Index(placed, heard[0]) > 700 {
		t.Errorf("the successor began with %s", heard[0])
	}
}
