package replay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// watcher runs a lane that tells of every order it sees, until stopped.
func (s *shop) watcher(handled chan<- string) (*worker.Worker, func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	l := logtest.OpenOn(s.t, s.server)
	routes := []worker.Route{worker.On(func(_ *eventlog.Tx, e events.Event, _ events.OrderExpired) error { handled <- e.ID; return nil })}
	w, done := s.begin(ctx, l, worker.Config{Domains: []worker.Domain{{Name: "watcher", Log: l, Routes: routes}}})
	return w, func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	}
}

// A pause holds in every process and over restarts, is degraded and not unready, and ends with resume, with nothing lost
// and nothing out of order.
func TestAPausedLaneRests(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	handled := make(chan string, 10)
	w, stop := s.watcher(handled)
	s.say("1", "orders.o1", "", "", events.OrderExpired{})
	if id := <-handled; id != "1" {
		t.Fatal(id)
	}
	await(t, func() bool { return s.lane("watcher").Position == 1 })
	paused, err := s.Pause(t.Context(), []string{"watcher"}, replay.UntilResumed)
	if err != nil || len(paused) != 1 || !paused[0].Paused || paused[0].Until != nil {
		t.Fatalf("%+v, %v", paused, err)
	}
	await(t, func() bool { return w.Degraded() != nil })
	s.say("2", "orders.o1", "", "", events.OrderExpired{})
	if err := w.Degraded(); w.Ready() != nil || !strings.Contains(err.Error(), "watcher: paused until it is resumed") {
		t.Errorf("ready %v, degraded %v", w.Ready(), err)
	}
	stop()
	w, stop = s.watcher(handled)
	defer stop()
	s.say("3", "orders.o1", "", "", events.OrderExpired{})
	await(t, func() bool { return w.Degraded() != nil })
	await(t, func() bool { l := s.lane("watcher"); return l.Holder != "" && l.Lag >= 2 }) // it could work, and does not
	if len(handled) > 0 {
		t.Errorf("%d handled while paused", len(handled))
	}
	if resumed, err := s.Resume(t.Context(), []string{"watcher"}); err != nil || len(resumed) != 1 || resumed[0].Paused {
		t.Fatalf("%+v, %v", resumed, err)
	}
	if first, second := <-handled, <-handled; first != "2" || second != "3" {
		t.Errorf("handled %s, then %s", first, second)
	}
	await(t, func() bool { return w.Degraded() == nil && s.lane("watcher").Lag == 0 })
}

// A pause that has an end needs nobody to end it.
func TestAPauseRunsOut(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	handled := make(chan string, 10)
	w, stop := s.watcher(handled)
	defer stop()
	await(t, func() bool { return s.lane("watcher").Holder != "" })
	until := time.Now().Add(2 * time.Second)
	if paused, err := s.Pause(t.Context(), []string{"watcher"}, until); err != nil || len(paused) != 1 || paused[0].Until == nil || !paused[0].Until.Equal(until) {
		t.Fatal(paused, err)
	}
	await(t, func() bool { return w.Degraded() != nil })
	s.say("1", "orders.o1", "", "", events.OrderExpired{})
	<-handled
	if early := time.Until(until); early > 0 {
		t.Errorf("handled %s early", early)
	}
	if l := s.lane("watcher"); l.Paused || l.Until != nil {
		t.Errorf("paused until %v", l.Until)
	}
}

func TestUnknownLanesAreRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, stop := s.watcher(nil)
	defer stop()
	await(t, func() bool { return s.lane("watcher").Holder != "" })
	_, err := s.Pause(t.Context(), []string{"watcher", "wacher"}, replay.UntilResumed)
	if !errors.Is(err, replay.ErrUnknownLane) || !strings.Contains(err.Error(), "there are watcher") {
		t.Error(err)
	}
	if s.lane("watcher").Paused {
		t.Error("one of them was paused")
	}
	for _, name := range []string{replay.Projections, replay.Views} {
		if lanes, err := s.Pause(t.Context(), []string{name}, replay.UntilResumed); err != nil || len(lanes) > 0 {
			t.Errorf("%+v, %v; want no projections", lanes, err)
		}
	}
	if err := s.log.SaveCheckpoint(t.Context(), &eventlog.Checkpoint{Lane: "watcher.projection"}); err != nil {
		t.Fatal(err)
	}
	if lanes, err := s.Pause(t.Context(), []string{replay.Projections}, replay.UntilResumed); err != nil || len(lanes) != 1 || !lanes[0].Paused {
		t.Errorf("%+v, %v; want the projection", lanes, err)
	}
	if s.lane("watcher").Paused {
		t.Error("what is no projection was paused")
	}
}
