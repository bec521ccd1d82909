package replay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

func TestCausesCountsDeadLettersByFingerprint(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.append("placed", "orders.o1", "", "", events.OrderExpired{})
	for i, fingerprint := range []string{"rare", "often", "often"} {
		s.append(fmt.Sprint(i), fmt.Sprintf("deadletters.w.%d", 1+i), "", "", events.DeadLettered{Worker: "w", Sequence: uint64(1 + i), Fingerprint: fingerprint, Error: fmt.Sprint("error ", i)})
	}
	if _, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: "deadletters.w", Data: []byte("not an event")}); err != nil {
		t.Fatal(err)
	}
	all, err := s.DeadLetters(t.Context(), 0)
	if last, err2 := s.LastDeadLetter(t.Context()); err != nil || len(all) != 4 || err2 != nil || last != 4 {
		t.Fatalf("dead letters: got %d up to %d, %v, %v; want 4", len(all), last, err, err2)
	}
	causes := replay.Causes(all)
	if len(causes) != 3 || causes[0].Fingerprint != "often" || causes[0].Count != 2 || causes[0].Example != 3 || causes[0].Error != "error 2" {
		t.Errorf("causes: got %+v, want 3, the first one often", causes)
	}
	if d, _, err := s.DeadLetterAt(t.Context(), 2); err != nil || d.Number != 2 || d.Sequence != 2 {
		t.Errorf("dead letter 2: got %+v, %v", d, err)
	} else if _, err := s.Original(t.Context(), d); !errors.Is(err, replay.ErrNotFound) {
		t.Errorf("original of a missing event: got %v, want %v", err, replay.ErrNotFound)
	}
	if m, err := s.Original(t.Context(), all[0]); err != nil || m.Subject != "orders.o1" {
		t.Errorf("original of the first: got %+v, %v; want orders.o1", m, err)
	}
	d, _, err := s.DeadLetterAt(t.Context(), 4)
	if m, err2 := s.Original(t.Context(), d); err != nil || err2 != nil || string(m.Data) != "not an event" {
		t.Errorf("message that no lane wrote: got %+v, %v, %v", d, err, err2)
	}
	for _, number := range []uint64{0, 5} {
		if _, _, err := s.DeadLetterAt(t.Context(), number); !errors.Is(err, replay.ErrNotFound) {
			t.Errorf("dead letter %d: got %v, want %v", number, err, replay.ErrNotFound)
		}
	}
}

// failingShop has a lane that cannot handle expired orders until it is fixed.
type failingShop struct {
	*shop
	fixed atomic.Bool
}

// newFailingShop runs the lane until it has written that many dead letters.
func newFailingShop(t *testing.T, orders int) *failingShop {
	t.Helper()
	c := &failingShop{shop: newShop(t)}
	l := logtest.OpenOn(t, c.server)
	ctx, cancel := context.WithCancel(t.Context())
	route := worker.On(func(_ *eventlog.Tx, e events.Event, _ events.OrderExpired) error {
		if c.fixed.Load() {
			return nil
		}
		return errors.New("no rule")
	})
	_, done := c.begin(ctx, l, worker.Config{Domains: []worker.Domain{{Name: "failing", Log: l, Routes: []worker.Route{route}}}})
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for i := range orders {
		id := fmt.Sprintf("o%d", i+1)
		c.append(id, "orders."+id, id, "", events.OrderExpired{})
	}
	await(t, func() bool { return len(c.letters(t)) == orders })
	return c
}

// open returns the open dead letters of a selection, at least one.
func (s *shop) open(t testing.TB, selection replay.Selection) []replay.DeadLetter {
	t.Helper()
	letters, err := s.OpenDeadLetters(t.Context(), selection)
	if err != nil || len(letters) == 0 {
		t.Fatalf("selection %+v: got %d dead letters, %v; want at least 1", selection, len(letters), err)
	}
	return letters
}

