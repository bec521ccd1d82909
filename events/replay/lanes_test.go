package replay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

func TestDeadLettersAreCountedByCause(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.say("placed", "orders.o1", "", "", events.OrderExpired{})
	for i, print := range []string{"rare", "often", "often"} {
		s.say(fmt.Sprint(i), fmt.Sprintf("deadletters.w.%d", 1+i), "", "", events.DeadLettered{Worker: "w", Sequence: uint64(1 + i), Fingerprint: print, Error: fmt.Sprint("error ", i)})
	}
	if _, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: "deadletters.w", Data: []byte("by hand")}); err != nil {
		t.Fatal(err)
	}
	all, err := s.DeadLetters(t.Context(), 0)
	if last, err2 := s.LastDeadLetter(t.Context()); err != nil || len(all) != 4 || err2 != nil || last != 4 {
		t.Fatalf("%d dead letters up to %d, %v, %v; want 4", len(all), last, err, err2)
	}
	causes := replay.Causes(all)
	if len(causes) != 3 || causes[0].Fingerprint != "often" || causes[0].Count != 2 || causes[0].Example != 3 || causes[0].Error != "error 2" {
		t.Errorf("causes: %+v", causes)
	}
	if d, _, err := s.DeadLetterAt(t.Context(), 2); err != nil || d.Number != 2 || d.Sequence != 2 {
		t.Errorf("at 2: %+v, %v", d, err)
	} else if _, err := s.Original(t.Context(), d); !errors.Is(err, replay.ErrNotFound) {
		t.Errorf("an event that is not in the log: %v", err)
	}
	if m, err := s.Original(t.Context(), all[0]); err != nil || m.Subject != "orders.o1" {
		t.Errorf("the event of the first: %+v, %v", m, err)
	}
	d, _, err := s.DeadLetterAt(t.Context(), 4)
	if m, err2 := s.Original(t.Context(), d); err != nil || err2 != nil || string(m.Data) != "by hand" {
		t.Errorf("by hand: %+v, %v, %v", d, err, err2)
	}
	for _, number := range []uint64{0, 5} {
		if _, _, err := s.DeadLetterAt(t.Context(), number); !errors.Is(err, replay.ErrNotFound) {
			t.Errorf("nothing is at %d: %v", number, err)
		}
	}
}

// A lane that runs shows with its holder and nothing left; stopped, without one and with what came since.
func TestLanesShowWhoIsBehind(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	handled := make(chan string, 10)
	_, stop := s.watcher(handled)
	s.say("1", "orders.o1", "", "", events.OrderExpired{})
	<-handled
	await(t, func() bool { l := s.lane("watcher"); return l.Holder != "" && l.Position == 1 && l.Lag == 0 })
	stop()
	s.say("2", "orders.o1", "", "", events.OrderExpired{})
	await(t, func() bool { l := s.lane("watcher"); return l.Holder == "" && l.Lag == 1 })
	l := s.lane("watcher")
	if l.Kind != worker.KindDecide || l.Paused || l.Written == nil {
		t.Errorf("got %+v", l)
	}
}

// An act that goes on, and a lane whose destination takes nothing, show in what the lanes have noted down.
func TestLanesShowOpenActsAndHolds(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx, cancel := context.WithCancel(t.Context())
	begun, goOn := make(chan struct{}), make(chan struct{})
	first := sync.OnceValue(func() error { close(begun); <-goOn; return nil })
	actor := worker.Actor{Name: "watcher.mail", Routes: []worker.ActRoute{worker.Do(func(context.Context, events.Event, events.OrderExpired) error {
		if err := first(); err != nil {
			return err
		}
		return worker.OpenCircuit(errors.New("the relay refuses the shop"))
	})}}
	done := s.work(ctx, worker.Config{Domains: []worker.Domain{{Name: "watcher", Log: s.log, Actors: []worker.Actor{actor}}}})
	s.say("1", "orders.o1", "", "", events.OrderExpired{})
	<-begun
	await(t, func() bool {
		l := s.lane("watcher.mail")
		return l.Lag == 0 && len(l.Open) == 1 && l.Open[0].Sequence == 1 && l.Hold == ""
	})
	close(goOn)
	await(t, func() bool {
		l := s.lane("watcher.mail")
		return strings.Contains(l.Hold, "the relay refuses the shop")
	})
	if l := s.lane("watcher.mail"); l.Kind != worker.KindAct || len(l.Open) != 1 || l.Open[0].Attempt < 1 {
		t.Errorf("got %+v", l)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// What a lane does shows in its name: the shop's lanes are named so.
func TestLanesSayWhatTheyDo(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	want := map[string]worker.Kind{"orders": worker.KindDecide, "orders.timers": worker.KindTimer, "orders.projection": worker.KindProject,
		"archive": worker.KindArchive, "payments.stripe": worker.KindAct}
	for name := range want {
		if err := s.log.SaveCheckpoint(t.Context(), &eventlog.Checkpoint{Lane: name}); err != nil {
			t.Fatal(err)
		}
	}
	// The reconciler keeps a checkpoint, too, and is no lane.
	if err := s.log.SaveCheckpoint(t.Context(), &eventlog.Checkpoint{Lane: "payments.reconcile", State: []byte(`{"to":"2026-11-01T00:00:00Z"}`)}); err != nil {
		t.Fatal(err)
	}
	lanes, err := s.Lanes(t.Context())
	if err != nil || len(lanes) != len(want) {
		t.Fatal(lanes, err)
	}
	for _, l := range lanes {
		if l.Kind != want[l.Name] {
			t.Errorf("%s: got %s, want %s", l.Name, l.Kind, want[l.Name])
		}
	}
}

// lane returns how a lane stands; the zero Lane when there is none.
func (s *shop) lane(name string) replay.Lane {
	s.t.Helper()
	lanes, err := s.Lanes(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, l := range lanes {
		if l.Name == name {
			return l
		}
	}
	return replay.Lane{}
}

// work runs a worker until ctx ends.
func (s *shop) work(ctx context.Context, config worker.Config) (done <-chan error) {
	s.t.Helper()
	_, done = s.begin(ctx, s.log, config)
	return done
}

func (s *shop) begin(ctx context.Context, l *eventlog.Log, config worker.Config) (*worker.Worker, <-chan error) {
	s.t.Helper()
	w, err := worker.New(ctx, l, config)
	if err != nil {
		s.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return w, done
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
