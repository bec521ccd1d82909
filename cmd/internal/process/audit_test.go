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

// checkOrders stops the buyers and fails unless the log has every acknowledged order exactly once, and each order is marked once.
func (tr *traffic) checkOrders(t *testing.T) {
	t.Helper()
	tr.stop()
	tr.buyers.Wait()
	auditor := tr.openLog(t, "auditor")
	var wrong []string
	defer func() {
		for _, w := range wrong {
			t.Error(w)
		}
	}()
	var stored map[string]int
	proc.WaitFor(t, "the log has every acknowledged order", time.Minute, func() bool {
		var marks map[string]int
		stored, marks = counts(t, auditor)
		wrong = tr.differences(stored, marks)
		return len(wrong) == 0
	})
	tr.logPauses(t, auditor)
	t.Logf("%d orders acknowledged, %d in the log", len(tr.acknowledged), len(stored))
}

// differences compares the number of messages of each order and each mark with the acknowledged orders.
func (tr *traffic) differences(stored, marks map[string]int) (wrong []string) {
	for _, id := range tr.acknowledged {
		if stored[id] == 0 {
			wrong = append(wrong, fmt.Sprintf("order %s: was acknowledged, but the log lacks it", id))
		}
	}
	for id, n := range stored {
		if n != 1 || marks[id] != 1 {
			wrong = append(wrong, fmt.Sprintf("order %s: got stored %d times and marked %d times, want once each", id, n, marks[id]))
		}
	}
	return wrong
}

// logPauses logs the longest time between two decisions of the worker after each fault.
func (tr *traffic) logPauses(t *testing.T, l *eventlog.Log) {
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
		t.Logf("%s: %s without a decision of the worker", f.name, gaps[i].Round(time.Millisecond))
	}
}

// counts counts the messages of each order and of each mark.
func counts(t *testing.T, l *eventlog.Log) (stored, marks map[string]int) {
	t.Helper()
	stored, marks = map[string]int{}, map[string]int{}
	each(t, l, func(m eventlog.Message) {
		if id, ok := events.ParseSubject(events.PrefixOrder, m.Subject); ok {
			stored[id]++
		}
		if id, ok := events.ParseSubject(events.PrefixReservation, m.Subject); ok {
			marks[id]++
		}
	})
	return stored, marks
}

// each reads the whole log. The leader reports the end of the log, because the copy that is read may lag.
func each(t *testing.T, l *eventlog.Log, fn func(eventlog.Message)) {
	t.Helper()
	var last uint64
	proc.WaitFor(t, "the leader reports the end of the log", time.Minute, func() bool {
		var err error
		last, err = l.End(t.Context(), 0)
		return err == nil
	})
	if last == 0 {
		return
	}
	errEnd := errors.New("end of the log")
	err := l.Follow(t.Context(), 1, func(m eventlog.Message) error {
		fn(m)
		if m.Sequence >= last {
			return errEnd
		}
		return nil
	})
	if !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
}
