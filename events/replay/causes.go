package replay

import (
	"cmp"
	"container/heap"
	"slices"

	"tillstream/events"
)

// arrange puts messages into causal order: by the broker's time, except that an effect never stands before its cause.
func arrange(orderID string, messages []Message) History {
	entries, position := entriesOf(messages)
	history := History{OrderID: orderID, Entries: make([]Entry, 0, len(entries))}
	effects := make([][]int, len(entries))
	number := make([]int, len(entries)) // 0: not placed yet
	ready := &queue{}
	for i, e := range entries {
		if cause, known := position[e.CausationID]; known && cause != i {
			effects[cause] = append(effects[cause], i)
		} else {
			heap.Push(ready, i)
		}
	}
	place := func(i int) {
		e := entries[i]
		e.Number = len(history.Entries) + 1
		if cause, known := position[e.CausationID]; known {
			e.Cause = number[cause]
		}
		e.After = e.Stored.Sub(entries[0].Stored)
		e.AfterMillis = e.After.Milliseconds()
		number[i] = e.Number
		history.Entries = append(history.Entries, e)
	}
	for next := 0; len(history.Entries) < len(entries); {
		if ready.Len() == 0 { // forged events can cause each other in a circle; they are shown all the same
			for number[next] != 0 {
				next++
			}
			heap.Push(ready, next)
		}
		i := heap.Pop(ready).(int)
		if number[i] != 0 {
			continue
		}
		place(i)
		for _, effect := range effects[i] {
			heap.Push(ready, effect)
		}
	}
	return history
}

// entriesOf reads messages, in order of time, and says where each event id stands. A message that was found twice is
// one entry.
func entriesOf(messages []Message) (entries []Entry, position map[string]int) {
	slices.SortStableFunc(messages, func(a, b Message) int {
		return cmp.Or(a.Stored.Compare(b.Stored), cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Sequence, b.Sequence))
	})
	messages = slices.CompactFunc(messages, func(a, b Message) bool { return a.Stream == b.Stream && a.Sequence == b.Sequence })
	position = make(map[string]int, len(messages))
	for i, m := range messages {
		e := entryOf(m)
		if e.EventID != "" && m.Stream != events.StreamParked { // what was parked has an id of its own
			position[e.EventID] = i
		}
		entries = append(entries, e)
	}
	return entries, position
}

func entryOf(m Message) Entry {
	event, err := m.Event()
	e := Entry{Stored: m.Stored.UTC(), Stream: m.Stream, Sequence: m.Sequence, Subject: m.Subject, Type: cmp.Or(event.Type, "(no event)"),
		EventID: event.ID, CausationID: event.CausationID, Source: event.Source, Payload: event.Payload}
	if err != nil {
		e.Summary = "cannot be read: " + err.Error()
	} else {
		e.Summary = Summary(event.Payload)
	}
	return e
}

// queue is the indexes of entries whose cause has been placed, the earliest first: entries are sorted by time.
type queue []int

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i] < q[j] }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *queue) Push(x any) { *q = append(*q, x.(int)) }

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
