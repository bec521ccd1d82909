package feed_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/internal/feed"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

func cancelled(t testing.TB, l *log.Log, n int) {
	t.Helper()
	err := l.Do(t.Context(), func(tx *log.Tx) error {
		for i := range n {
			id := fmt.Sprint("o", i)
			journal := log.Journal{Stream: events.StreamOrders, Subject: events.PrefixOrder + id}
			if err := journal.Append(tx, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: id}, By: "shopper"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// inHand waits until so many messages are delivered and not acknowledged.
func inHand(t testing.TB, l *log.Log, consumer string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ticker := time.NewTicker(5 * time.Millisecond); ; {
		c, err := l.JetStream().Consumer(ctx, events.StreamOrders, consumer)
		if err != nil {
			t.Fatal(err)
		}
		if c.CachedInfo().NumAckPending == n {
			ticker.Stop()
			return
		}
		<-ticker.C
	}
}

// What a replica had fetched and nobody had taken when it was closed comes to another without waiting for AckWait.
func TestASharedFeedHandsBackWhatNobodyTook(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	config := feed.Config{Name: "shared", Stream: events.StreamOrders, Prefetch: 3, AckWait: time.Minute}
	first, err := feed.Open(t.Context(), logtest.OpenOn(t, server), config)
	if err != nil {
		t.Fatal(err)
	}
	cancelled(t, l, 3)
	inHand(t, l, "shared", 3)
	first.Close()
	second, err := feed.Open(t.Context(), l, config)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // less than AckWait
	defer cancel()
	got := take(ctx, second, 3)
	if slices.Sort(got); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("the second replica got %v", got)
	}
}

// A shared feed has no more messages in hand than places, whatever waits, and gets the next one for every one released.
func TestASharedFeedHasNoMoreInHandThanPlaces(t *testing.T) {
	t.Parallel()
	const places, all = 4, 50
	l := logtest.Open(t)
	cancelled(t, l, all)
	f, err := feed.Open(t.Context(), l, feed.Config{Name: "shared", Stream: events.StreamOrders, Prefetch: places, AckWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for n := 0; n < all; {
		inHand(t, l, "shared", min(places, all-n))
		batch := f.Take(ctx, places)
		if len(batch) == 0 {
			t.Fatalf("%d of %d came", n, all)
		}
		f.Acknowledge(batch)
		f.Release(len(batch))
		n += len(batch)
	}
}

// Closing does not wait for a broker that does not answer.
func TestASharedFeedClosesWithoutABroker(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	proxy := logtest.NewProxy(t, server.URL()[len("nats://"):])
	l := logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+proxy.Addr()))
	f, err := feed.Open(t.Context(), l, feed.Config{Name: "shared", Stream: events.StreamOrders, Prefetch: 3})
	if err != nil {
		t.Fatal(err)
	}
	proxy.Hold()
	closed := make(chan struct{})
	go func() { defer close(closed); f.Close() }()
	select {
	case <-closed:
	case <-time.After(4 * time.Second):
		t.Error("it still waits after four seconds")
	}
	proxy.Release()
	<-closed
}
