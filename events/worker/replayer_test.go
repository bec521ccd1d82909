package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// requestBatch requests that a lane handles events again, and returns the sequence of the request.
func requestBatch(t testing.TB, l *eventlog.Log, lane string, sequences ...uint64) uint64 {
	t.Helper()
	id := fmt.Sprintf("%s-%d", lane, lastSequence(t, l))
	var committed *eventlog.Tx
	err := l.ForDomain("ops").Do(t.Context(), func(tx *eventlog.Tx) error {
		committed = tx
		tx.WithAuthor(events.Author{Actor: "staff:mira", Reason: "fixed"})
		return worker.Replays.Append(tx, id,
			events.ReplayRequested{Selection: events.ReplaySelection{From: 1, To: 1000}, Reason: "fixed"},
			events.ReplayBatchRequested{Lane: lane, Sequences: sequences, Position: sequences[len(sequences)-1]})
	})
	if err != nil {
		t.Fatal(err)
	}
	return committed.Sequence(1) // not the last sequence: the lane may have handled the batch already
}

// answer waits for the outcome of a batch.
func answer(t testing.TB, l *eventlog.Log, lane string, request uint64) events.ReplayCounts {
	t.Helper()
	subject := worker.DeadLetterSubject(lane, request)
	waitUntil(t, "outcome "+subject, func() bool { return countIn(t, l, events.StreamDeadLetters, subject) > 0 })
	p, ok := readDeadLetters(t, l, subject, 1)[0].Payload.(events.Replayed)
	if !ok || p.Request != request || p.Worker != lane {
		t.Fatalf("got %+v, want the outcome of %d", p, request)
	}
	return p.ReplayCounts
}

// Row 56 of the fault matrix: a process ends after it has handled a batch and before the outcome is stored. The next holder handles the batch again, with one
// effect, and a third one finds the outcome. Live events do not wait for the batch meanwhile.
func TestSuccessorHandlesABatchWithoutOutcome(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s brokenHandler
	s.deadLetter(t, l, "a", "b")
	s.works.Store(true)
	limitDeadLetters(t, l, 2) // there is no room for an outcome
	first := start(t, l, configOf(s.domain(l)))
	request := requestBatch(t, l, "inventory", 1, 2)
	place(t, l, "live")
	waitEvents(t, l, events.PrefixReservation+"live", 1)
	waitEvents(t, l, events.PrefixReservation+"a", 1)
	first.stop()
	limitDeadLetters(t, l, -1)
	start(t, l, configOf(s.domain(l))).caughtUp(t, "inventory")
	if got := answer(t, l, "inventory", request); got.Handled != 2 || got.Failed != 0 {
		t.Errorf("outcome: got %+v, want 2 handled", got)
	}
	checkMarks(t, l, 3)
	for sequence := range uint64(2) {
		if stored := outcomes(t, l, "inventory", sequence+1, 2); len(stored) != 2 || stored[1] != fmt.Sprintf("redriven 2 for %d", request) {
			t.Errorf("dead letter of %d: got %q, want it redriven once", sequence+1, stored)
		}
	}
}

// An event that fails again opens its dead letter once more, however often its batch is handled.
func TestFailedReplayOpensDeadLetter(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s brokenHandler
	s.works.Store(true)
	start(t, l, configOf(s.domain(l)))
	place(t, l, "a")
	waitEvents(t, l, events.PrefixReservation+"a", 1)
	s.works.Store(false)
	request := requestBatch(t, l, "inventory", 1, 99)
	got := answer(t, l, "inventory", request)
	if got.Failed != 2 || got.Handled != 2 || got.Failures[0].Error != "no rule for it" {
		t.Errorf("outcome: got %+v, want that the event and a missing one failed", got)
	}
	want := []string{fmt.Sprintf("failed 1 for %d: no rule for it", request)}
	if diff := cmp.Diff(want, outcomes(t, l, "inventory", 1, 1)); diff != "" {
		t.Errorf("dead letter (-want +got):\n%s", diff)
	}
}

// The acts that a batch opens are made although the process ends directly after the outcome: the checkpoint holds them.
func TestOpenedActsOutliveTheirProcess(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	made := make(chan string, 10)
	var down atomic.Bool
	busy := func(_ context.Context, id string) error {
		if down.Load() {
			return worker.RetryAfter(100*time.Millisecond, errors.New("not yet"))
		}
		made <- id
		return nil
	}
	first := start(t, l, configOf(acting(2, busy)))
	place(t, l, "a", "b")
	<-made
	<-made
	first.caughtUp(t, "actor")
	down.Store(true)
	request := requestBatch(t, l, "actor", 1, 2)
	if got := answer(t, l, "actor", request); got.Opened != 2 {
		t.Errorf("outcome: got %+v, want 2 opened acts", got)
	}
	first.stop()
	var again acts
	start(t, l, configOf(acting(2, func(ctx context.Context, id string) error { again.add(ctx, id); return nil })))
	waitUntil(t, "the next holder makes both acts", func() bool { return len(again.of("a")) > 0 && len(again.of("b")) > 0 })
}

// A replay takes only the steps that its state allows.
func TestReplayTakesTheStepsOfItsState(t *testing.T) {
	t.Parallel()
	request := events.ReplayRequested{Selection: events.ReplaySelection{From: 1, To: 9}, Reason: "why", NeedsApproval: true}
	batch := events.ReplayBatchRequested{Lane: "a", Sequences: []uint64{1}, Position: 5}
	approved, stopped, resumed := events.ReplayApproved{}, events.ReplayStopped{Reason: "why"}, events.ReplayResumed{Reason: "why"}
	for name, test := range map[string]struct {
		steps []events.Payload
		want  worker.ReplayState
	}{
		"Waits":             {[]events.Payload{request}, worker.ReplayWaiting},
		"NotApproved":       {[]events.Payload{request, batch}, ""},
		"Approved":          {[]events.Payload{request, approved, batch}, worker.ReplayRunning},
		"StoppedUnapproved": {[]events.Payload{request, stopped, resumed}, worker.ReplayWaiting},
		"Stopped":           {[]events.Payload{request, approved, stopped}, worker.ReplayStopped},
		"BatchAfterStop":    {[]events.Payload{request, approved, stopped, batch}, ""},
		"Resumed":           {[]events.Payload{request, approved, stopped, resumed, batch}, worker.ReplayRunning},
		"Finished":          {[]events.Payload{request, approved, batch, events.ReplayFinished{}}, worker.ReplayFinished},
		"StoppedTooLate":    {[]events.Payload{request, approved, events.ReplayFinished{}, stopped}, ""},
		"NoRequest":         {[]events.Payload{approved}, ""},
		"Twice":             {[]events.Payload{request, request}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r worker.Replay
			var err error
			for i, step := range test.steps {
				r, err = worker.Replays.Apply(r, events.Event{Type: step.EventType(), Actor: fmt.Sprint("staff:", i), Payload: step})
			}
			if failed := test.want == ""; (err != nil) != failed || !failed && r.State != test.want {
				t.Errorf("got %s (%v), want %q", r.State, err, test.want)
			}
		})
	}
}
