package feed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/embedded"
	"tillstream/events/internal/feed"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// What a replica had in hand when it died comes to its successor without waiting for AckWait, though nothing new happens.
func TestSuccessorGetsWhatWasInHand(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	config := feed.Config{Name: "heir", Stream: events.StreamOrders, Exclusive: true}
	first, err := feed.Open(t.Context(), logtest.OpenOn(t, server), config)
	if err != nil {
		t.Fatal(err)
	}
	journal := log.Journal{Stream: events.StreamOrders, Subject: events.PrefixOrder + "one"}
	for range 3 {
		err := l.Do(t.Context(), func(tx *log.Tx) error {
			return journal.Append(tx, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: "one"}, By: "shopper"})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // less than AckWait
	defer cancel()
	want := []uint64{1, 2, 3}
	if got := take(ctx, first, len(want)); !slices.Equal(got, want) {
		t.Fatalf("the first replica got %v, want %v", got, want)
	}
	second, err := feed.Open(t.Context(), l, config)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Close()
	if got := take(ctx, second, len(want)); !slices.Equal(got, want) {
		t.Errorf("its successor got %v, want %v", got, want)
	}
}

// Deliveries that a client was too late to take, the last ones of a stream, come again without waiting for AckWait. They
// are lost here by asking for them under the feed's own pin.
func TestWhatWasDroppedOnTheWayComesAgain(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	f, err := feed.Open(t.Context(), l, feed.Config{Name: "late", Stream: events.StreamOrders, Exclusive: true, Prefetch: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	journal := log.Journal{Stream: events.StreamOrders, Subject: events.PrefixOrder + "one"}
	say := func() {
		t.Helper()
		err := l.Do(t.Context(), func(tx *log.Tx) error {
			return journal.Append(tx, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: "one"}, By: "shopper"})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second) // less than AckWait
	defer cancel()
	say()
	first := f.Take(ctx, 1)
	if len(first) != 1 {
		t.Fatal("the first message did not come")
	}
	f.Acknowledge(first)
	request := fmt.Sprintf(`{"batch":1,"expires":500000000,"group":"active","id":%q}`, first[0].Headers().Get("Nats-Pin-Id"))
	thief, err := l.JetStream().Conn().SubscribeSync("somewhere.else")
	if err != nil {
		t.Fatal(err)
	}
	stolen := uint64(0)
	for stolen == 0 { // the feed has asked too, and may be first
		if err := l.JetStream().Conn().PublishRequest("$JS.API.CONSUMER.MSG.NEXT.ORDERS.late", "somewhere.else", []byte(request)); err != nil {
			t.Fatal(err)
		}
		say()
		m, err := thief.NextMsg(time.Second)
		if errors.Is(err, nats.ErrTimeout) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if meta, err := m.Metadata(); err == nil { // else it is told that its time is up
			stolen = meta.Sequence.Stream
		}
	}
	var got []uint64
	for !slices.Contains(got, stolen) && ctx.Err() == nil {
		got = append(got, take(ctx, f, 1)...)
	}
	if !slices.Contains(got, stolen) {
		t.Errorf("the feed got %v, and never %d", got, stolen)
	}
}

// A worker that is started while the broker is away begins its work when the broker is back. Without that patience its
// process ends, and whoever supervises it has to start it until one of the starts falls into a quiet moment.
func TestFeedOpensWhenTheBrokerIsBack(t *testing.T) {
	t.Parallel()
	at := embedded.NATSConfig{Dir: t.TempDir(), Addr: "127.0.0.1:0"}
	server, err := embedded.StartNATS(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	at.Addr = strings.TrimPrefix(server.URL(), "nats://")
	conn := logtest.Connect(t, server)
	l := logtest.OpenOver(t, conn)
	server.Stop()
	for again := time.NewTicker(time.Millisecond); conn.IsConnected(); <-again.C {
	}
	opened := make(chan error, 1)
	go func() {
		f, err := feed.Open(t.Context(), l, feed.Config{Name: "late", Stream: events.StreamOrders})
		if err == nil {
			f.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("without a broker: %v", err)
	case <-time.After(200 * time.Millisecond): // the first try has failed by now
	}
	if server, err = embedded.StartNATS(at); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// take returns the sequences of the next n messages, or fewer when ctx ends.
func take(ctx context.Context, f *feed.Feed, n int) (sequences []uint64) {
	for len(sequences) < n {
		batch := f.Take(ctx, n-len(sequences))
		if batch == nil {
			return sequences
		}
		for _, m := range batch {
			sequences = append(sequences, m.Sequence)
		}
	}
	return sequences
}
