package replay_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// A running lane has a holder and no lag; a stopped one has no holder, and its lag grows.
func TestLanesReportHolderAndLag(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	handled := make(chan string, 10)
	_, stop := s.watcher(handled)
	s.append("1", "orders.o1", "", "", events.OrderExpired{})
	<-handled
	await(t, func() bool { l := s.lane("watcher"); return l.Holder != "" && l.Position == 1 && l.Lag == 0 })
	stop()
	s.append("2", "orders.o1", "", "", events.OrderExpired{})
	await(t, func() bool { l := s.lane("watcher"); return l.Holder == "" && l.Lag == 1 })
	l := s.lane("watcher")
	if l.Kind != worker.KindDecide || l.Paused || l.Written == nil {
		t.Errorf("stopped lane: got %+v, want a decide lane with a checkpoint", l)
	}
}

// Running acts and an open circuit are part of the checkpoint.
func TestLanesReportOpenActsAndCircuit(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx, cancel := context.WithCancel(t.Context())
	begun, release := make(chan struct{}), make(chan struct{})
	first := sync.OnceValue(func() error { close(begun); <-release; return nil })
	actor := worker.Actor{Name: "watcher.mail", Routes: []worker.ActRoute{worker.Do(func(context.Context, events.Event, events.OrderExpired) error {
		if err := first(); err != nil {
			return err
		}
		return worker.OpenCircuit(errors.New("the relay refuses the shop"))
	})}}
	done := s.work(ctx, worker.Config{Domains: []worker.Domain{{Name: "watcher", Log: s.log, Actors: []worker.Actor{actor}}}})
	s.append("1", "orders.o1", "", "", events.OrderExpired{})
	<-begun
	await(t, func() bool {
		l := s.lane("watcher.mail")
		return l.Lag == 0 && len(l.Open) == 1 && l.Open[0].Sequence == 1 && l.CircuitOpen == ""
	})
	close(release)
	await(t, func() bool {
		l := s.lane("watcher.mail")
		return strings.Contains(l.CircuitOpen, "the relay refuses the shop")
	})
	if l := s.lane("watcher.mail"); l.Kind != worker.KindAct || len(l.Open) != 1 || l.Open[0].Attempt < 1 {
		t.Errorf("lane with an open circuit: got %+v, want one open act", l)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// The kind of a lane follows from its name.
func TestLanesHaveKindByName(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	want := map[string]worker.Kind{"orders": worker.KindDecide, "orders.timers": worker.KindTimer, "orders.projection": worker.KindProject,
		"archive": worker.KindArchive, "payments.stripe": worker.KindAct}
	for name := range want {
		if err := s.log.SaveCheckpoint(t.Context(), &eventlog.Checkpoint{Lane: name}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"payments.reconcile", "payments.balance.reconcile"} { // a checkpoint of the reconciler is no lane
		if err := s.log.SaveCheckpoint(t.Context(), &eventlog.Checkpoint{Lane: name, State: []byte(`{"to":"2026-11-01T00:00:00Z"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	lanes, err := s.Lanes(t.Context())
	if err != nil || len(lanes) != len(want) {
		t.Fatalf("lanes: got %+v, %v; want %d", lanes, err, len(want))
	}
	for _, l := range lanes {
		if l.Kind != want[l.Name] {
			t.Errorf("kind of %s: got %s, want %s", l.Name, l.Kind, want[l.Name])
		}
	}
}

// A pause holds in every process and survives restarts. The process is degraded but ready. After Resume the lane handles the events of
// the pause in order.
func TestPausedLaneHandlesEventsAfterResume(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	handled := make(chan string, 10)
	w, stop := s.watcher(handled)
	s.append("1", "orders.o1", "", "", events.OrderExpired{})
	if id := <-handled; id != "1" {
		t.Fatalf("handled: got %s, want 1", id)
	}
	await(t, func() bool { return s.lane("watcher").Position == 1 })
	paused, err := s.Pause(t.Context(), []string{"watcher"}, replay.UntilResumed, events.Author{Actor: "key:ops"})
	if err != nil || len(paused) != 1 || !paused[0].Paused || paused[0].Until != nil {
		t.Fatalf("pause: got %+v, %v; want the paused watcher", paused, err)
	}
	await(t, func() bool { return w.Degraded() != nil })
	s.append("2", "orders.o1", "", "", events.OrderExpired{})
	if err := w.Degraded(); w.Ready() != nil || !strings.Contains(err.Error(), "watcher: paused until it is resumed") {
		t.Errorf("paused worker: got ready %v, degraded %v; want degraded only", w.Ready(), err)
	}
	stop()
	w, stop = s.watcher(handled)
	defer stop()
	s.append("3", "orders.o1", "", "", events.OrderExpired{})
	await(t, func() bool { return w.Degraded() != nil })
	await(t, func() bool { l := s.lane("watcher"); return l.Holder != "" && l.Lag >= 2 }) // it holds its lease and has events to handle
	if len(handled) > 0 {
		t.Errorf("handled during the pause: got %d, want 0", len(handled))
	}
	if resumed, err := s.Resume(t.Context(), []string{"watcher"}, events.Author{Actor: "key:ops"}); err != nil || len(resumed) != 1 || resumed[0].Paused {
		t.Fatalf("resume: got %+v, %v; want the watcher", resumed, err)
	}
	if first, second := <-handled, <-handled; first != "2" || second != "3" {
		t.Errorf("handled: got %s, %s; want 2, 3", first, second)
	}
	await(t, func() bool { return w.Degraded() == nil && s.lane("watcher").Lag == 0 })
}

// A pause with an end time ends by itself.
func TestPauseEndsAtItsTime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	handled := make(chan string, 10)
	w, stop := s.watcher(handled)
	defer stop()
	await(t, func() bool { return s.lane("watcher").Holder != "" })
	until := time.Now().Add(2 * time.Second)
	if paused, err := s.Pause(t.Context(), []string{"watcher"}, until, events.Author{Actor: "key:ops"}); err != nil || len(paused) != 1 || paused[0].Until == nil || !paused[0].Until.Equal(until) {
		t.Fatalf("pause: got %+v, %v; want the watcher until %s", paused, err, until)
	}
	await(t, func() bool { return w.Degraded() != nil })
	s.append("1", "orders.o1", "", "", events.OrderExpired{})
	<-handled
	if early := time.Until(until); early > 0 {
		t.Errorf("handled %s before the end of the pause", early)
	}
	if l := s.lane("watcher"); l.Paused || l.Until != nil {
		t.Errorf("lane after the pause: got %+v, want not paused", l)
	}
}

func TestPauseRefusesUnknownLanes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, stop := s.watcher(nil)
	defer stop()
	await(t, func() bool { return s.lane("watcher").Holder != "" })
	_, err := s.Pause(t.Context(), []string{"watcher", "wacher"}, replay.UntilResumed, events.Author{Actor: "key:ops"})
	if !errors.Is(err, replay.ErrUnknownLane) || !strings.Contains(err.Error(), "there are watcher") {
		t.Errorf("pause: got %v, want %v with the known names", err, replay.ErrUnknownLane)
	}
	if s.lane("watcher").Paused {
		t.Error("watcher: got paused, want unchanged")
	}
	for _, name := range []string{replay.Projections, replay.Views} {
		if lanes, err := s.Pause(t.Context(), []string{name}, replay.UntilResumed, events.Author{Actor: "key:ops"}); err != nil || len(lanes) > 0 {
			t.Errorf("pause %s: got %+v, %v; want no lanes", name, lanes, err)
		}
	}
	if err := s.log.SaveCheckpoint(t.Context(), &eventlog.Checkpoint{Lane: "watcher.projection"}); err != nil {
		t.Fatal(err)
	}
	if lanes, err := s.Pause(t.Context(), []string{replay.Projections}, replay.UntilResumed, events.Author{Actor: "key:ops"}); err != nil || len(lanes) != 1 || !lanes[0].Paused {
		t.Errorf("pause %s: got %+v, %v; want the projection", replay.Projections, lanes, err)
	}
	if s.lane("watcher").Paused {
		t.Error("watcher: got paused, want only the projection paused")
	}
}
