package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 18 of the fault matrix, and the standby: a replica that stops is replaced, and every event has one effect.
func TestStandbyTakesOver(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	first, err := eventlog.Open(t.Context(), logtest.Connect(t, server), eventlog.Config{Source: "first"})
	if err != nil {
		t.Fatal(err)
	}
	active := start(t, first, configOf(marker(first)))
	place(t, l, "a", "b")
	waitEvents(t, l, events.PrefixReservation, 2)
	second := logtest.OpenOn(t, server)
	standby := start(t, second, configOf(marker(second)))
	active.stop()
	first.Close()
	place(t, l, "c", "d")
	waitEvents(t, l, events.PrefixReservation, 4)
	standby.caughtUp(t, "inventory")
	checkMarks(t, l, 4)
}

// Events that a replica had taken when it died are not lost: the next holder begins after the events that were
// handled, not after those that were read.
func TestEventsThatADeadReplicaHadTakenAreHandled(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	orderIDs := make([]string, 40)
	for i := range orderIDs {
		orderIDs[i] = fmt.Sprintf("o%d", i)
	}
	place(t, l, orderIDs[:20]...)
	conn := logtest.Connect(t, server)
	dying, err := eventlog.Open(t.Context(), conn, eventlog.Config{Source: "dying"})
	if err != nil {
		t.Fatal(err)
	}
	blocked, got := make(chan struct{}), make(chan struct{}, 100)
	stuck := onPlaced(dying, func(*eventlog.Tx, string) error {
		got <- struct{}{}
		<-blocked // it has taken events and does not finish
		return nil
	})
	w, err := worker.New(t.Context(), dying, configOf(stuck))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = w.Run(ctx) }) // fails when its connection is closed
	<-got
	conn.Close()
	place(t, l, orderIDs[20:]...)
	start(t, l, configOf(marker(l)))
	for i, e := range waitEvents(t, l, events.PrefixReservation, len(orderIDs)) {
		if want := "inventory.reservations." + orderIDs[i]; e.Subject != want {
			t.Errorf("fact %d: got %s, want %s", i, e.Subject, want)
		}
	}
	cancel()
	close(blocked)
	running.Wait()
}

// One of two workers is active. When it is stopped it releases its leases, and the other one continues at once.
func TestStoppedWorkerReleasesItsLeases(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	first, second := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	var calls [2]atomic.Int64
	counting := func(l *eventlog.Log, n *atomic.Int64) *process {
		return start(t, l, configOf(onPlaced(l, func(tx *eventlog.Tx, id string) error {
			n.Add(1)
			return markOnce(tx, id)
		}), acting(1, idle)))
	}
	active := counting(first, &calls[0])
	active.waitLeased(t, "inventory", "actor")
	standby := counting(second, &calls[1])
	place(t, first, "a", "b", "c")
	waitEvents(t, first, events.PrefixReservation, 3)
	if standby.lane(t, "inventory").Leased || calls[1].Load() != 0 {
		t.Error("the standby has the lease, or has decided")
	}
	active.stop()
	stopped := time.Now()
	standby.waitLeased(t, "inventory", "actor")
	if took := time.Since(stopped); took > first.LeaseTTL()/2 {
		t.Errorf("takeover took %s, want less than half a lease", took)
	}
	place(t, second, "d")
	waitEvents(t, second, events.PrefixReservation, 4)
	standby.caughtUp(t, "inventory", "actor")
	if got := [2]int64{calls[0].Load(), calls[1].Load()}; got != [2]int64{3, 1} {
		t.Errorf("decisions: got %v, want 3 and 1", got)
	}
}

// A worker that loses its connection is replaced when its leases expire. Once it is connected again it stands by,
// because the leases have another holder.
func TestDisconnectedWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	cut, proxy := openThroughProxy(t, server.URL(), func(c *eventlog.Config) { c.Patience = time.Second })
	active := start(t, cut, configOf(marker(cut)))
	active.waitLeased(t, "inventory")
	l := logtest.OpenOn(t, server)
	standby := start(t, l, configOf(marker(l)))
	place(t, l, "a")
	waitEvents(t, l, events.PrefixReservation, 1)
	proxy.Refuse()
	gone := time.Now()
	place(t, l, "b")
	waitEvents(t, l, events.PrefixReservation, 2)
	if took, most := time.Since(gone), l.LeaseTTL()+time.Second; took > most {
		t.Errorf("takeover took %s, want %s at most", took, most)
	}
	proxy.Release()
	waitUntil(t, "the disconnected worker stands by", func() bool { return !active.lane(t, "inventory").Leased && active.Ready() == nil })
	standby.stop()
	place(t, l, "c")
	waitEvents(t, l, events.PrefixReservation, 3)
	active.caughtUp(t, "inventory")
	checkMarks(t, l, 3)
}

