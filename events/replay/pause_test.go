package replay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// watcher runs a worker that tells of every order it sees, until stopped.
func (s *shop) watcher(handled chan<- string) (*worker.Worker, func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	w := worker.New(logtest.OpenOn(s.t, s.server), worker.Config{Deciders: []worker.Decider{{Name: "watcher", Source: events.StreamOrders,
		Routes: []worker.Route{worker.On(func(_ *log.Tx, e events.Event, _ events.OrderExpired) error { handled <- e.ID; return nil })}}}})
	go func() { done <- w.Run(ctx) }()
	return w, func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	}
}

// A pause holds in every replica and over restarts, is degraded and not unready, and ends with resume, with nothing lost
// and nothing out of order.
func TestAPausedWorkerRests(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	handled := make(chan string, 10)
	w, stop := s.watcher(handled)
	s.say("1", "orders.o1", "", "", events.OrderExpired{})
	if id := <-handled; id != "1" {
		t.Fatal(id)
	}
	await(t, func() bool { return onlyConsumer(t, s).Lag() == 0 })
	paused, err := s.Pause(t.Context(), []string{"watcher"}, replay.UntilResumed)
	if err != nil || len(paused) != 1 || paused[0].Paused == nil || !paused[0].Paused.Equal(replay.UntilResumed) {
		t.Fatalf("%+v, %v", paused, err)
	}
	s.say("2", "orders.o1", "", "", events.OrderExpired{})
	await(t, func() bool { return w.Degraded() != nil })
	if err := w.Degraded(); w.Ready() != nil || !strings.Contains(err.Error(), "watcher: paused until somebody resumes it") {
		t.Errorf("ready %v, degraded %v", w.Ready(), err)
	}
	stop()
	w, stop = s.watcher(handled)
	defer stop()
	s.say("3", "orders.o1", "", "", events.OrderExpired{})
	await(t, func() bool { return w.Degraded() != nil })
	// It asks, and gets nothing. The broker counts what waits a moment after it has acknowledged the event.
	await(t, func() bool { c := onlyConsumer(t, s); return c.Active && c.Lag() == 2 })
	if len(handled) > 0 {
		t.Errorf("%d handled while paused", len(handled))
	}
	if resumed, err := s.Resume(t.Context(), []string{"watcher"}); err != nil || len(resumed) != 1 || resumed[0].Paused != nil {
		t.Fatalf("%+v, %v", resumed, err)
	}
	if first, second := <-handled, <-handled; first != "2" || second != "3" {
		t.Errorf("handled %s, then %s", first, second)
	}
	await(t, func() bool { return w.Degraded() == nil && onlyConsumer(t, s).Lag() == 0 })
}

// A pause that has an end needs nobody to end it.
func TestAPauseRunsOut(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	handled := make(chan string, 10)
	_, stop := s.watcher(handled)
	defer stop()
	await(t, func() bool { return onlyConsumer(t, s).Active })
	until := time.Now().Add(2 * time.Second)
	if _, err := s.Pause(t.Context(), []string{"watcher"}, until); err != nil {
		t.Fatal(err)
	}
	s.say("1", "orders.o1", "", "", events.OrderExpired{})
	<-handled
	if early := time.Until(until); early > 0 {
		t.Errorf("handled %s early", early)
	}
	if c := onlyConsumer(t, s); c.Paused != nil {
		t.Errorf("paused until %s", c.Paused)
	}
}

func TestUnknownWorkersAreRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, stop := s.watcher(nil)
	defer stop()
	await(t, func() bool { return onlyConsumer(t, s).Active })
	_, err := s.Pause(t.Context(), []string{"watcher", "wacher"}, replay.UntilResumed)
	if !errors.Is(err, replay.ErrUnknownWorker) || !strings.Contains(err.Error(), "there are watcher") {
		t.Error(err)
	}
	if c := onlyConsumer(t, s); c.Paused != nil {
		t.Error("one of them was paused")
	}
	if views, err := s.Pause(t.Context(), []string{replay.Views}, replay.UntilResumed); err != nil || len(views) > 0 {
		t.Errorf("%+v, %v; want no views", views, err)
	}
}
