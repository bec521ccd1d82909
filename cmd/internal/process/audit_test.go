//go:build unix

package process_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	eventlog "tillstream/events/log"
)

// closes stops the buyers and fails unless the log has every acknowledged order exactly once.
func (tr *trade) closes(t *testing.T) {
	t.Helper()
	tr.stop()
	tr.buyers.Wait()
	auditor := tr.join(t, "auditor")
	var wrong []string
	defer func() {
		for _, w := range wrong {
			t.Error(w)
		}
	}()
	var taken map[string]int
	proc.WaitFor(t, "the log holds what was promised", time.Minute, func() bool {
		var marks map[string]int
		taken, marks = counts(t, auditor)
		wrong = tr.differences(taken, marks)
		return len(wrong) == 0
	})
	tr.logPauses(t, auditor)
	t.Logf("%d orders acknowledged, %d in the log", len(tr.promised), len(taken))
}

// differences compares the number of messages of each order and each mark with the acknowledged orders.
func (tr *trade) differences(taken, marked map[string]int) (wrong []string) {
	for _, id := range tr.promised {
		if taken[id] == 0 {
			wrong = append(wrong, fmt.Sprintf("order %s was acknowledged and is lost", id))
		}
	}
	for id, n := range taken {
		if n != 1 || marked[id] != 1 {
			wrong = append(wrong, fmt.Sprintf("order %s was stored %d times and marked %d times, want once each", id, n, marked[id]))
		}
	}
	return wrong
}

// logPauses logs the longest time between two decisions of the worker after each fault.
func (tr *trade) logPauses(t *testing.T, l *eventlog.Log) {
	t.Helper()
	var last time.Time
	gaps := make([]time.Duration, len(tr.faults))
	each(t, l, func(m eventlog.Message) {
		if _, ok := events.ParseSubject(events.PrefixReservation, m.Subject); !ok {
			return
		}
		for i, f := range tr.faults {
			next := time.Now()
			if i+1 < len(tr.faults) {
				next = tr.faults[i+1].at
			}
			if m.Stored.After(f.at) && m.Stored.Before(next) && !last.IsZero() {
				gaps[i] = max(gaps[i], m.Stored.Sub(last))
			}
		}
		last = m.Stored
	})
	for i, f := range tr.faults {
		t.Logf("%s: %s without a decision of the worker", f.what, gaps[i].Round(time.Millisecond))
	}
}

// counts counts the messages of each order and of each mark.
func counts(t *testing.T, l *eventlog.Log) (taken, marks map[string]int) {
	t.Helper()
	taken, marks = map[string]int{}, map[string]int{}
	each(t, l, func(m eventlog.Message) {
		if id, ok := events.ParseSubject(events.PrefixOrder, m.Subject); ok {
			taken[id]++
		}
		if id, ok := events.ParseSubject(events.PrefixReservation, m.Subject); ok {
			marks[id]++
		}
	})
	return taken, marks
}

// each reads the whole log. Its end comes from the leader, because the copy that is read may lag.
func each(t *testing.T, l *eventlog.Log, fn func(eventlog.Message)) {
	t.Helper()
	var last uint64
	proc.WaitFor(t, "the log says where it ends", time.Minute, func() (said bool) {
		var err error
		last, err = l.End(t.Context(), 0)
		return err == nil
	})
	if last == 0 {
		return
	}
	read := errors.New("end of the log")
	err := l.Follow(t.Context(), 1, func(m eventlog.Message) error {
		fn(m)
		if m.Sequence >= last {
			return read
		}
		return nil
	})
	if !errors.Is(err, read) {
		t.Fatal(err)
	}
}
