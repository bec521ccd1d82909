package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// redeliver asks for events to be handled again in a lane, and returns where the request stands.
func redeliver(t testing.TB, l *eventlog.Log, lane string, sequences ...uint64) uint64 {
	t.Helper()
	id := fmt.Sprintf("%s-%d", lane, end(t, l))
	at, err := worker.Redeliver(t.Context(), l.ForDomain("ops"), id, "mended", map[string][]uint64{lane: sequences})
	if err != nil {
		t.Fatal(err)
	}
	return at[lane][sequences[0]]
}

// letter is what stands on the subject of a dead letter, in order.
func letter(t testing.TB, l *eventlog.Log, lane string, sequence uint64) (said []events.Event) {
	t.Helper()
	subject := worker.DeadLetterSubject(lane, sequence)
	n := countIn(t, l, events.StreamDeadLetters, subject)
	if n == 0 {
		return nil
	}
	c, err := l.JetStream().OrderedConsumer(t.Context(), events.StreamDeadLetters, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		m, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		e, err := events.Decode(m.Subject(), m.Headers(), m.Data())
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, e)
	}
	return said
}

// outcomes waits until so many events stand on a dead letter, and returns their payloads but for ids and texts.
func outcomes(t testing.TB, l *eventlog.Log, lane string, sequence uint64, n int) (said []string) {
	t.Helper()
	subject := worker.DeadLetterSubject(lane, sequence)
	until(t, fmt.Sprintf("%d events stand on %s", n, subject), func() bool { return countIn(t, l, events.StreamDeadLetters, subject) >= n })
	for _, e := range letter(t, l, lane, sequence) {
		switch p := e.Payload.(type) {
		case events.DeadLettered:
			said = append(said, fmt.Sprintf("failed %d for %d: %s", p.Attempt, p.Redelivery, p.Error))
		case events.DeadLetterRedriven:
			said = append(said, fmt.Sprintf("redriven %d for %d", p.Attempt, p.Redelivery))
		case events.DeadLetterDiscarded:
			said = append(said, "discarded: "+p.Reason)
		}
	}
	return said
}

// stubborn marks an order once it is allowed to, and counts how often it is asked.
type stubborn struct {
	heard ids
	works atomic.Bool
}

func (s *stubborn) domain(l *eventlog.Log) worker.Domain {
	return onPlaced(l, func(tx *eventlog.Tx, id string) error {
		s.heard.add(id)
		if !s.works.Load() {
			return errors.New("no rule for it")
		}
		return markOnce(tx, id)
	})
}

// bury places orders that a worker cannot handle, and stops the worker.
func (s *stubborn) bury(t testing.TB, l *eventlog.Log, orders ...string) {
	t.Helper()
	p := start(t, l, only(s.domain(l)))
	place(t, l, orders...)
	deadLetters(t, l, "inventory", len(orders))
	p.caughtUp(t, "inventory")
	p.stop()
	s.heard = ids{}
}

// A handler that panics is replaced by one that works: the event is handled by it, what follows follows, and the dead letter
// says so. What stands between the event and the request is not handled again.
func TestAMendedHandlerHandlesItsDeadLetter(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	broken := start(t, l, only(marker(l)))
	place(t, l, "panic1", "good")
	deadLetters(t, l, "inventory", 1)
	broken.caughtUp(t, "inventory")
	broken.stop()
	var heard ids
	mended := start(t, l, only(onPlaced(l, func(tx *eventlog.Tx, id string) error { heard.add(id); return markOnce(tx, id) })))
	at := redeliver(t, l, "inventory", 1)
	said := outcomes(t, l, "inventory", 1, 2)
	if want := fmt.Sprintf("redriven 2 for %d", at); said[1] != want || !strings.HasPrefix(said[0], "failed 1 for 0: panic:") {
		t.Errorf("the dead letter says %q, want at last %q", said, want)
	}
	mended.caughtUp(t, "inventory")
	marked := read(t, l, events.PrefixReservation+"panic1")
	if len(marked) != 1 || marked[0].CausationID != read(t, l, "orders.panic1")[0].ID {
		t.Errorf("the order was marked by %+v, want once, caused by its own event", marked)
	}
	if diff := cmp.Diff([]string{"panic1"}, heard.all()); diff != "" {
		t.Errorf("handled again (-want +got):\n%s", diff)
	}
}

