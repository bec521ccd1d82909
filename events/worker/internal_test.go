package worker

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

func message(sequence uint64, size int) *Item {
	return &Item{Message: eventlog.Message{Sequence: sequence, Subject: "orders.a", Data: make([]byte, size)}}
}

func sequencesOf(items []*Item) (sequences []uint64) {
	for _, item := range items {
		sequences = append(sequences, item.Sequence)
	}
	return sequences
}

// A ring returns its messages from any sequence on, and reports when it has dropped the sequence.
func TestRingReturnsItsMessagesFromAnySequence(t *testing.T) {
	t.Parallel()
	r := newRing(5)
	if items, behind := r.take(5, 10); len(items) != 0 || behind || r.next() != 5 || r.begin() != 5 {
		t.Errorf("empty ring: got %v, behind %v, next %d, begin %d; want none, false, 5 and 5", sequencesOf(items), behind, r.next(), r.begin())
	}
	for s := uint64(5); s < 10; s++ {
		r.add(message(s, 1))
	}
	for _, c := range []struct {
		from   uint64
		limit  int
		want   []uint64
		behind bool
	}{
		{4, 10, nil, true},
		{5, 10, []uint64{5, 6, 7, 8, 9}, false},
		{5, 2, []uint64{5, 6}, false},
		{8, 2, []uint64{8, 9}, false},
		{9, 1, []uint64{9}, false},
		{10, 1, nil, false},
		{99, 1, nil, false},
	} {
		if items, behind := r.take(c.from, c.limit); !slices.Equal(sequencesOf(items), c.want) || behind != c.behind {
			t.Errorf("from %d on, at most %d: got %v, behind %v; want %v, %v", c.from, c.limit, sequencesOf(items), behind, c.want, c.behind)
		}
	}
	if r.next() != 10 || r.begin() != 5 {
		t.Errorf("got next %d, begin %d; want 10 and 5", r.next(), r.begin())
	}
}

// A ring is bounded by messages and by bytes, whether these are bodies or headers.
func TestRingIsBoundedByMessagesAndBytes(t *testing.T) {
	t.Parallel()
	const large = 1 << 20
	header := func(sequence uint64) *Item {
		item := message(sequence, 0)
		item.Header = nats.Header{"note": {string(bytes.Repeat([]byte("x"), 60_000))}}
		return item
	}
	for name, c := range map[string]struct {
		make func(sequence uint64) *Item
		n    uint64
		most int
	}{
		"Many":         {func(s uint64) *Item { return message(s, 10) }, 3 * ringItems, ringItems},
		"Large":        {func(s uint64) *Item { return message(s, large) }, 100, ringBytes / large},
		"LargeHeaders": {header, 1000, ringBytes / 60_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRing(1)
			for s := uint64(1); s <= c.n; s++ {
				r.add(c.make(s))
			}
			items, behind := r.take(r.begin(), ringItems)
			if behind || len(items) > c.most || len(items) < c.most*9/10 {
				t.Errorf("got %d messages, want about %d", len(items), c.most)
			}
			if r.next() != c.n+1 || r.begin() != c.n+1-uint64(len(items)) || items[0].Sequence != r.begin() {
				t.Errorf("got next %d, begin %d, first message %d; want next %d, and begin at the first message", r.next(), r.begin(), items[0].Sequence, c.n+1)
			}
			if r.bytes > ringBytes {
				t.Errorf("got %d bytes, want at most %d", r.bytes, ringBytes)
			}
		})
	}
	r := newRing(1)
	r.add(message(1, 2*ringBytes))
	if items, _ := r.take(1, 1); len(items) != 1 {
		t.Error("a message larger than the ring was dropped; its lanes would read it from the log again and again")
	}
}

// A subscription signals the messages that match, once until the signal is received.
func TestSubscriptionSignalsMatchingMessages(t *testing.T) {
	t.Parallel()
	r := newRing(1)
	s := r.subscribe(func(item *Item) bool { return item.Sequence > 1 })
	r.add(message(1, 0))
	if len(s.C) != 0 {
		t.Error("got a signal for a message that does not match")
	}
	r.add(message(2, 0))
	r.add(message(3, 0))
	if len(s.C) != 1 {
		t.Errorf("got %d signals for two messages, want 1", len(s.C))
	}
	<-s.C
	r.unsubscribe(s)
	r.add(message(4, 0))
	if len(s.C) != 0 {
		t.Error("got a signal after unsubscribe")
	}
}

// A reader reports that it cannot read until it can, even when no message is appended that would show it.
func TestReaderReportsThatItCanReadAgain(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	r, err := startReader(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	r.report(errors.New("interrupted"))
	go r.run(t.Context())
	eventually(t, "the reader has no problem", func() bool { return r.problem() == nil })
}

// eventually polls until a condition holds.
func eventually(t *testing.T, condition string, holds func() bool) {
	t.Helper()
	ticker, timeout := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("not within a minute: %s", condition)
		}
	}
}