// After a redrive, a dead letter that fails again is open with one more attempt, and one that succeeds is redriven. Await returns both.
func TestAwaitReturnsOutcomesOfRedrive(t *testing.T) {
	t.Parallel()
	c := newFailingShop(t, 3)
	all := c.open(t, replay.Selection{All: true})
	failing, err := c.Redrive(t.Context(), all, events.Author{Actor: "key:ops", Reason: "fixed"})
	if err != nil {
		t.Fatal(err)
	}
	failed, err := c.Await(t.Context(), failing, func(int) {})
	if err != nil || len(failed) != 3 {
		t.Errorf("outcomes: got %d, %v; want 3", len(failed), err)
	}
	for _, d := range failed {
		if d.State != replay.StateOpen || d.Attempt != 2 || failing.Waits(d) {
			t.Errorf("dead letter %d: got %s after attempt %d, waiting %t; want open after 2", d.Number, d.State, d.Attempt, failing.Waits(d))
		}
	}
	c.fixed.Store(true)
	redrive, err := c.Redrive(t.Context(), c.open(t, replay.Selection{Fingerprint: all[0].Fingerprint}), events.Author{Actor: "key:ops", Reason: "fixed"})
	if err != nil {
		t.Fatal(err)
	}
	reported := 0
	after, err := c.Await(t.Context(), redrive, func(n int) { reported = n })
	if err != nil || reported != 3 {
		t.Errorf("reported outcomes: got %d, %v; want 3", reported, err)
	}
	for _, d := range after {
		if d.State != replay.StateRedriven || d.Attempt != 3 {
			t.Errorf("dead letter %d: got %s after attempt %d, want redriven after 3", d.Number, d.State, d.Attempt)
		}
	}
	if open, err := c.OpenDeadLetters(t.Context(), replay.Selection{All: true}); err != nil || len(open) != 0 {
		t.Errorf("open dead letters: got %d, %v; want none", len(open), err)
	}
}

// After three redrives that failed, a redrive of all dead letters or of a cause leaves the event out, and so does a replay. Its number
// and force include it.
func TestRedriveLeavesOutWhatFailedOften(t *testing.T) {
	t.Parallel()
	c := newFailingShop(t, 2)
	often := func(number uint64) {
		for range 3 {
			letters, _, err := c.Redrivable(t.Context(), replay.Selection{Numbers: []uint64{number}}, false)
			if err != nil || len(letters) != 1 {
				t.Fatalf("number %d: got %d dead letters (%v), want it however often it failed", number, len(letters), err)
			}
			redrive, err := c.Redrive(t.Context(), letters, events.Author{Actor: "key:ops", Reason: "again"})
			if err != nil {
				t.Fatal(err)
			}
			if after, err := c.Await(t.Context(), redrive, func(int) {}); err != nil || redrive.Waits(after[0]) {
				t.Fatalf("got %+v (%v), want an outcome", after, err)
			}
		}
	}
	numbers := func(letters []replay.DeadLetter) (all []uint64) {
		for _, d := range letters {
			all = append(all, d.Number)
		}
		return all
	}
	often(1)
	cause := c.open(t, replay.Selection{Numbers: []uint64{2}})[0].Fingerprint
	for _, s := range []replay.Selection{{All: true}, {Fingerprint: cause}} {
		letters, leftOut, err := c.Redrivable(t.Context(), s, false)
		if diff := cmp.Diff([][]uint64{{2}, {1}}, [][]uint64{numbers(letters), numbers(leftOut)}); err != nil || diff != "" {
			t.Errorf("%+v (%v): redriven and left out (-want +got):\n%s", s, err, diff)
		}
		if letters, leftOut, err := c.Redrivable(t.Context(), s, true); err != nil || len(letters) != 2 || len(leftOut) != 0 {
			t.Errorf("%+v with force: got %d and %d left out (%v), want both", s, len(letters), len(leftOut), err)
		}
	}
	often(2)
	if letters, _, err := c.Redrivable(t.Context(), replay.Selection{All: true}, false); !errors.Is(err, replay.ErrQuarantined) || len(letters) > 0 {
		t.Errorf("both failed often: got %d (%v), want ErrQuarantined", len(letters), err)
	}
}

