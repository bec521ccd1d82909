package worker

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

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

// A ring gives what it holds from any sequence on, and says of what it does not hold any more that it is behind.
func TestARingGivesWhatItHolds(t *testing.T) {
	t.Parallel()
	r := newRing(5)
	if items, behind := r.take(5, 10); len(items) != 0 || behind || r.next() != 5 || r.begin() != 5 {
		t.Errorf("an empty ring gives %v, behind %v, next %d, begin %d", sequencesOf(items), behind, r.next(), r.begin())
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
		t.Errorf("next %d, begin %d; want 10 and 5", r.next(), r.begin())
	}
}

// A ring holds so many messages, and so many bytes, whatever they are made of.
func TestARingIsBounded(t *testing.T) {
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
				t.Errorf("%d messages are held, want about %d", len(items), c.most)
			}
			if r.next() != c.n+1 || r.begin() != c.n+1-uint64(len(items)) || items[0].Sequence != r.begin() {
				t.Errorf("next %d, begin %d, the first is %d", r.next(), r.begin(), items[0].Sequence)
			}
			if r.bytes > ringBytes {
				t.Errorf("%d bytes are held, want at most %d", r.bytes, ringBytes)
			}
		})
	}
	r := newRing(1)
	r.add(message(1, 2*ringBytes))
	if items, _ := r.take(1, 1); len(items) != 1 {
		t.Error("a message larger than the ring is not held, and its lanes would read it from the log for ever")
	}
}

// A signal is sent for a message that its lane cares about, and only once as long as the lane does not look.
func TestASignalIsSentForWhatALaneCaresAbout(t *testing.T) {
	t.Parallel()
	r := newRing(1)
	s := r.subscribe(func(item *Item) bool { return item.Sequence > 1 })
	r.add(message(1, 0))
	if len(s.C) != 0 {
		t.Error("a signal for what the lane does not care about")
	}
	r.add(message(2, 0))
	r.add(message(3, 0))
	if len(s.C) != 1 {
		t.Error("no signal")
	}
	<-s.C
	r.unsubscribe(s)
	r.add(message(4, 0))
	if len(s.C) != 0 {
		t.Error("a signal after the end")
	}
}

// What the reader could not read it says, until the log can be read again: also when nothing is appended that would show.
func TestAReaderThatCanReadAgainSaysSo(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	r, err := startReader(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	r.report(errors.New("interrupted"))
	go r.run(t.Context())
	eventually(t, "the reader says so", func() bool { return r.problem() == nil })
}

// eventually polls for a fact.
func eventually(t *testing.T, what string, fact func() bool) {
	t.Helper()
	again, enough := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer again.Stop()
	for !fact() {
		select {
		case <-again.C:
		case <-enough:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
