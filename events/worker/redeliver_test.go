package worker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// redeliver requests that a lane handles events again, and returns the sequence of the request.
func redeliver(t testing.TB, l *eventlog.Log, lane string, sequences ...uint64) uint64 {
	t.Helper()
	id := fmt.Sprintf("%s-%d", lane, lastSequence(t, l))
	at, err := worker.Redeliver(t.Context(), l.ForDomain("ops"), id, events.Author{Actor: "key:ops", Reason: "fixed"}, map[string][]uint64{lane: sequences})
	if err != nil {
		t.Fatal(err)
	}
	return at[lane][sequences[0]]
}

// deadLetterEvents returns the events of a dead letter, in order.
func deadLetterEvents(t testing.TB, l *eventlog.Log, lane string, sequence uint64) (stored []events.Event) {
	t.Helper()
	subject := worker.DeadLetterSubject(lane, sequence)
	n := countIn(t, l, events.StreamDeadLetters, subject)
	if n == 0 {
		return nil
	}
	return readDeadLetters(t, l, subject, n)
}

// outcomes waits until a dead letter has n events, and returns a summary of each.
func outcomes(t testing.TB, l *eventlog.Log, lane string, sequence uint64, n int) (stored []string) {
	t.Helper()
	subject := worker.DeadLetterSubject(lane, sequence)
	waitUntil(t, fmt.Sprintf("%[2]s has %[1]d events", n, subject), func() bool { return countIn(t, l, events.StreamDeadLetters, subject) >= n })
	for _, e := range deadLetterEvents(t, l, lane, sequence) {
		switch p := e.Payload.(type) {
		case events.DeadLettered:
			stored = append(stored, fmt.Sprintf("failed %d for %d: %s", p.Attempt, p.Redelivery, p.Error))
		case events.DeadLetterRedriven:
			stored = append(stored, fmt.Sprintf("redriven %d for %d", p.Attempt, p.Redelivery))
		case events.DeadLetterDiscarded:
			stored = append(stored, "discarded: "+p.Reason)
		}
	}
	return stored
}

// brokenHandler has a handler that fails until works is set, and records its calls.
type brokenHandler struct {
	handled ids
	works   atomic.Bool
}

func (s *brokenHandler) domain(l *eventlog.Log) worker.Domain {
	return onPlaced(l, func(tx *eventlog.Tx, id string) error {
		s.handled.add(id)
		if !s.works.Load() {
			return errors.New("no rule for it")
		}
		return markOnce(tx, id)
	})
}

// deadLetter places orders, runs a worker until they are dead letters, and stops it.
func (s *brokenHandler) deadLetter(t testing.TB, l *eventlog.Log, orders ...string) {
	t.Helper()
	p := start(t, l, configOf(s.domain(l)))
	place(t, l, orders...)
	deadLetters(t, l, "inventory", len(orders))
	p.caughtUp(t, "inventory")
	p.stop()
	s.handled = ids{}
}

// A handler that panics is replaced by a fixed one. After a request the fixed one handles the event with its cascade,
// and the dead letter is redriven. The events between the dead letter and the request are not handled again.
func TestFixedHandlerHandlesItsDeadLetter(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	broken := start(t, l, configOf(marker(l)))
	place(t, l, "panic1", "good")
	deadLetters(t, l, "inventory", 1)
	broken.caughtUp(t, "inventory")
	broken.stop()
	var handled ids
	fixed := start(t, l, configOf(onPlaced(l, func(tx *eventlog.Tx, id string) error { handled.add(id); return markOnce(tx, id) })))
	at := redeliver(t, l, "inventory", 1)
	stored := outcomes(t, l, "inventory", 1, 2)
	if want := fmt.Sprintf("redriven 2 for %d", at); stored[1] != want || !strings.HasPrefix(stored[0], "failed 1 for 0: panic:") {
		t.Errorf("dead letter: got %q, want %q at the end", stored, want)
	}
	fixed.caughtUp(t, "inventory")
	marked := readEvents(t, l, events.PrefixReservation+"panic1")
	if len(marked) != 1 || marked[0].CausationID != readEvents(t, l, "orders.panic1")[0].ID {
		t.Errorf("marks: got %+v, want one, caused by the event of its order", marked)
	}
	if diff := cmp.Diff([]string{"panic1"}, handled.all()); diff != "" {
		t.Errorf("handled again (-want +got):\n%s", diff)
	}
}

