package replay_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
)

// Row 64 of the fault matrix: a broker that stops delivering ends a read with an error that names stream and sequence, instead of a
// command that prints nothing.
func TestReadEndsWhenBrokerDeliversNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 5000 { // more than the broker sends at once
		s.append(fmt.Sprint(i+1), "orders.o1", "", "", events.OrderExpired{})
	}
	proxy := logtest.NewProxy(t, strings.TrimPrefix(s.server.URL(), "nats://"))
	reader, err := replay.Open(t.Context(), logtest.ConnectTo(t, "nats://"+proxy.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Release(); reader.Close() })
	reader.SetTimeout(500 * time.Millisecond)
	err = reader.Each(t.Context(), replay.Range{}, func(m replay.Message) error {
		if m.Sequence == 1 {
			proxy.Hold()
		}
		return nil
	})
	if !errors.Is(err, eventlog.ErrStalled) || !strings.Contains(err.Error(), events.StreamShop+" after sequence ") {
		t.Errorf("read: got %v, want %v with the stream and the sequence", err, eventlog.ErrStalled)
	}
}

// A read leaves no consumer behind.
func TestReadDeletesItsConsumer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 3 {
		s.append(fmt.Sprint(i+1), "orders.o1", "", "", events.OrderExpired{})
	}
	before := s.consumers(t)
	for _, part := range []replay.Range{{}, {Subjects: []string{"orders.o1"}}, {Since: time.Now().Add(-time.Hour)}} {
		if err := s.Each(t.Context(), part, func(replay.Message) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	// Opening a log reads the voids through a consumer, which ends by itself.
	for _, name := range s.consumers(t) {
		if !slices.Contains(before, name) {
			t.Errorf("consumer %s: got one after the read, want none", name)
		}
	}
}

// consumers returns the names of the consumers of the log.
func (s *shop) consumers(t *testing.T) (names []string) {
	t.Helper()
	stream, err := s.js.Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	for name := range stream.ConsumerNames(t.Context()).Name() {
		names = append(names, name)
	}
	return names
}
