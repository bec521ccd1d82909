package worker_test

import (
	"context"
	"fmt"
	"testing"

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
