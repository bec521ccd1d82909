package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 18 of the fault matrix, and the standby: a replica that vanishes is replaced and every event has its one effect.
func TestAStandbyTakesOver(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	first, err := eventlog.Open(t.Context(), logtest.Connect(t, server), eventlog.Config{Source: "first"})
	if err != nil {
		t.Fatal(err)
	}
	active := start(t, first, only(marker(first)))
	place(t, l, "a", "b")
	expect(t, l, events.PrefixReservation, 2)
	second := logtest.OpenOn(t, server)
	standby := start(t, second, only(marker(second)))
	active.stop()
	first.Close()
	place(t, l, "c", "d")
	expect(t, l, events.PrefixReservation, 4)
	standby.caughtUp(t, "inventory")
	if n := count(t, l, events.PrefixReservation); n != 4 {
		t.Errorf("%d facts, want 4", n)
	}
}

// A replica that died with messages in its hands must not cost them: its successor starts at what was handled, not at what
// was read.
func TestWhatADeadReplicaHadFetchedIsNotLost(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	ids := make([]string, 40)
	for i := range ids {
		ids[i] = fmt.Sprintf("o%d", i)
	}
	place(t, l, ids[:20]...)
	conn := logtest.Connect(t, server)
	dying, err := eventlog.Open(t.Context(), conn, eventlog.Config{Source: "dying"})
	if err != nil {
		t.Fatal(err)
	}
	held, got := make(chan struct{}), make(chan struct{}, 100)
	stuck := onPlaced(dying, func(*eventlog.Tx, string) error {
		got <- struct{}{}
		<-held // has fetched, never finishes
		return nil
	})
	w, err := worker.New(t.Context(), dying, only(stuck))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx) // dies with its connection
	}()
	<-got
	conn.Close()
	place(t, l, ids[20:]...)
	start(t, l, only(marker(l)))
	for i, e := range expect(t, l, events.PrefixReservation, len(ids)) {
		if want := "inventory.reservations." + ids[i]; e.Subject != want {
			t.Errorf("fact %d is about %s, want %s", i, e.Subject, want)
		}
	}
	cancel()
	close(held)
	<-done
}

// Of two workers one is active. When it is stopped it gives its leases back, and the other one goes on at once.
func TestAStoppedWorkerGivesItsLeasesBack(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	first, second := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	var calls [2]atomic.Int64
	counting := func(l *eventlog.Log, n *atomic.Int64) *process {
		return start(t, l, only(onPlaced(l, func(tx *eventlog.Tx, id string) error {
			n.Add(1)
			return markOnce(tx, id)
		}), acting(1, idle)))
	}
	active := counting(first, &calls[0])
	active.holds(t, "inventory", "actor")
	standby := counting(second, &calls[1])
	place(t, first, "a", "b", "c")
	expect(t, first, events.PrefixReservation, 3)
	if standby.lane(t, "inventory").Leased || calls[1].Load() != 0 {
		t.Error("both are active")
	}
	active.stop()
	stopped := time.Now()
	standby.holds(t, "inventory", "actor")
	if took := time.Since(stopped); took > first.LeaseTTL()/2 {
		t.Errorf("the other one took over after %s, want at once", took)
	}
	place(t, second, "d")
	expect(t, second, events.PrefixReservation, 4)
	standby.caughtUp(t, "inventory", "actor")
	if got := [2]int64{calls[0].Load(), calls[1].Load()}; got != [2]int64{3, 1} {
		t.Errorf("decided %v times, want 3 and 1", got)
	}
}

// A worker that is cut off is replaced when its leases run out. When it is back it finds them taken, and stands by.
func TestAWorkerThatIsCutOffIsReplaced(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	cut, wire := wired(t, server.URL(), func(c *eventlog.Config) { c.Patience = time.Second })
	active := start(t, cut, only(marker(cut)))
	active.holds(t, "inventory")
	l := logtest.OpenOn(t, server)
	standby := start(t, l, only(marker(l)))
	place(t, l, "a")
	expect(t, l, events.PrefixReservation, 1)
	wire.Refuse()
	gone := time.Now()
	place(t, l, "b")
	expect(t, l, events.PrefixReservation, 2)
	if took, most := time.Since(gone), l.LeaseTTL()+time.Second; took > most {
		t.Errorf("replaced after %s, want within %s", took, most)
	}
	wire.Release()
	until(t, "the one that was cut off stands by", func() bool { return !active.lane(t, "inventory").Leased && active.Ready() == nil })
	standby.stop()
	place(t, l, "c")
	expect(t, l, events.PrefixReservation, 3)
	active.caughtUp(t, "inventory")
	if n := count(t, l, events.PrefixReservation); n != 3 {
		t.Errorf("%d marks, want 3", n)
	}
}

