package worker_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// acting is an actor that does do about every order.
func acting(slots int, ackWait time.Duration, do func(ctx context.Context, id string) error) worker.Config {
	return worker.Config{Actors: []worker.Actor{{Name: "actor", Source: events.StreamOrders, Concurrency: slots, AckWait: ackWait,
		Routes: []worker.ActRoute{worker.Do(func(ctx context.Context, _ events.Event, p events.OrderPlaced) error { return do(ctx, p.OrderID) })}}}}
}

// An event that finds all slots taken is not delivered before one is free: else the broker would think it lost while it
// waits, and deliver it once more.
func TestWhatWaitsForASlotIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	const ackWait = time.Second
	l := logtest.Open(t)
	place(t, l, "a", "b", "c", "d")
	var mu sync.Mutex
	acts := map[string][]int{} // the attempts that each order saw
	start(t, l, acting(1, ackWait, func(ctx context.Context, id string) error {
		mu.Lock()
		acts[id] = append(acts[id], worker.Attempt(ctx))
		mu.Unlock()
		<-time.After(3 * ackWait / 2) // how long the act takes
		return nil
	}))
	caughtUp(t, l, events.StreamOrders, "actor")
	mu.Lock()
	defer mu.Unlock()
	if got, want := fmt.Sprint(acts), "map[a:[1] b:[1] c:[1] d:[1]]"; got != want {
		t.Errorf("acted in attempts %s, want %s", got, want)
	}
}

// held is an act that lasts until its test ends. begun is closed when it begins.
func held(t testing.TB) (act func(context.Context, string) error, begun chan struct{}) {
	t.Helper()
	begun = make(chan struct{})
	return func(context.Context, string) error {
		close(begun)
		<-t.Context().Done()
		return nil
	}, begun
}

// counted acts on nothing; enough is closed when it has seen so many.
func counted(want int64) (act func(context.Context, string) error, enough chan struct{}) {
	var n atomic.Int64
	enough = make(chan struct{})
	return func(context.Context, string) error {
		if n.Add(1) == want {
			close(enough)
		}
		return nil
	}, enough
}

func within(t testing.TB, d time.Duration, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("not within %s: %s", d, what)
	}
}

// A replica that is busy leaves what it has no slot for to those that have one.
func TestABusyReplicaKeepsNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	busy, begun := held(t)
	start(t, logtest.OpenOn(t, server), acting(1, time.Minute, busy))
	place(t, l, "o0")
	within(t, 30*time.Second, begun, "the first act")
	place(t, l, "o1", "o2", "o3", "o4", "o5")
	idle, enough := counted(5)
	start(t, l, acting(1, time.Minute, idle))
	within(t, 30*time.Second, enough, "what the busy replica has no slot for")
}

// Row 59 of the fault matrix: a replica that finishes what it has begun begins nothing more, and takes nothing away from
// those that go on.
func TestAStoppingReplicaTakesNothingMore(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	busy, begun := held(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.New(logtest.OpenOn(t, server), acting(4, time.Minute, busy)).Run(ctx) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	place(t, l, "o0")
	within(t, 30*time.Second, begun, "the first act")
	stop()
	c, err := l.JetStream().Consumer(t.Context(), events.StreamOrders, "actor")
	if err != nil {
		t.Fatal(err)
	}
	within(t, 30*time.Second, until(t, func() bool { return waiting(t, c) == 0 }), "a stopping replica asks no more")
	place(t, l, "o1", "o2", "o3", "o4", "o5")
	idle, enough := counted(5)
	start(t, l, acting(1, time.Minute, idle))
	within(t, 30*time.Second, enough, "what came after the stop")
}

func waiting(t testing.TB, c jetstream.Consumer) int {
	t.Helper()
	info, err := c.Info(t.Context())
	if err != nil {
		return -1
	}
	return info.NumWaiting
}

// until closes the channel it returns when a fact holds.
func until(t testing.TB, fact func() bool) <-chan struct{} {
	t.Helper()
	holds := make(chan struct{})
	go func() {
		for ticker := time.NewTicker(10 * time.Millisecond); ; {
			if fact() {
				close(holds)
				return
			}
			select {
			case <-ticker.C:
			case <-t.Context().Done():
				return
			}
		}
	}()
	return holds
}