// A redelivery that fails opens the dead letter again, with the new error; the next one counts on.
func TestARedeliveryThatFailsOpensItsDeadLetterAgain(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s stubborn
	s.bury(t, l, "a")
	start(t, l, only(s.domain(l)))
	first := redeliver(t, l, "inventory", 1)
	outcomes(t, l, "inventory", 1, 2)
	s.works.Store(true)
	second := redeliver(t, l, "inventory", 1)
	want := []string{"failed 1 for 0: no rule for it", fmt.Sprintf("failed 2 for %d: no rule for it", first), fmt.Sprintf("redriven 3 for %d", second)}
	if diff := cmp.Diff(want, outcomes(t, l, "inventory", 1, 3)); diff != "" {
		t.Errorf("the dead letter (-want +got):\n%s", diff)
	}
}

// Of two requests for one dead letter the first that succeeds is the last that does anything, and one that was settled in another
// way is left alone. Requests for other lanes, for events that are no dead letters, and on subjects where operators do not append
// change nothing.
func TestOnlyAnOpenDeadLetterIsHandledAgain(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s stubborn
	s.bury(t, l, "twice", "discarded", "foreign", "forged")
	s.works.Store(true)
	say(t, l, events.Event{Source: "ops", Subject: worker.DeadLetterSubject("inventory", 2),
		Payload: events.DeadLetterDiscarded{Worker: "inventory", Sequence: 2, Reason: "refunded"}})
	say(t, l, events.Event{Source: "orders", Subject: "orders.forged", Revision: 2,
		Payload: events.RedeliveryRequested{Lane: "inventory", Sequences: []uint64{4}, Reason: "forged"}})
	first := redeliver(t, l, "inventory", 1, 2)
	redeliver(t, l, "inventory", 1, 99)
	redeliver(t, l, "payments", 3)
	p := start(t, l, only(s.domain(l)))
	p.caughtUp(t, "inventory")
	if diff := cmp.Diff([]string{"twice"}, s.heard.all()); diff != "" {
		t.Errorf("handled again (-want +got):\n%s", diff)
	}
	for sequence, want := range map[uint64][]string{1: {"failed 1 for 0: no rule for it", fmt.Sprintf("redriven 2 for %d", first)},
		2: {"failed 1 for 0: no rule for it", "discarded: refunded"}, 3: {"failed 1 for 0: no rule for it"}, 4: {"failed 1 for 0: no rule for it"}} {
		if diff := cmp.Diff(want, outcomes(t, l, "inventory", sequence, 1)); diff != "" {
			t.Errorf("dead letter of %d (-want +got):\n%s", sequence, diff)
		}
	}
}

// Row 20 of the fault matrix: a process ends after it has handled an event again and before the outcome is stored. Its
// successor meets the request again, leaves alone what has an outcome, and handles the rest, to one effect.
func TestASuccessorHandlesWhatHasNoOutcome(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s stubborn
	s.bury(t, l, "a", "b", "c")
	s.works.Store(true)
	deadLettersHold(t, l, 4) // one outcome, no more
	first := start(t, l, only(s.domain(l)))
	at := redeliver(t, l, "inventory", 1, 2, 3)
	until(t, "b is handled and its outcome is refused", func() bool { return s.heard.count("b") >= 2 })
	first.stop()
	if s.heard.count("c") > 0 {
		t.Error("c was handled although what became of b is not stored")
	}
	deadLettersHold(t, l, -1)
	s.heard = ids{}
	start(t, l, only(s.domain(l))).caughtUp(t, "inventory")
	if diff := cmp.Diff([]string{"b", "c"}, s.heard.all()); diff != "" {
		t.Errorf("the successor handled (-want +got):\n%s", diff)
	}
	for sequence := range uint64(3) {
		want := []string{"failed 1 for 0: no rule for it", fmt.Sprintf("redriven 2 for %d", at)}
		if diff := cmp.Diff(want, outcomes(t, l, "inventory", sequence+1, 2)); diff != "" {
			t.Errorf("dead letter of %d (-want +got):\n%s", sequence+1, diff)
		}
	}
	if n := count(t, l, events.PrefixReservation); n != 3 {
		t.Errorf("%d marks, want one of each order", n)
	}
}

// A lane that operators have paused handles nothing again until it is resumed.
func TestARedeliveryWaitsForAPausedLane(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s stubborn
	s.bury(t, l, "a")
	s.works.Store(true)
	if err := worker.PauseLane(t.Context(), l.ForDomain("ops"), "inventory", time.Time{}); err != nil {
		t.Fatal(err)
	}
	p := start(t, l, only(s.domain(l), worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(*eventlog.Tx, events.Event, events.OrderExpired) error { return nil })}}))
	redeliver(t, l, "inventory", 1)
	p.caughtUp(t, "orders") // which is in the same loop: the paused lane could have taken the request
	if heard := s.heard.all(); len(heard) > 0 {
		t.Errorf("handled %v while paused", heard)
	}
	if err := worker.ResumeLane(t.Context(), l.ForDomain("ops"), "inventory"); err != nil {
		t.Fatal(err)
	}
	outcomes(t, l, "inventory", 1, 2)
}

