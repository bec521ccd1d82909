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

// Row 21 of the fault matrix: reading the whole log again changes nothing.
func TestReadingTheWholeLogAgainAppendsNothing(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	orderIDs := make([]string, 200)
	for i := range orderIDs {
		orderIDs[i] = fmt.Sprintf("o%d", i)
	}
	place(t, l, orderIDs...)
	p := start(t, l, configOf(marker(l)))
	for _, e := range waitEvents(t, l, events.PrefixReservation, len(orderIDs)) {
		if e.CausationID == "" {
			t.Fatalf("%s on %s has no cause", e.Type, e.Subject)
		}
	}
	p.stop()
	deleteCheckpoint(t, l, "inventory")
	start(t, l, configOf(marker(l))).caughtUp(t, "inventory")
	if n := count(t, l, events.PrefixReservation); n != len(orderIDs) {
		t.Errorf("got %d facts after the second reading, want %d", n, len(orderIDs))
	}
}

func TestWorkerIsReadyOnlyWhileItRuns(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	w, err := worker.New(t.Context(), l, configOf(marker(l)))
	if err != nil {
		t.Fatal(err)
	}
	if w.Ready() == nil {
		t.Error("ready before Run: got nil, want an error")
	}
	p := start(t, l, configOf(marker(l)))
	waitUntil(t, "the worker is ready", func() bool { return p.Ready() == nil })
	p.stop()
	if p.Ready() == nil {
		t.Error("ready after the stop: got nil, want an error")
	}
}

func TestPeriodicJobRunsAgainAfterErrorAndPanic(t *testing.T) {
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
	p := start(t, l, configOf(domain))
	waitUntil(t, "the job has run five times", func() bool { return runs.Load() >= 5 })
	p.stop()
}

// recording is a domain that marks each order and records which ones it decided about.
func recording(l *eventlog.Log, handled *ids) worker.Domain {
	return onPlaced(l, func(tx *eventlog.Tx, id string) error {
		handled.add(id)
		return markOnce(tx, id)
	})
}

// A restarted worker continues with the events after its checkpoint.
func TestRestartedWorkerContinuesAfterTheCheckpoint(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var first, second ids
	place(t, l, "a", "b", "c")
	p := start(t, l, configOf(recording(l, &first)))
	waitEvents(t, l, events.PrefixReservation, 3)
	p.caughtUp(t, "inventory")
	last := lastSequence(t, l)
	p.stop()
	checkpoint, err := l.LoadCheckpoint(t.Context(), "inventory")
	if err != nil || checkpoint.Position != last {
		t.Errorf("checkpoint: got %d (%v), want %d", checkpoint.Position, err, last)
	}
	place(t, l, "d", "e")
	start(t, l, configOf(recording(l, &second))).caughtUp(t, "inventory")
	if got := second.all(); !slices.Equal(got, []string{"d", "e"}) {
		t.Errorf("decisions of the second worker: got %v, want d and e", got)
	}
}

// A worker that dies leaves its last checkpoint. The events that it has handled since are handled again, without a
// second effect.
func TestEventsHandledAgainAfterACrashHaveNoSecondEffect(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, conn := logtest.OpenOn(t, server), logtest.Connect(t, server)
	dying := logtest.OpenOver(t, conn, func(c *eventlog.Config) { c.Patience = time.Second })
	var first, second ids
	config := configOf(recording(dying, &first))
	config.Holder = "one"
	p := start(t, dying, config)
	p.waitLeased(t, "inventory")
	before := placeMany(t, l, "before", 600)
	waitEvents(t, l, events.PrefixReservation, len(before))
	p.caughtUp(t, "inventory")
	var checkpoint eventlog.Checkpoint
	waitUntil(t, "there is a checkpoint", func() (ok bool) {
		checkpoint, _ = l.LoadCheckpoint(t.Context(), "inventory")
		return checkpoint.Position >= uint64(len(before))
	})
	after := placeMany(t, l, "after", 20)
	waitEvents(t, l, events.PrefixReservation, len(before)+len(after))
	conn.Close()
	p.stop()
	checkpoint, err := l.LoadCheckpoint(t.Context(), "inventory")
	if err != nil {
		t.Fatal(err)
	}
	var since []string
	for _, e := range readEvents(t, l, events.PrefixOrder) {
		if e.Sequence > checkpoint.Position {
			since = append(since, e.Payload.(events.OrderPlaced).OrderID)
		}
	}
	config = configOf(recording(l, &second))
	config.Holder = "one"
	start(t, l, config).caughtUp(t, "inventory")
	if got := second.all(); !slices.Equal(got, since) {
		t.Errorf("decisions of the second worker: got %v, want those after %d: %v", got, checkpoint.Position, since)
	}
	checkMarks(t, l, len(before)+len(after))
}

