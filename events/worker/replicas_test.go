package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 18 of the fault matrix, and the standby: a replica that vanishes is replaced and every event has its one effect.
func TestAStandbyTakesOver(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	first, err := log.Open(t.Context(), logtest.Connect(t, server), log.Config{Source: "first"})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, first, worker.Config{Deciders: []worker.Decider{marker("marker")}})
	place(t, l, "a", "b")
	expect(t, l, events.StreamInventory, "inventory.reservations.*", 2)
	start(t, logtest.OpenOn(t, server), worker.Config{Deciders: []worker.Decider{marker("marker")}})
	stop()
	first.Close()
	place(t, l, "c", "d")
	expect(t, l, events.StreamInventory, "inventory.reservations.*", 4)
	caughtUp(t, l, events.StreamOrders, "marker")
	if n := count(t, l, events.StreamInventory); n != 4 {
		t.Errorf("%d facts, want 4", n)
	}
}

// A replica that died with messages in its hands must not cost them: its successor starts at what was acknowledged, not
// at what was delivered.
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
	dying, err := log.Open(t.Context(), conn, log.Config{Source: "dying"})
	if err != nil {
		t.Fatal(err)
	}
	held, got := make(chan struct{}), make(chan struct{}, 100)
	stuck := marker("marker")
	stuck.Routes = []worker.Route{worker.On(func(*log.Tx, events.Event, events.OrderPlaced) error {
		got <- struct{}{}
		<-held // has fetched, never finishes
		return nil
	})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = worker.New(dying, worker.Config{Deciders: []worker.Decider{stuck}}).Run(ctx) // dies with its connection
	}()
	<-got
	conn.Close()
	place(t, l, ids[20:]...)
	start(t, l, worker.Config{Deciders: []worker.Decider{marker("marker")}})
	for i, e := range expect(t, l, events.StreamInventory, "inventory.reservations.*", len(ids)) {
		if want := "inventory.reservations." + ids[i]; e.Subject != want {
			t.Errorf("fact %d is about %s, want %s", i, e.Subject, want)
		}
	}
	cancel()
	close(held)
	<-done
}

// Row 16 of the fault matrix: a consumer that somebody changed is not read from.
func TestAChangedConsumerIsRefused(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	stop := start(t, l, worker.Config{Deciders: []worker.Decider{marker("marker")}})
	place(t, l, "a")
	caughtUp(t, l, events.StreamOrders, "marker")
	stop()
	s, err := l.JetStream().Stream(t.Context(), events.StreamOrders)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Consumer(t.Context(), "marker")
	if err != nil {
		t.Fatal(err)
	}
	config := c.CachedInfo().Config
	config.MaxAckPending = 7
	if _, err := s.UpdateConsumer(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	err = worker.New(l, worker.Config{Deciders: []worker.Decider{marker("marker")}}).Run(t.Context())
	if !errors.Is(err, log.ErrDrift) {
		t.Errorf("got %v, want ErrDrift", err)
	}
}