// Row 19 of the fault matrix: a worker is suspended during a decision for longer than its lease lasts. A standby takes
// over. When the worker continues its append is refused, and its second decision appends nothing.
func TestAppendOfASuspendedWorkerIsRefused(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	asleep, proxy := openThroughProxy(t, server.URL())
	decided, wake := make(chan struct{}, 10), make(chan struct{})
	var calls atomic.Int64
	suspended := start(t, asleep, configOf(onPlaced(asleep, func(tx *eventlog.Tx, id string) error {
		calls.Add(1)
		err := markOnce(tx, id)
		decided <- struct{}{}
		<-wake
		return err
	})))
	l := logtest.OpenOn(t, server)
	place(t, l, "a")
	<-decided
	proxy.Hold()
	standby := start(t, l, configOf(marker(l)))
	waitEvents(t, l, events.PrefixReservation, 1)
	close(wake)
	waitUntil(t, "the suspended worker sends its append", proxy.Holding)
	proxy.Release()
	waitUntil(t, "the suspended worker has given its lane up", func() bool { return !suspended.lane(t, "inventory").Leased })
	place(t, l, "b")
	waitEvents(t, l, events.PrefixReservation, 2)
	standby.caughtUp(t, "inventory")
	checkMarks(t, l, 2)
	if n := calls.Load(); n != 2 {
		t.Errorf("the suspended worker: got %d decisions, want 2, the first of them refused", n)
	}
}

// A process that replaces one with the same holder name does not wait for the leases to expire.
func TestHolderOfTheSameNameTakesOverAtOnce(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	dead, proxy := openThroughProxy(t, server.URL(), func(c *eventlog.Config) { c.Patience = time.Second })
	config := configOf(marker(dead))
	config.Holder = "the only one"
	start(t, dead, config).waitLeased(t, "inventory")
	proxy.Refuse()
	l := logtest.OpenOn(t, server)
	config = configOf(marker(l))
	config.Holder = "the only one"
	began := time.Now()
	start(t, l, config).waitLeased(t, "inventory")
	if took := time.Since(began); took > l.LeaseTTL()/2 {
		t.Errorf("takeover took %s, want less than half a lease", took)
	}
}

// openRelease opens a log for a program of a release with the given topology.
func openRelease(t *testing.T, url string, version int) *eventlog.Log {
	t.Helper()
	return logtest.OpenOver(t, logtest.ConnectTo(t, url), func(c *eventlog.Config) {
		topology := eventlog.CurrentTopology(1)
		topology.Version = version
		c.Topology = &topology
	})
}

// publishNewerEvent publishes an event of a type that only a newer release knows.
func publishNewerEvent(t *testing.T, l *eventlog.Log, subject string) eventlog.Message {
	t.Helper()
	msg, err := events.Encode(events.Event{ID: "future", Source: "test", Time: time.Now(), Subject: subject, Revision: 2, Payload: events.OrderExpired{}})
	if err != nil {
		t.Fatal(err)
	}
	msg.Header.Set(events.HeaderType, "orders.teleported")
	msg.Header.Set(events.HeaderTopology, "2")
	ack, err := l.JetStream().PublishMsg(t.Context(), msg)
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.Get(t.Context(), ack.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Row 60 of the fault matrix: a process of an older release reads an event that it cannot read. A process of
// the newer release acquires its lanes, its readiness reports why, and the event does not become a dead letter. When
// the event is declared void the older process can run the lanes again.
func TestOlderLanesAreLeftToTheNewerRelease(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	older, newer := openRelease(t, server.URL(), 1), openRelease(t, server.URL(), 2)
	var acts [2]atomic.Int64
	counting := func(l *eventlog.Log, n *atomic.Int64) *process {
		return start(t, l, configOf(marker(l), acting(1, func(context.Context, string) error { n.Add(1); return nil })))
	}
	active := counting(older, &acts[0])
	active.waitLeased(t, "inventory", "actor")
	standby := counting(newer, &acts[1])
	place(t, newer, "a")
	waitEvents(t, newer, events.PrefixReservation, 1)
	active.caughtUp(t, "inventory", "actor")
	m := publishNewerEvent(t, newer, events.PrefixOrder+"a")
	standby.waitLeased(t, "inventory", "actor")
	if err := active.Ready(); !errors.Is(err, events.ErrNewer) {
		t.Errorf("readiness of the older process: got %v, want ErrNewer", err)
	}
	place(t, newer, "b", "c")
	waitEvents(t, newer, events.PrefixReservation, 3)
	standby.caughtUp(t, "inventory", "actor")
	if got := [2]int64{acts[0].Load(), acts[1].Load()}; got != [2]int64{1, 2} {
		t.Errorf("acts: got %v, want 1 and 2", got)
	}
	if n := countIn(t, newer, events.StreamDeadLetters, events.PrefixDeadLetter); n != 0 {
		t.Errorf("got %d dead letters, want none", n)
	}
	if err := newer.Damage(); err != nil {
		t.Errorf("damage in the newer process: got %v, want nil", err)
	}
	if _, err := eventlog.Void(t.Context(), newer, m, events.Author{Actor: "key:ops", Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the older process is ready", func() bool { return active.Ready() == nil })
	standby.stop()
	active.waitLeased(t, "inventory", "actor")
	place(t, older, "d")
	waitEvents(t, older, events.PrefixReservation, 4)
	active.caughtUp(t, "inventory", "actor")
	if n := countIn(t, older, events.StreamDeadLetters, events.PrefixDeadLetter); n != 0 {
		t.Errorf("got %d dead letters after the event was declared void, want none", n)
	}
}
