package worker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

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
