package replay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

func TestEachReadsItsRange(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 10 {
		s.say(fmt.Sprint(i+1), fmt.Sprintf("orders.o%d", i%2), "", "", events.OrderExpired{})
	}
	read := func(part replay.Range) (sequences []uint64) {
		if err := s.Each(t.Context(), part, func(m replay.Message) error {
			sequences = append(sequences, m.Sequence)
			return nil
		}); err != nil {
			t.Error(err)
		}
		return sequences
	}
	tests := []struct {
		name string
		part replay.Range
		want []uint64
	}{
		{"All", replay.Range{}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{"Part", replay.Range{From: 3, To: 5}, []uint64{3, 4, 5}},
		{"OverTheEnd", replay.Range{From: 9, To: 15}, []uint64{9, 10}},
		{"Subject", replay.Range{Subjects: []string{"orders.o1"}, To: 7}, []uint64{2, 4, 6}},
		{"EndIsFiltered", replay.Range{Subjects: []string{"orders.o0"}}, []uint64{1, 3, 5, 7, 9}},
		{"Subjects", replay.Range{Subjects: []string{"orders.o0", "orders.o1"}, From: 4, To: 6}, []uint64{4, 5, 6}},
		{"Wildcard", replay.Range{Subjects: []string{"orders.*"}, From: 9}, []uint64{9, 10}},
		{"NothingThere", replay.Range{Subjects: []string{"orders.o2"}}, nil},
		{"BeyondTheEnd", replay.Range{From: 11, To: 12}, nil},
		{"Backwards", replay.Range{From: 5, To: 4}, nil},
		{"SinceEarlier", replay.Range{Since: time.Now().Add(-time.Hour), To: 2}, []uint64{1, 2}},
		{"SinceTheSixth", replay.Range{Since: stored(t, s, 6)}, []uint64{6, 7, 8, 9, 10}},
		{"SinceLater", replay.Range{Since: time.Now().Add(time.Hour)}, nil},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, read(test.part)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	enough := errors.New("enough")
	if err := s.Each(t.Context(), replay.Range{}, func(replay.Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error of fn: got %v", err)
	}
}

func TestFollowGoesOn(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.say("1", "orders.o1", "", "", events.OrderExpired{})
	got, caughtUp := make(chan string, 10), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Follow(ctx, replay.Range{}, func() { close(caughtUp) }, func(m replay.Message) error {
			got <- m.Header.Get(events.HeaderID)
			return nil
		})
	}()
	<-caughtUp
	s.say("2", "orders.o1", "", "", events.OrderExpired{})
	if first, second := <-got, <-got; first != "1" || second != "2" {
		t.Errorf("got %s, %s", first, second)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// stored is when a message was stored.
func stored(t *testing.T, s *shop, sequence uint64) time.Time {
	t.Helper()
	m, err := s.Get(t.Context(), sequence)
	if err != nil {
		t.Fatal(err)
	}
	return m.Stored
}

// damageable puts a log that messages can be taken from in the place of the shop's, whose own denies deletion for ever.
func (s *shop) damageable() {
	s.t.Helper()
	config := eventlog.Streams(1)[0]
	config.DenyDelete = false
	if err := s.js.DeleteStream(s.t.Context(), config.Name); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.js.CreateStream(s.t.Context(), config); err != nil {
		s.t.Fatal(err)
	}
}

// damage has the log lack messages.
func (s *shop) damage(missing ...uint64) {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), events.StreamShop)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, sequence := range missing {
		if err := stream.SecureDeleteMsg(s.t.Context(), sequence); err != nil {
			s.t.Fatal(err)
		}
	}
}

// damaged writes a log of so many messages, some of which are missing.
func (s *shop) damaged(size int, missing ...uint64) {
	s.t.Helper()
	s.damageable()
	for i := range size {
		s.say(fmt.Sprint(i+1), "orders.o1", "", "", events.OrderExpired{})
	}
	s.damage(missing...)
}

// Who looks at a damaged log sees what is left of it, and where it lacks something: also at its end, where no message comes
// behind the gap.
func TestADamagedLogIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		missing []uint64
		part    replay.Range
		want    []string
	}{
		"InTheMiddle":   {[]uint64{3}, replay.Range{}, []string{"1", "2", "3-3", "4", "5"}},
		"TwoGaps":       {[]uint64{2, 4}, replay.Range{}, []string{"1", "2-2", "3", "4-4", "5"}},
		"TheBeginning":  {[]uint64{1, 2}, replay.Range{}, []string{"1-2", "3", "4", "5"}},
		"TheEnd":        {[]uint64{4, 5}, replay.Range{}, []string{"1", "2", "3", "4-5"}},
		"TwoAndTheEnd":  {[]uint64{2, 5}, replay.Range{}, []string{"1", "2-2", "3", "4", "5-5"}},
		"Everything":    {[]uint64{1, 2, 3, 4, 5}, replay.Range{}, []string{"1-5"}},
		"EndOfTheRange": {[]uint64{3, 4}, replay.Range{From: 2, To: 4}, []string{"2", "3-4"}},
		"WholeRange":    {[]uint64{3, 4}, replay.Range{From: 3, To: 4}, []string{"3-4"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.damaged(5, test.missing...)
			var heard []string
			test.part.Gap = func(from, to uint64) { heard = append(heard, fmt.Sprintf("%d-%d", from, to)) }
			err := s.Each(t.Context(), test.part, func(m replay.Message) error {
				heard = append(heard, fmt.Sprint(m.Sequence))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, heard); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// A tail of a damaged log tells the gap and goes on behind it.
func TestFollowGoesOnBehindAGap(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.damaged(4, 2, 4)
	got, caughtUp := make(chan string, 10), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		part := replay.Range{Gap: func(from, to uint64) { got <- fmt.Sprintf("%d-%d", from, to) }}
		ended <- s.Follow(ctx, part, func() { close(caughtUp) }, func(m replay.Message) error {
			got <- fmt.Sprint(m.Sequence)
			return nil
		})
	}()
	<-caughtUp
	s.say("5", "orders.o1", "", "", events.OrderExpired{})
	for _, want := range []string{"1", "2-2", "3", "4-4", "5"} {
		if heard := <-got; heard != want {
			t.Errorf("got %s, want %s", heard, want)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}
