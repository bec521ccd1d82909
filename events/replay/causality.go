package replay

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"tillstream/events"
)

// streamMessage is a message and its stream.
type streamMessage struct {
	Message
	stream string
}

// arrange sorts messages into causal order: the order of the log, except that an effect never comes before its cause.
func arrange(orderID string, messages, letters []Message) History {
	entries, position := entriesOf(inOrder(messages, letters))
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
		if ready.Len() == 0 { // forged events can form a cycle of causes; they are shown too
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

// inOrder returns each message once in the order of the log, and sorts the dead letters in by the time at which they were stored.
func inOrder(messages, letters []Message) []streamMessage {
	slices.SortFunc(messages, func(a, b Message) int { return cmp.Compare(a.Sequence, b.Sequence) })
	messages = slices.CompactFunc(messages, func(a, b Message) bool { return a.Sequence == b.Sequence })
	all := make([]streamMessage, 0, len(messages)+len(letters))
	for _, m := range messages {
		for len(letters) > 0 && letters[0].Stored.Before(m.Stored) {
			all = append(all, streamMessage{letters[0], events.StreamDeadLetters})
			letters = letters[1:]
		}
		all = append(all, streamMessage{m, events.StreamShop})
	}
	for _, d := range letters {
		all = append(all, streamMessage{d, events.StreamDeadLetters})
	}
	return all
}

// entriesOf converts messages to entries and returns the position of each event id.
func entriesOf(messages []streamMessage) (entries []Entry, position map[string]int) {
	position = make(map[string]int, len(messages))
	for i, m := range messages {
		e := entryOf(m)
		if e.EventID != "" && m.stream == events.StreamShop { // a dead letter has no effects
			position[e.EventID] = i
		}
		entries = append(entries, e)
	}
	return entries, position
}

func entryOf(m streamMessage) Entry {
	event, err := m.Event()
	if newer := m.Newer(); newer != nil {
		err = newer
	}
	if m.Voided() {
		err = errVoid
	}
	e := Entry{Stored: storedAt(m, event), Stream: m.stream, Sequence: m.Sequence, Subject: m.Subject, Type: cmp.Or(event.Type, "(no event)"),
		EventID: event.ID, CausationID: event.CausationID, Source: event.Source, Actor: event.Actor, Payload: event.Payload}
	if err != nil {
		e.Summary = "cannot be read: " + err.Error()
	} else {
		e.Summary = Summary(event)
	}
	return e
}

// rewrittenAfter is how much later than its event a message is stored at least when a repair or a restore has written it again.
const rewrittenAfter = time.Minute

// storedAt returns when the broker stored a message. For a message that was written again this is lost, and the time of the event
// is returned.
func storedAt(m streamMessage, event events.Event) time.Time {
	if !event.Time.IsZero() && m.Stored.Sub(event.Time) > rewrittenAfter {
		return event.Time.UTC()
	}
	return m.Stored.UTC()
}

// queue holds the indexes of entries whose cause has been placed. The earliest in the log is first.
type queue []int

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i] < q[j] }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements [heap.Interface].
func (q *queue) Push(x any) { *q = append(*q, x.(int)) }

// Pop implements [heap.Interface].
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