// A lane whose checkpoint another process has written ends, and begins again from that checkpoint.
func TestLaneWhoseCheckpointWasReplacedBeginsAgain(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, operator := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	var handled ids
	p := start(t, l, configOf(recording(l, &handled), acting(2, idle)))
	placed := placeMany(t, l, "o", 100)
	p.caughtUp(t, "inventory", "actor")
	for _, lane := range []string{"inventory", "actor"} {
		waitUntil(t, lane+" has a checkpoint", func() bool {
			c, err := operator.LoadCheckpoint(t.Context(), lane)
			if err != nil || c.Position == 0 {
				return false
			}
			c.Position, c.State = 0, nil
			err = operator.SaveCheckpoint(t.Context(), &c)
			if err != nil && !errors.Is(err, eventlog.ErrCheckpointConflict) { // a conflict means that the lane was faster
				t.Error(err)
			}
			return err == nil
		})
	}
	placed = append(placed, placeMany(t, l, "more", 600)...) // enough for another checkpoint
	waitUntil(t, "every event is decided about again", func() bool { return handled.count(placed[0]) == 2 && handled.count(placed[len(placed)-1]) >= 1 })
	p.caughtUp(t, "inventory", "actor")
	checkMarks(t, l, len(placed))
}

// Row 59 of the fault matrix, before there is any load: a worker that is stopped while its lanes wait for the broker
// ends without an error.
func TestWorkerStopsWhileItsLanesBegin(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, proxy := openThroughProxy(t, server.URL())
	w, err := worker.New(t.Context(), l, configOf(marker(l)))
	if err != nil {
		t.Fatal(err)
	}
	proxy.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	waitUntil(t, "a request waits for the broker", proxy.Holding)
	cancel()
	if err := receive(t, 30*time.Second, ended, "Run returns"); err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
}

// A worker without a broker stops within half a minute, like any other.
func TestWorkerStopsWithoutABroker(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, proxy := openThroughProxy(t, server.URL(), func(c *eventlog.Config) { c.Patience = time.Second })
	p := start(t, l, configOf(marker(l), acting(1, func(context.Context, string) error { return nil })))
	place(t, l, "a")
	waitEvents(t, l, events.PrefixReservation, 1)
	proxy.Refuse()
	waitUntil(t, "the connection is gone", func() bool { return !l.JetStream().Conn().IsConnected() })
	ended := make(chan struct{})
	began := time.Now()
	go func() { defer close(ended); p.stop() }()
	receive(t, 30*time.Second, ended, "Run returns")
	t.Logf("stopped in %s", time.Since(began))
}

// No event is handled before an earlier one of the log, even when a worker is stopped while it cannot handle the
// earlier one. The next holder continues with the earlier one.
func TestStopDuringABlockedEventSkipsNoEvent(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placed := placeMany(t, l, "o", 1200) // more than are taken at once
	var first, second ids
	stopping := make(chan struct{})
	reached := make(chan struct{}, 1000)
	p := start(t, l, configOf(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		first.add(id)
		if id == placed[700] {
			reached <- struct{}{}
			<-stopping
			return eventlog.ErrUnavailable
		}
		return markOnce(tx, id)
	})))
	receive(t, patience, reached, "the event that cannot be handled")
	p.cancel()
	close(stopping)
	p.stop()
	if handled := first.all(); slices.Index(placed, handled[len(handled)-1]) > 700 {
		t.Fatalf("%s was handled before %s", handled[len(handled)-1], placed[700])
	}
	start(t, l, configOf(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		second.add(id)
		return markOnce(tx, id)
	}))).caughtUp(t, "inventory")
	for i, e := range readEvents(t, l, events.PrefixReservation) {
		if want := events.PrefixReservation + placed[i]; e.Subject != want {
			t.Fatalf("fact %d: got %s, want %s", i, e.Subject, want)
		}
	}
	if handled := second.all(); slices.Index(placed, handled[0]) > 700 {
		t.Errorf("the next holder began with %s, after the blocked event", handled[0])
	}
}