// A redelivery that fails opens the dead letter again, with the new error. The next one continues the count of
// attempts.
func TestFailedRedeliveryOpensItsDeadLetterAgain(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s brokenHandler
	s.deadLetter(t, l, "a")
	start(t, l, configOf(s.domain(l)))
	first := redeliver(t, l, "inventory", 1)
	outcomes(t, l, "inventory", 1, 2)
	s.works.Store(true)
	second := redeliver(t, l, "inventory", 1)
	want := []string{"failed 1 for 0: no rule for it", fmt.Sprintf("failed 2 for %d: no rule for it", first), fmt.Sprintf("redriven 3 for %d", second)}
	if diff := cmp.Diff(want, outcomes(t, l, "inventory", 1, 3)); diff != "" {
		t.Errorf("dead letter (-want +got):\n%s", diff)
	}
}

// After a dead letter is redriven or discarded, further requests for it have no effect. Neither have requests for other
// lanes, for events without a dead letter, and under subjects that operators do not append to.
func TestOnlyOpenDeadLettersAreRedelivered(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s brokenHandler
	s.deadLetter(t, l, "twice", "discarded", "foreign", "forged")
	s.works.Store(true)
	publish(t, l, events.Event{Source: "ops", Subject: worker.DeadLetterSubject("inventory", 2),
		Payload: events.DeadLetterDiscarded{Worker: "inventory", Sequence: 2, Reason: "refunded"}})
	publish(t, l, events.Event{Source: "orders", Subject: "orders.forged", Revision: 2,
		Payload: events.RedeliveryRequested{Lane: "inventory", Sequences: []uint64{4}, Reason: "forged"}})
	first := redeliver(t, l, "inventory", 1, 2)
	redeliver(t, l, "inventory", 1, 99)
	redeliver(t, l, "payments", 3)
	p := start(t, l, configOf(s.domain(l)))
	p.caughtUp(t, "inventory")
	if diff := cmp.Diff([]string{"twice"}, s.handled.all()); diff != "" {
		t.Errorf("handled again (-want +got):\n%s", diff)
	}
	for sequence, want := range map[uint64][]string{1: {"failed 1 for 0: no rule for it", fmt.Sprintf("redriven 2 for %d", first)},
		2: {"failed 1 for 0: no rule for it", "discarded: refunded"}, 3: {"failed 1 for 0: no rule for it"}, 4: {"failed 1 for 0: no rule for it"}} {
		if diff := cmp.Diff(want, outcomes(t, l, "inventory", sequence, 1)); diff != "" {
			t.Errorf("dead letter of %d (-want +got):\n%s", sequence, diff)
		}
	}
}

// Row 20 of the fault matrix: a process ends after it has handled an event again and before the outcome is stored. The
// next holder reads the request again, skips the events with an outcome, and handles the others with one effect.
func TestSuccessorHandlesRedeliveriesWithoutOutcome(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s brokenHandler
	s.deadLetter(t, l, "a", "b", "c")
	s.works.Store(true)
	limitDeadLetters(t, l, 4) // there is room for one outcome
	first := start(t, l, configOf(s.domain(l)))
	at := redeliver(t, l, "inventory", 1, 2, 3)
	waitUntil(t, "the outcome of one is stored, and those of two are refused", func() bool {
		return s.handled.count("a")+s.handled.count("b")+s.handled.count("c") > 3 && countIn(t, l, events.StreamDeadLetters, ">") == 4
	})
	first.stop()
	var left []string
	for i, order := range []string{"a", "b", "c"} {
		if len(deadLetterEvents(t, l, "inventory", uint64(i)+1)) == 1 {
			left = append(left, order)
		}
	}
	limitDeadLetters(t, l, -1)
	s.handled = ids{}
	start(t, l, configOf(s.domain(l))).caughtUp(t, "inventory")
	got := s.handled.all()
	slices.Sort(got)
	if diff := cmp.Diff(left, got); diff != "" || len(left) != 2 {
		t.Errorf("handled by the next holder (-without outcome +got):\n%s", diff)
	}
	for sequence := range uint64(3) {
		want := []string{"failed 1 for 0: no rule for it", fmt.Sprintf("redriven 2 for %d", at)}
		if diff := cmp.Diff(want, outcomes(t, l, "inventory", sequence+1, 2)); diff != "" {
			t.Errorf("dead letter of %d (-want +got):\n%s", sequence+1, diff)
		}
	}
	checkMarks(t, l, 3)
}