// acted counts the attempts at an act that refuses for good until it is allowed.
type acted struct {
	acts
	works atomic.Bool
}

func (a *acted) domain() worker.Domain {
	return acting(2, func(ctx context.Context, id string) error {
		a.add(ctx, id)
		if !a.works.Load() {
			return worker.DeadLetter(errors.New("no template"))
		}
		return nil
	})
}

// An act lane acts again, as after an earlier attempt, once it is asked to: it fails again, and succeeds at last.
func TestAnActIsMadeAgain(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var a acted
	start(t, l, only(a.domain())).holds(t, "actor")
	place(t, l, "a", "b")
	deadLetters(t, l, "actor", 2)
	first := redeliver(t, l, "actor", 1)
	outcomes(t, l, "actor", 1, 2)
	a.works.Store(true)
	second := redeliver(t, l, "actor", 1)
	want := []string{"failed 1 for 0: no template", fmt.Sprintf("failed 2 for %d: no template", first), fmt.Sprintf("redriven 3 for %d", second)}
	if diff := cmp.Diff(want, outcomes(t, l, "actor", 1, 3)); diff != "" {
		t.Errorf("the dead letter (-want +got):\n%s", diff)
	}
	if !slices.Equal(a.of("a"), []int{1, 2, 3}) || !slices.Equal(a.of("b"), []int{1}) {
		t.Errorf("attempts %s, want three at a, one at b", a.String())
	}
}

// A process ends while it acts again, and after it has acted again but before the outcome is stored. Its successor finishes what
// is open and leaves alone what has an outcome.
func TestASuccessorActsOnWhatHasNoOutcome(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var a acted
	first := start(t, l, only(a.domain()))
	place(t, l, "a", "b", "c")
	deadLetters(t, l, "actor", 3)
	first.caughtUp(t, "actor")
	a.works.Store(true)
	deadLettersHold(t, l, 4) // one outcome, no more
	redeliver(t, l, "actor", 1, 2, 3)
	until(t, "all have acted again", func() bool { return len(a.of("a")) > 1 && len(a.of("b")) > 1 && len(a.of("c")) > 1 })
	first.stop()
	settled := 0
	for sequence := range uint64(3) {
		settled += len(letter(t, l, "actor", sequence+1)) - 1
	}
	if settled != 1 {
		t.Fatalf("%d outcomes are stored, want 1", settled)
	}
	deadLettersHold(t, l, -1)
	before := a.attemptsMade()
	start(t, l, only(a.domain())).caughtUp(t, "actor")
	for sequence := range uint64(3) {
		if said := outcomes(t, l, "actor", sequence+1, 2); len(said) != 2 || !strings.HasPrefix(said[1], "redriven") {
			t.Errorf("dead letter of %d says %q", sequence+1, said)
		}
	}
	if n := a.attemptsMade() - before; n != 2 {
		t.Errorf("the successor made %d acts, want 2", n)
	}
}

func (a *acted) attemptsMade() int { return len(a.of("a")) + len(a.of("b")) + len(a.of("c")) }

// What cannot be asked for is refused, and nothing is appended.
func TestARequestNamesEventsAndAReason(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	for name, ask := range map[string]func() error{
		"NoReason": func() error {
			_, err := worker.Redeliver(t.Context(), l.ForDomain("ops"), "x", " ", map[string][]uint64{"a": {1}})
			return err
		},
		"NotOps": func() error {
			_, err := worker.Redeliver(t.Context(), l.ForDomain("orders"), "x", "why", map[string][]uint64{"a": {1}})
			return err
		},
	} {
		if err := ask(); err == nil {
			t.Errorf("%s: it could be asked for", name)
		}
	}
	if n := end(t, l); n != 0 {
		t.Errorf("%d events are stored", n)
	}
	many := make([]uint64, 2*events.MaxRedelivery+1)
	for i := range many {
		many[i] = uint64(i + 1)
	}
	at, err := worker.Redeliver(t.Context(), l.ForDomain("ops"), "x", "why", map[string][]uint64{"a": many})
	if err != nil || end(t, l) != 3 || at["a"][1] != 1 || at["a"][uint64(len(many))] != 3 {
		t.Errorf("%d events for %d dead letters, the last at %d: %v; want 3", end(t, l), len(many), at["a"][uint64(len(many))], err)
	}
	if e := read(t, l, events.PrefixReplay)[0]; e.Actor != events.ActorOps || e.Source != "ops" {
		t.Errorf("asked for by %s of %s, want %s of ops", e.Actor, e.Source, events.ActorOps)
	}
}