// Row 19 of the fault matrix: a worker stands still for longer than its lease lasts, with a decision in its hands. A standby
// takes over. When the first one goes on its append is refused, and it finds that there is nothing to do.
func TestAZombiesAppendIsRefused(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	asleep, wire := wired(t, server.URL())
	decided, wake := make(chan struct{}, 10), make(chan struct{})
	var calls atomic.Int64
	zombie := start(t, asleep, only(onPlaced(asleep, func(tx *eventlog.Tx, id string) error {
		calls.Add(1)
		err := markOnce(tx, id)
		decided <- struct{}{}
		<-wake
		return err
	})))
	l := logtest.OpenOn(t, server)
	place(t, l, "a")
	<-decided
	wire.Hold()
	standby := start(t, l, only(marker(l)))
	expect(t, l, events.PrefixReservation, 1)
	close(wake)
	until(t, "the zombie speaks", wire.Holding)
	wire.Release()
	until(t, "the zombie knows", func() bool { return !zombie.lane(t, "inventory").Leased })
	place(t, l, "b")
	expect(t, l, events.PrefixReservation, 2)
	standby.caughtUp(t, "inventory")
	if n := count(t, l, events.PrefixReservation); n != 2 {
		t.Errorf("%d marks, want 2", n)
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("the zombie decided %d times, want twice: its first try was refused", n)
	}
}

// A process that replaces one of the same name does not wait for leases to run out.
func TestASuccessorOfTheSameNameTakesOverAtOnce(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	dead, wire := wired(t, server.URL(), func(c *eventlog.Config) { c.Patience = time.Second })
	config := only(marker(dead))
	config.Holder = "the only one"
	start(t, dead, config).holds(t, "inventory")
	wire.Refuse()
	l := logtest.OpenOn(t, server)
	config = only(marker(l))
	config.Holder = "the only one"
	began := time.Now()
	start(t, l, config).holds(t, "inventory")
	if took := time.Since(began); took > l.LeaseTTL()/2 {
		t.Errorf("it took over after %s, want at once", took)
	}
}

// release is a log of a program that knows a topology.
func release(t *testing.T, url string, version int) *eventlog.Log {
	t.Helper()
	return logtest.OpenOver(t, logtest.ConnectTo(t, url), func(c *eventlog.Config) {
		topology := eventlog.CurrentTopology(1)
		topology.Version = version
		c.Topology = &topology
	})
}

// fromTheFuture publishes an event of a type that no program of this release knows.
func fromTheFuture(t *testing.T, l *eventlog.Log, subject string) eventlog.Message {
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

// Row 60 of the fault matrix: a process of an older release meets an event that it does not understand. Its lanes go to a process of the newer one, its
// readiness says why, and nothing is set aside. When the event is declared void it takes its turn again.
func TestOlderLanesAreLeftToTheNewerRelease(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	older, newer := release(t, server.URL(), 1), release(t, server.URL(), 2)
	var acts [2]atomic.Int64
	counting := func(l *eventlog.Log, n *atomic.Int64) *process {
		return start(t, l, only(marker(l), acting(1, func(context.Context, string) error { n.Add(1); return nil })))
	}
	active := counting(older, &acts[0])
	active.holds(t, "inventory", "actor")
	standby := counting(newer, &acts[1])
	place(t, newer, "a")
	expect(t, newer, events.PrefixReservation, 1)
	active.caughtUp(t, "inventory", "actor")
	m := fromTheFuture(t, newer, events.PrefixOrder+"a")
	standby.holds(t, "inventory", "actor")
	if err := active.Ready(); !errors.Is(err, events.ErrNewer) {
		t.Errorf("the older process is ready: %v, want ErrNewer", err)
	}
	place(t, newer, "b", "c")
	expect(t, newer, events.PrefixReservation, 3)
	standby.caughtUp(t, "inventory", "actor")
	if got := [2]int64{acts[0].Load(), acts[1].Load()}; got != [2]int64{1, 2} {
		t.Errorf("acted %v times, want 1 and 2", got)
	}
	if n := countIn(t, newer, events.StreamDeadLetters, events.PrefixDeadLetter); n != 0 {
		t.Errorf("%d dead letters, want none", n)
	}
	if err := newer.Damage(); err != nil {
		t.Errorf("the newer release: %v", err)
	}
	if _, err := eventlog.Void(t.Context(), newer, m, "a test"); err != nil {
		t.Fatal(err)
	}
	until(t, "the older process is ready", func() bool { return active.Ready() == nil })
	standby.stop()
	active.holds(t, "inventory", "actor")
	place(t, older, "d")
	expect(t, older, events.PrefixReservation, 4)
	active.caughtUp(t, "inventory", "actor")
	if n := countIn(t, older, events.StreamDeadLetters, events.PrefixDeadLetter); n != 0 {
		t.Errorf("%d dead letters after the event was declared void, want none", n)
	}
}
