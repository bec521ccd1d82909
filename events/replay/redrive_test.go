package replay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// clinic is a lane that cannot handle orders that expired until it is mended.
type clinic struct {
	*shop
	mended atomic.Bool
}

// newClinic runs the lane and has it fail at so many orders.
func newClinic(t *testing.T, orders int) *clinic {
	t.Helper()
	c := &clinic{shop: newShop(t)}
	l := logtest.OpenOn(t, c.server)
	ctx, cancel := context.WithCancel(t.Context())
	route := worker.On(func(_ *eventlog.Tx, e events.Event, _ events.OrderExpired) error {
		if c.mended.Load() {
			return nil
		}
		return errors.New("no rule for it")
	})
	_, done := c.begin(ctx, l, worker.Config{Domains: []worker.Domain{{Name: "clinic", Log: l, Routes: []worker.Route{route}}}})
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for i := range orders {
		id := fmt.Sprintf("o%d", i+1)
		c.say(id, "orders."+id, id, "", events.OrderExpired{})
	}
	await(t, func() bool { return len(c.letters(t)) == orders })
	return c
}

func (s *shop) letters(t testing.TB) []replay.DeadLetter {
	t.Helper()
	letters, err := s.DeadLetters(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

// choose is what a selection means; it must mean something.
func (s *shop) choose(t testing.TB, selection replay.Selection) []replay.DeadLetter {
	t.Helper()
	letters, err := s.OpenDeadLetters(t.Context(), selection)
	if err != nil || len(letters) == 0 {
		t.Fatalf("%+v means %d dead letters: %v", selection, len(letters), err)
	}
	return letters
}

// Redriven dead letters fail again and are open, with one attempt more, or are redriven and not open any more. Whoever waits
// learns it.
func TestARedriveIsAwaited(t *testing.T) {
	t.Parallel()
	c := newClinic(t, 3)
	all := c.choose(t, replay.Selection{All: true})
	failing, err := c.Redrive(t.Context(), all, "mended")
	if err != nil {
		t.Fatal(err)
	}
	failed, err := c.Await(t.Context(), failing, func(int) {})
	if err != nil || len(failed) != 3 {
		t.Errorf("%d outcomes, %v; want 3", len(failed), err)
	}
	for _, d := range failed {
		if d.State != replay.StateOpen || d.Attempt != 2 || failing.Waits(d) {
			t.Errorf("dead letter %d is %s after attempt %d, waits: %t; want open after 2", d.Number, d.State, d.Attempt, failing.Waits(d))
		}
	}
	c.mended.Store(true)
	redrive, err := c.Redrive(t.Context(), c.choose(t, replay.Selection{Fingerprint: all[0].Fingerprint}), "mended")
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	after, err := c.Await(t.Context(), redrive, func(n int) { told = n })
	if err != nil || told != 3 {
		t.Errorf("told of %d outcomes, %v; want 3", told, err)
	}
	for _, d := range after {
		if d.State != replay.StateRedriven || d.Attempt != 3 {
			t.Errorf("dead letter %d is %s after attempt %d, want redriven after 3", d.Number, d.State, d.Attempt)
		}
	}
	if open, err := c.OpenDeadLetters(t.Context(), replay.Selection{All: true}); err != nil || len(open) != 0 {
		t.Errorf("%d are open, %v; want none", len(open), err)
	}
}

// What is not there, or was settled already, is named, and then nothing is chosen.
func TestOnlyOpenDeadLettersAreChosen(t *testing.T) {
	t.Parallel()
	c := newClinic(t, 3)
	c.mended.Store(true)
	redrive, err := c.Redrive(t.Context(), c.choose(t, replay.Selection{Numbers: []uint64{1}}), "mended")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Await(t.Context(), redrive, func(int) {}); err != nil {
		t.Fatal(err)
	}
	second := c.choose(t, replay.Selection{Numbers: []uint64{2}})
	if n, err := c.Discard(t.Context(), second, "refunded by hand"); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	for _, test := range []struct {
		selection replay.Selection
		want      error
		says      string
	}{
		{replay.Selection{Numbers: []uint64{3, 1}}, replay.ErrSettled, "dead letter 1 was redriven"},
		{replay.Selection{Numbers: []uint64{2}}, replay.ErrSettled, "discarded by key:ops at"},
		{replay.Selection{Numbers: []uint64{2}}, replay.ErrSettled, "refunded by hand"},
		{replay.Selection{Numbers: []uint64{3, 99}}, replay.ErrNotFound, "the number 99"},
		{replay.Selection{Numbers: []uint64{4}}, replay.ErrNotFound, "the number 4"}, // it says what became of the first
		{replay.Selection{Fingerprint: "beef"}, replay.ErrNotFound, `the cause "beef"`},
	} {
		if letters, err := c.OpenDeadLetters(t.Context(), test.selection); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) || letters != nil {
			t.Errorf("%+v: %d chosen, %v; want %q", test.selection, len(letters), err, test.says)
		}
	}
	if _, err := c.Discard(t.Context(), second, "again"); err == nil || !strings.Contains(err.Error(), "dead letter 2: it has changed since it was read") {
		t.Errorf("discarded twice: %v", err)
	}
	if _, err := c.Discard(t.Context(), second, " "); err == nil || !strings.Contains(err.Error(), "--reason") {
		t.Errorf("discarded without a reason: %v", err)
	}
	if _, err := c.Redrive(t.Context(), c.choose(t, replay.Selection{All: true}), ""); err == nil || !strings.Contains(err.Error(), "--reason") {
		t.Errorf("redriven without a reason: %v", err)
	}
	history, err := c.Timeline(t.Context(), "o2")
	if last := history.Entries[len(history.Entries)-1]; err != nil || last.Type != "worker.discarded" || last.Actor != events.ActorOps || last.Cause != 0 {
		t.Errorf("the timeline of its order ends with %+v, %v", last, err)
	}
}

// A message that was published by hand among the dead letters belongs to no lane: it cannot be redriven, and can be discarded.
func TestWhatNoLaneWroteCanOnlyBeDiscarded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if _, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: "deadletters.by.hand", Data: []byte("?")}); err != nil {
		t.Fatal(err)
	}
	all := s.choose(t, replay.Selection{All: true})
	if _, err := s.Redrive(t.Context(), all, "why"); err == nil || !strings.Contains(err.Error(), "dead letter 1 was written by no lane") {
		t.Errorf("redriven: %v", err)
	}
	if last, err := s.Last(t.Context()); err != nil || last != 0 {
		t.Errorf("the log ends at %d, %v; want nothing in it", last, err)
	}
	if _, err := s.Discard(t.Context(), all, "a test message"); err != nil {
		t.Error(err)
	}
	d, history, err := s.DeadLetterAt(t.Context(), 1)
	if err != nil || len(history) != 2 {
		t.Fatalf("%d messages, %v; want 2", len(history), err)
	}
	want := [3]string{"discarded", "key:ops", "a test message"}
	if diff := cmp.Diff(want, [3]string{string(d.State), d.By, d.Reason}); diff != "" {
		t.Errorf("how it stands (-want +got):\n%s", diff)
	}
}