// A selection with an unknown or settled dead letter is an error that names it.
func TestSelectionRefusesUnknownAndSettledDeadLetters(t *testing.T) {
	t.Parallel()
	c := newFailingShop(t, 3)
	c.fixed.Store(true)
	redrive, err := c.Redrive(t.Context(), c.open(t, replay.Selection{Numbers: []uint64{1}}), events.Author{Actor: "key:ops", Reason: "fixed"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Await(t.Context(), redrive, func(int) {}); err != nil {
		t.Fatal(err)
	}
	second := c.open(t, replay.Selection{Numbers: []uint64{2}})
	if n, err := c.Discard(t.Context(), second, events.Author{Actor: "key:ops", Reason: "refunded by hand"}); err != nil || n != 1 {
		t.Fatalf("discard: got %d, %v; want 1", n, err)
	}
	for _, test := range []struct {
		selection replay.Selection
		want      error
		message   string
	}{
		{replay.Selection{Numbers: []uint64{3, 1}}, replay.ErrSettled, "dead letter 1 was redriven"},
		{replay.Selection{Numbers: []uint64{2}}, replay.ErrSettled, "discarded by key:ops at"},
		{replay.Selection{Numbers: []uint64{2}}, replay.ErrSettled, "refunded by hand"},
		{replay.Selection{Numbers: []uint64{3, 99}}, replay.ErrNotFound, "the number 99"},
		{replay.Selection{Numbers: []uint64{4}}, replay.ErrNotFound, "the number 4"}, // a later message of the first one
		{replay.Selection{Fingerprint: "beef"}, replay.ErrNotFound, `the cause "beef"`},
	} {
		if letters, err := c.OpenDeadLetters(t.Context(), test.selection); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.message) || letters != nil {
			t.Errorf("selection %+v: got %d, %v; want an error with %q", test.selection, len(letters), err, test.message)
		}
	}
	if _, err := c.Discard(t.Context(), second, events.Author{Actor: "key:ops", Reason: "again"}); err == nil || !strings.Contains(err.Error(), "dead letter 2: it has changed since it was read") {
		t.Errorf("second discard: got %v, want an error about the change", err)
	}
	if _, err := c.Discard(t.Context(), second, events.Author{Actor: "key:ops", Reason: " "}); err == nil || !strings.Contains(err.Error(), "--reason") {
		t.Errorf("discard without a reason: got %v, want an error about --reason", err)
	}
	if _, err := c.Redrive(t.Context(), c.open(t, replay.Selection{All: true}), events.Author{Actor: "key:ops", Reason: ""}); err == nil || !strings.Contains(err.Error(), "--reason") {
		t.Errorf("redrive without a reason: got %v, want an error about --reason", err)
	}
	history, err := c.Timeline(t.Context(), "o2")
	if last := history.Entries[len(history.Entries)-1]; err != nil || last.Type != "worker.discarded" || last.Actor != "key:ops" || last.Cause != 0 {
		t.Errorf("last entry of the timeline: got %+v, %v; want worker.discarded", last, err)
	}
}

// A message in DEADLETTERS that no lane has written can be discarded but not redriven.
func TestForeignDeadLetterCanOnlyBeDiscarded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if _, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: "deadletters.by.hand", Data: []byte("?")}); err != nil {
		t.Fatal(err)
	}
	all := s.open(t, replay.Selection{All: true})
	if _, err := s.Redrive(t.Context(), all, events.Author{Actor: "key:ops", Reason: "why"}); err == nil || !strings.Contains(err.Error(), "dead letter 1 was written by no lane") {
		t.Errorf("redrive: got %v, want an error", err)
	}
	if last, err := s.Last(t.Context()); err != nil || last != 0 {
		t.Errorf("end of the log: got %d, %v; want 0", last, err)
	}
	if _, err := s.Discard(t.Context(), all, events.Author{Actor: "key:ops", Reason: "a test message"}); err != nil {
		t.Error(err)
	}
	d, history, err := s.DeadLetterAt(t.Context(), 1)
	if err != nil || len(history) != 2 {
		t.Fatalf("messages: got %d, %v; want 2", len(history), err)
	}
	want := [3]string{"discarded", "key:ops", "a test message"}
	if diff := cmp.Diff(want, [3]string{string(d.State), d.By, d.Reason}); diff != "" {
		t.Errorf("dead letter (-want +got):\n%s", diff)
	}
}

// A reader that keeps the dead letters has the same as one that reads them all, after every message.
func TestKeptDeadLettersAreCurrent(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i, step := range []struct {
		subject string
		payload events.Payload
		states  string
	}{
		{"deadletters.w.1", events.DeadLettered{Worker: "w", Sequence: 1, Attempt: 1}, "[open]"},
		{"deadletters.w.2", events.DeadLettered{Worker: "w", Sequence: 2, Attempt: 1}, "[open open]"},
		{"deadletters.w.1", events.DeadLetterDiscarded{Worker: "w", Sequence: 1, Reason: "known"}, "[discarded open]"},
		{"deadletters.w.2", events.DeadLetterRedriven{Worker: "w", Sequence: 2, Attempt: 2}, "[discarded redriven]"},
		{"deadletters.w.2", events.DeadLettered{Worker: "w", Sequence: 2, Attempt: 3}, "[discarded open]"},
	} {
		s.append(fmt.Sprint(i), step.subject, "", "", step.payload)
		fresh, err := s.DeadLetters(t.Context(), uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		kept := s.letters(t)
		var states []replay.State
		for _, d := range kept {
			states = append(states, d.State)
		}
		if got := fmt.Sprint(states); got != step.states {
			t.Errorf("after message %d: got %s, want %s", i+1, got, step.states)
		}
		if diff := cmp.Diff(fresh, kept, cmpopts.IgnoreUnexported(replay.DeadLetter{})); diff != "" {
			t.Errorf("after message %d (-read again +kept):\n%s", i+1, diff)
		}
		clear(kept) // callers may change what they get
	}
}