// A control is ignored when a newer one was applied, in whatever order they arrive.
func TestOlderControlIsIgnored(t *testing.T) {
	t.Parallel()
	l := &lane{wake: make(chan struct{}, 1)}
	for i, step := range []struct {
		paused   bool
		sequence uint64
		want     bool
	}{
		{true, 803, true}, // read by New
		{true, 1, true},
		{false, 402, true}, // read by the reader
		{true, 803, true},
		{false, 900, false},
		{true, 803, false},
	} {
		l.setControl(Control{Paused: step.paused}, step.sequence)
		if got := l.isPaused(); got != step.want {
			t.Errorf("step %d: paused %v, want %v", i, got, step.want)
		}
	}
}

// A checkpoint is written at most once a second or per 500 events, also when only the open acts have changed. After a
// failed write the next attempt waits.
func TestCheckpointIsDueAfterASecondOr500Events(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	opened := logtest.Open(t, func(c *eventlog.Config) { c.Now = func() time.Time { return now } })
	l := &lane{name: "lane", log: opened}
	if _, err := l.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(want bool, when string) {
		t.Helper()
		if got := l.checkpointDue(); got != want {
			t.Errorf("%s: due %v, want %v", when, got, want)
		}
	}
	state := func() any { return []int{} }
	save := func(ctx context.Context) {
		t.Helper()
		if err := l.saveIfDue(ctx, state); err != nil {
			t.Fatal(err)
		}
	}
	check(false, "at the start")
	l.advance(499)
	check(false, "after 499 events")
	l.advance(500)
	check(true, "after 500 events")
	save(t.Context())
	check(false, "when it was written")
	l.advance(501)
	check(false, "at once after one event")
	now = now.Add(time.Second)
	check(true, "a second after one event")
	save(t.Context())
	l.change()
	check(false, "at once after a change")
	now = now.Add(time.Second)
	check(true, "a second after a change")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	save(gone)
	check(false, "at once after it could not be written")
	now = now.Add(time.Second)
	check(true, "a second after it could not be written")
	save(t.Context())
	c, err := opened.LoadCheckpoint(t.Context(), "lane")
	if err != nil || c.Position != 501 || string(c.State) != "[]" {
		t.Errorf("checkpoint: got %+v (%v), want position 501 and the state", c, err)
	}
}

func TestFailedActFollowsTheSchedule(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	cases := []struct {
		name       string
		err        error
		attempt    int
		spread     float64
		delay      time.Duration
		deadLetter bool
	}{
		{"first", odd, 1, 0, time.Second, false},
		{"third", odd, 3, 0, 5 * time.Second, false},
		{"spread", odd, 3, 0.8, 6 * time.Second, false},
		{"last", odd, len(actSchedule), 0, 30 * time.Minute, false},
		{"beyond the last", odd, len(actSchedule) + 1, 0, 0, true},
		{"requested delay", RetryAfter(time.Minute, odd), 99, 0, time.Minute, false},
		{"deferred", Defer(time.Hour, odd), 99, 0, time.Hour, false},
		{"dead letter", DeadLetter(odd), 1, 0, 0, true},
		{"circuit open", OpenCircuit(odd), 99, 0, 0, false},
		{"log unavailable for long", eventlog.ErrUnavailable, 1000, 0, 30 * time.Second, false},
		{"stopping", context.Canceled, 1, 0, time.Second, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			delay, deadLetter := afterFailure(c.err, c.attempt, c.spread)
			if delay != c.delay || deadLetter != c.deadLetter {
				t.Errorf("got %v %v, want %v %v", delay, deadLetter, c.delay, c.deadLetter)
			}
		})
	}
}

func TestErrorsOfOneCauseHaveOneFingerprint(t *testing.T) {
	t.Parallel()
	a := fingerprint("w", errors.New(`order 0198c7d2-aaaa-7bbb-8ccc-0123456789ab: amount 12 is not 15`))
	b := fingerprint("w", errors.New(`order 0198c7d2-ffff-7bbb-8ccc-0123456789ab: amount 7 is not 99`))
	if other := fingerprint("w", errors.New("order is closed")); a != b || a == other {
		t.Errorf("fingerprints: got %s and %s of one cause, %s of another", a, b, other)
	}
}

// A timer lane fires nothing before it has read up to the end that the log had when the lane began: the last event may
// have cleared a deadline that has passed.
func TestTimerFiresNothingBeforeItHasReadTheLog(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	orders := eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}
	appendFacts := func(facts ...events.Payload) {
		t.Helper()
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, "a", facts...) }); err != nil {
			t.Fatal(err)
		}
	}
	appendFacts(events.OrderPlaced{ExpiresAt: time.Now().Add(-time.Hour)})
	many := make([]events.Payload, headroom-1)
	for i := range many {
		many[i] = events.OrderRefunded{}
	}
	appendFacts(many...)
	appendFacts(events.OrderConfirmed{})
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
		t.Errorf("got %d read, %d deadlines open, %d fired (%v); want 1, 1 and 0", timers.taken, len(timers.queue), fired, err)
	}
	go r.run(t.Context())
	eventually(t, "all of the log is read", func() bool {
		if err := timers.step(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		return timers.taken >= timers.logEnd
	})
	if len(timers.queue) != 0 || fired != 0 {
		t.Errorf("got %d deadlines open, %d fired; want none", len(timers.queue), fired)
	}
}
