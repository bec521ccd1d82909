package worker

import (
	"context"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// A lane that has just begun fires nothing before it has read what stood in the log then: a deadline that has passed may have
// been dropped by the last event, which the reader has not come to.
func TestATimerFiresNothingBeforeItHasReadTheLog(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	orders := eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}
	say := func(facts ...events.Payload) {
		t.Helper()
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, "a", facts...) }); err != nil {
			t.Fatal(err)
		}
	}
	say(events.OrderPlaced{ExpiresAt: time.Now().Add(-time.Hour)})
	many := make([]events.Payload, headroom-1)
	for i := range many {
		many[i] = events.OrderRefunded{}
	}
	say(many...)
	say(events.OrderConfirmed{})
	r, err := startReader(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	r.observe = func(*Item) {}
	base := &lane{name: "timers", log: l, reader: r, wake: make(chan struct{}, 1)}
	base.metrics = newLaneMetrics(base, nil, nil)
	fired := 0
	timers := newTimerLane(base, Timer{Types: []events.Payload{events.OrderPlaced{}, events.OrderConfirmed{}},
		At: func(e events.Event) (id string, at time.Time) {
			if p, ok := e.Payload.(events.OrderPlaced); ok {
				at = p.ExpiresAt
			}
			return "a", at
		}, Fire: func(context.Context, string) error { fired++; return nil }})
	if err := timers.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := timers.step(t.Context(), t.Context()); err != nil || timers.taken != 1 || len(timers.queue) != 1 || fired != 0 {
		t.Errorf("read up to %d, %d deadlines are open, %d have fired (%v); want 1, 1 and 0", timers.taken, len(timers.queue), fired, err)
	}
	go r.run(t.Context())
	eventually(t, "all of the log is read", func() bool {
		if err := timers.step(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		return timers.taken >= timers.logEnd
	})
	if len(timers.queue) != 0 || fired != 0 {
		t.Errorf("%d deadlines are open, %d have fired; want none", len(timers.queue), fired)
	}
}
