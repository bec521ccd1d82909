package replay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

func TestParkedIsCountedByCause(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i, print := range []string{"rare", "often", "often"} {
		s.say(fmt.Sprint(i), "parked.w", "", "", events.EventParked{Worker: "w", Stream: "ORDERS", Sequence: uint64(100 + i), Fingerprint: print, Error: fmt.Sprint("error ", i)})
	}
	if _, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: "parked.w", Data: []byte("by hand")}); err != nil {
		t.Fatal(err)
	}
	all, err := s.AllParked(t.Context())
	if err != nil || len(all) != 4 {
		t.Fatalf("%d parked, %v; want 4", len(all), err)
	}
	causes := replay.Causes(all)
	if len(causes) != 3 || causes[0].Fingerprint != "often" || causes[0].Count != 2 || causes[0].Example != 3 || causes[0].Error != "error 2" {
		t.Errorf("causes: %+v", causes)
	}
	if p, err := s.ParkedAt(t.Context(), 2); err != nil || p.Origin() != "ORDERS/101" {
		t.Errorf("at 2: %+v, %v", p, err)
	}
	if p, err := s.ParkedAt(t.Context(), 4); err != nil || string(p.Data) != "by hand" {
		t.Errorf("by hand: %+v, %v", p, err)
	}
	if _, err := s.ParkedAt(t.Context(), 5); !errors.Is(err, replay.ErrNotFound) {
		t.Errorf("nothing there: %v", err)
	}
}

// A worker that runs shows as active with nothing left; stopped, as inactive with what came since.
func TestConsumersShowWhoIsBehind(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	handled := make(chan struct{}, 10)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		watcher := worker.Decider{Name: "watcher", Source: events.StreamOrders,
			Routes: []worker.Route{worker.On(func(*log.Tx, events.Event, events.OrderExpired) error { handled <- struct{}{}; return nil })}}
		done <- worker.New(s.log, worker.Config{Deciders: []worker.Decider{watcher}}).Run(ctx)
	}()
	s.say("1", "orders.o1", "", "", events.OrderExpired{})
	<-handled
	await(t, func() bool { c := onlyConsumer(t, s); return c.Active && c.Done == 1 && c.Lag() == 0 })
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.say("2", "orders.o1", "", "", events.OrderExpired{})
	await(t, func() bool { c := onlyConsumer(t, s); return !c.Active && c.Lag() == 1 })
	c := onlyConsumer(t, s)
	if c.Name != "watcher" || c.Stream != events.StreamOrders || c.Loop != replay.LoopDecide {
		t.Errorf("got %+v", c)
	}
}

func onlyConsumer(t *testing.T, s *shop) replay.Consumer {
	t.Helper()
	consumers, err := s.Consumers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(consumers) != 1 {
		return replay.Consumer{}
	}
	return consumers[0]
}

// await polls until a fact holds.
func await(t *testing.T, reached func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for ticker := time.NewTicker(20 * time.Millisecond); !reached(); {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("never reached")
		}
	}
}
