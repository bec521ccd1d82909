package replay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/events/replay"
)

func TestEachReadsRange(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 10 {
		s.append(fmt.Sprint(i+1), fmt.Sprintf("orders.o%d", i%2), "", "", events.OrderExpired{})
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
		{"AcrossTheEnd", replay.Range{From: 9, To: 15}, []uint64{9, 10}},
		{"Subject", replay.Range{Subjects: []string{"orders.o1"}, To: 7}, []uint64{2, 4, 6}},
		{"EndIsFiltered", replay.Range{Subjects: []string{"orders.o0"}}, []uint64{1, 3, 5, 7, 9}},
		{"Subjects", replay.Range{Subjects: []string{"orders.o0", "orders.o1"}, From: 4, To: 6}, []uint64{4, 5, 6}},
		{"Wildcard", replay.Range{Subjects: []string{"orders.*"}, From: 9}, []uint64{9, 10}},
		{"NoMessages", replay.Range{Subjects: []string{"orders.o2"}}, nil},
		{"BeyondTheEnd", replay.Range{From: 11, To: 12}, nil},
		{"Backwards", replay.Range{From: 5, To: 4}, nil},
		{"SinceEarlier", replay.Range{Since: time.Now().Add(-time.Hour), To: 2}, []uint64{1, 2}},
		{"SinceTheSixth", replay.Range{Since: stored(t, s, 6)}, []uint64{6, 7, 8, 9, 10}},
		{"SinceLater", replay.Range{Since: time.Now().Add(time.Hour)}, nil},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, read(test.part)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	stop := errors.New("stop")
	if err := s.Each(t.Context(), replay.Range{}, func(replay.Message) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("each: got %v, want the error of fn", err)
	}
}

func TestFollowDeliversNewEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.append("1", "orders.o1", "", "", events.OrderExpired{})
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
	s.append("2", "orders.o1", "", "", events.OrderExpired{})
	if first, second := <-got, <-got; first != "1" || second != "2" {
		t.Errorf("events: got %s, %s; want 1, 2", first, second)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("follow: got %v, want %v", err, context.Canceled)
	}
}

// A read of a damaged log delivers the remaining messages and reports the gaps, also at the end, where no message follows the gap.
func TestEachReportsGaps(t *testing.T) {
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
			s.damagedLog(5, test.missing...)
			var got []string
			test.part.Gap = func(from, to uint64) { got = append(got, fmt.Sprintf("%d-%d", from, to)) }
			err := s.Each(t.Context(), test.part, func(m replay.Message) error {
				got = append(got, fmt.Sprint(m.Sequence))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("sequences and gaps (-want +got):\n%s", diff)
			}
		})
	}
}

// Follow reports the gaps of a damaged log and continues after them.
func TestFollowContinuesAfterGap(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.damagedLog(4, 2, 4)
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
	s.append("5", "orders.o1", "", "", events.OrderExpired{})
	for _, want := range []string{"1", "2-2", "3", "4-4", "5"} {
		if next := <-got; next != want {
			t.Errorf("next sequence or gap: got %s, want %s", next, want)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("follow: got %v, want %v", err, context.Canceled)
	}
}