// The dead letters of one order are redriven in the order of the log: the second one is not tried while the first one has no outcome.
// Those of other orders do not wait.
func TestDeadLettersOfOneOrderAreRedrivenInOrder(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s brokenHandler
	err := l.ForDomain("orders").Do(t.Context(), func(tx *eventlog.Tx) error {
		for _, id := range []string{"first", "second", "other"} {
			tx.WithCorrelation(strings.Replace(id, "second", "first", 1))
			if err := orders.Append(tx, id, events.OrderPlaced{OrderID: id}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.deadLetter(t, l)
	deadLetters(t, l, "inventory", 3)
	s.works.Store(true)
	start(t, l, configOf(s.domain(l)))
	limitDeadLetters(t, l, 3) // there is no room for an outcome
	redeliver(t, l, "inventory", 2, 1, 3)
	waitUntil(t, "the first one and the other are tried", func() bool { return s.handled.count("first") > 1 && s.handled.count("other") > 0 })
	if n := s.handled.count("second"); n > 0 {
		t.Errorf("the second one was tried %d times before the outcome of the first was stored", n)
	}
	limitDeadLetters(t, l, -1)
	for sequence := range uint64(3) {
		outcomes(t, l, "inventory", sequence+1, 2)
	}
	checkMarks(t, l, 3)
}

// How many dead letters a decide lane redrives in a second.
func BenchmarkRedrive(b *testing.B) {
	const letters = 500
	for b.Loop() {
		b.StopTimer()
		l := logtest.Open(b)
		var s brokenHandler
		s.deadLetter(b, l, placeMany(b, l, "o", letters)[:0]...)
		deadLetters(b, l, "inventory", letters)
		s.works.Store(true)
		p := start(b, l, configOf(s.domain(l)))
		sequences := make([]uint64, letters)
		for i := range sequences {
			sequences[i] = uint64(i) + 1
		}
		b.StartTimer()
		redeliver(b, l, "inventory", sequences...)
		waitUntil(b, "all are redriven", func() bool { return countIn(b, l, events.StreamDeadLetters, events.PrefixDeadLetter) == 2*letters })
		b.StopTimer()
		p.stop()
		b.StartTimer()
	}
	b.ReportMetric(letters*float64(b.N)/b.Elapsed().Seconds(), "letters/s")
}

// A paused lane handles no redelivery until it is resumed.
func TestRedeliveryWaitsForAPausedLane(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s brokenHandler
	s.deadLetter(t, l, "a")
	s.works.Store(true)
	pause(t, l, time.Time{}, "inventory")
	p := start(t, l, configOf(s.domain(l), worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(*eventlog.Tx, events.Event, events.OrderExpired) error { return nil })}}))
	redeliver(t, l, "inventory", 1)
	p.caughtUp(t, "orders") // in the same loop, so the other lane has passed the request
	if handled := s.handled.all(); len(handled) > 0 {
		t.Errorf("handled while paused: got %v, want none", handled)
	}
	resume(t, l, "inventory")
	outcomes(t, l, "inventory", 1, 2)
}

// Redeliver refuses a request without a reason or from another domain than ops, and splits a long one.
func TestRedeliverRefusesRequestsWithoutReasonOrRight(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	for name, ask := range map[string]func() error{
		"NoReason": func() error {
			_, err := worker.Redeliver(t.Context(), l.ForDomain("ops"), "x", events.Author{Actor: "key:ops", Reason: " "}, map[string][]uint64{"a": {1}})
			return err
		},
		"NotOps": func() error {
			_, err := worker.Redeliver(t.Context(), l.ForDomain("orders"), "x", events.Author{Actor: "key:ops", Reason: "why"}, map[string][]uint64{"a": {1}})
			return err
		},
	} {
		if err := ask(); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
	if n := lastSequence(t, l); n != 0 {
		t.Errorf("got %d events, want none", n)
	}
	many := make([]uint64, 2*events.MaxRedelivery+1)
	for i := range many {
		many[i] = uint64(i + 1)
	}
	at, err := worker.Redeliver(t.Context(), l.ForDomain("ops"), "x", events.Author{Actor: "key:ops", Reason: "why"}, map[string][]uint64{"a": many})
	if err != nil || lastSequence(t, l) != 3 || at["a"][1] != 1 || at["a"][uint64(len(many))] != 3 {
		t.Errorf("got %d requests for %d dead letters, the last at %d (%v); want 3", lastSequence(t, l), len(many), at["a"][uint64(len(many))], err)
	}
	if e := readEvents(t, l, events.PrefixReplay)[0]; e.Actor != "key:ops" || e.Source != "ops" {
		t.Errorf("request: got actor %s of %s, want %s of ops", e.Actor, e.Source, "key:ops")
	}
}
