package worker_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

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

// An event that was declared void is not handled again, however well its handler would do: its dead letter is to be discarded.
func TestAVoidEventIsNotHandledAgain(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s stubborn
	s.bury(t, l, "a")
	m, err := l.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventlog.Void(t.Context(), l, m, "a test"); err != nil {
		t.Fatal(err)
	}
	s.works.Store(true)
	start(t, l, only(s.domain(l)))
	redeliver(t, l, "inventory", 1)
	if got := outcomes(t, l, "inventory", 1, 2); !strings.Contains(got[1], "event 1 was declared void") {
		t.Errorf("the dead letter says %v", got)
	}
	if heard := s.heard.all(); len(heard) != 0 {
		t.Errorf("handled again: %v", heard)
	}
}
