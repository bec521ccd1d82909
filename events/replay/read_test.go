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

func TestEachReadsItsRange(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 10 {
		s.say(fmt.Sprint(i+1), fmt.Sprintf("orders.o%d", i%2), "", "", events.OrderExpired{})
	}
	read := func(part replay.Range) (sequences []uint64) {
		part.Stream = events.StreamOrders
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
		{"Subject", replay.Range{Subjects: []string{"orders.o1"}, To: 7}, []uint64{2, 4, 6}},
		{"EndIsFiltered", replay.Range{Subjects: []string{"orders.o0"}}, []uint64{1, 3, 5, 7, 9}},
		{"NothingThere", replay.Range{Subjects: []string{"orders.o2"}}, nil},
		{"BeyondTheEnd", replay.Range{From: 11, To: 12}, nil},
		{"Backwards", replay.Range{From: 5, To: 4}, nil},
		{"SinceLater", replay.Range{Since: time.Now().Add(time.Hour)}, nil},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, read(test.part)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	enough := errors.New("enough")
	if err := s.Each(t.Context(), replay.Range{Stream: events.StreamOrders}, func(replay.Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error of fn: got %v", err)
	}
	if err := s.Each(t.Context(), replay.Range{Stream: "NOWHERE"}, nil); err == nil {
		t.Error("unknown stream: want an error")
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
		ended <- s.Follow(ctx, replay.Range{Stream: events.StreamOrders}, func() { close(caughtUp) }, func(m replay.Message) error {
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
