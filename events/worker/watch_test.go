package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// watchRecorder records the events that a watch has handled.
type watchRecorder struct {
	mu    sync.Mutex
	seen  []events.Event
	ready atomic.Int64
}

func (s *watchRecorder) watch(snapshot bool, prefixes ...string) worker.Domain {
	return worker.Domain{Watches: []worker.Watch{{Prefixes: prefixes, Snapshot: snapshot, Ready: func() { s.ready.Add(1) },
		Handle: func(e events.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.seen = append(s.seen, e)
		}}}}
}

func (s *watchRecorder) all() []events.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// waitFor waits until the last event that the watch has handled is the one at a sequence.
func (s *watchRecorder) waitFor(t testing.TB, last uint64) {
	t.Helper()
	waitUntil(t, fmt.Sprintf("the watch has handled event %d", last), func() bool {
		seen := s.all()
		return len(seen) > 0 && seen[len(seen)-1].Sequence == last
	})
}

func subjects(all []events.Event) (subjects []string) {
	for _, e := range all {
		subjects = append(subjects, fmt.Sprint(e.Sequence, " ", e.Subject))
	}
	return subjects
}

// A watch without a snapshot handles the events that are appended after the process has started, and no others.
func TestWatchHandlesEventsAppendedAfterTheStart(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "a", "b")
	var s watchRecorder
	config := configOf(s.watch(false, events.PrefixOrder))
	w, err := worker.New(t.Context(), l, config)
	if err != nil {
		t.Fatal(err)
	}
	place(t, l, "c") // after New and before Run: the watch must not miss it
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	waitUntil(t, "the watch is ready", func() bool { return s.ready.Load() == 1 })
	place(t, l, "d")
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return payments.Append(tx, "x", events.PaymentFailed{}) }); err != nil {
		t.Fatal(err)
	}
	if _, err := l.JetStream().Publish(t.Context(), "orders.garbage", []byte("{garbage")); err != nil {
		t.Fatal(err)
	}
	place(t, l, "e")
	waitUntil(t, "the watch has handled the last event", func() bool { return len(s.all()) >= 3 })
	if got, want := subjects(s.all()), []string{"3 orders.c", "4 orders.d", "7 orders.e"}; !slices.Equal(got, want) {
		t.Errorf("handled: got %v, want %v", got, want)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A watch handles the events of the time that it asks for before the start, of its prefixes only, and then every later one.
func TestWatchHandlesEventsSinceATime(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "a")
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return payments.Append(tx, "x", events.PaymentFailed{}) }); err != nil {
		t.Fatal(err)
	}
	place(t, l, "b")
	var s, later watchRecorder
	domain := s.watch(false, events.PrefixOrder)
	domain.Watches[0].Since = time.Hour
	domain.Watches = append(domain.Watches, later.watch(false, events.PrefixOrder).Watches...)
	domain.Watches[1].Since = time.Nanosecond
	start(t, l, configOf(domain))
	waitUntil(t, "the watches are ready", func() bool { return s.ready.Load() == 1 && later.ready.Load() == 1 })
	place(t, l, "c")
	s.waitFor(t, 4)
	later.waitFor(t, 4)
	if got, want := subjects(s.all()), []string{"1 orders.a", "3 orders.b", "4 orders.c"}; !slices.Equal(got, want) {
		t.Errorf("since an hour: got %v, want %v", got, want)
	}
	if got, want := subjects(later.all()), []string{"4 orders.c"}; !slices.Equal(got, want) {
		t.Errorf("since a nanosecond: got %v, want %v", got, want)
	}
}

// A snapshot has the newest event of every entity under a prefix, and of no other.
func TestSnapshotHasTheNewestEventOfEveryEntity(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	for range 2 {
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			return errors.Join(stockLevels.Append(tx, "1/2 inch", events.StockHeld{}), stockLevels.Append(tx, "b", events.StockHeld{}),
				markOnce(tx, "c"), payments.Append(tx, "d", events.PaymentFailed{}))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var s watchRecorder
	start(t, l, configOf(s.watch(true, "inventory.")))
	waitUntil(t, "the watch is ready", func() bool { return s.ready.Load() == 1 })
	if got, want := subjects(s.all()), []string{"3 inventory.reservations.c", "5 inventory.stock.main.1%2F2%20inch", "6 inventory.stock.main.b"}; !slices.Equal(got, want) {
		t.Errorf("handled: got %v, want %v", got, want)
	}
}

// A watch with a snapshot handles the newest event of every subject first and then every later event, none older than
// the last of its entity.
func TestWatchContinuesAfterItsSnapshotWithoutGap(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, writer := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	var writing sync.WaitGroup
	stop := make(chan struct{})
	var written atomic.Int64
	writing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			id := fmt.Sprint("sku", i%7)
			if err := writer.Do(t.Context(), func(tx *eventlog.Tx) error { return stockLevels.Append(tx, id, events.StockHeld{}) }); err != nil {
				t.Error(err)
				return
			}
			written.Add(1)
		}
	})
	waitUntil(t, "the log has 100 events", func() bool { return written.Load() > 100 })
	var all []*watchRecorder
	for range 8 {
		s := &watchRecorder{}
		start(t, l, configOf(s.watch(true, "inventory.")))
		all = append(all, s)
	}
	before := written.Load()
	waitUntil(t, "the log has 100 more events", func() bool { return written.Load() > before+100 })
	close(stop)
	writing.Wait()
	last := lastSequence(t, writer)
	for _, s := range all {
		s.waitFor(t, last)
		checkOrder(t, s.all())
		if s.ready.Load() != 1 {
			t.Errorf("Ready: got %d calls, want 1", s.ready.Load())
		}
	}
}

// stockLevels has a count as its state, because a history would grow with every event.
var stockLevels = eventlog.Entity[int]{Prefix: events.PrefixStock, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// checkOrder checks that sequences increase, and that the revisions of each entity have no gap after the first.
func checkOrder(t *testing.T, seen []events.Event) {
	t.Helper()
	last := map[string]uint64{}
	for i, e := range seen {
		if i > 0 && e.Sequence <= seen[i-1].Sequence {
			t.Errorf("event %d was handled after %d", e.Sequence, seen[i-1].Sequence)
		}
		if before, ok := last[e.Subject]; ok && e.Revision != before+1 {
			t.Errorf("revision %d of %s was handled after %d", e.Revision, e.Subject, before)
		}
		last[e.Subject] = e.Revision
	}
}

// Row 13 of the fault matrix, for watches: the connection breaks repeatedly. A watch misses no event, and handles none
// twice or out of order.
func TestWatchMissesNothingOverABrokenConnection(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	writer := logtest.OpenOn(t, server)
	l, proxy := openThroughProxy(t, server.URL())
	var live, snapshot watchRecorder
	placeMany(t, writer, "before", 20)
	p := start(t, l, configOf(live.watch(false, events.PrefixOrder), snapshot.watch(true, events.PrefixOrder)))
	waitUntil(t, "both are ready", func() bool { return live.ready.Load() == 1 && snapshot.ready.Load() == 1 })
	for round := range 5 {
		place(t, writer, fmt.Sprintf("o%d-0", round), fmt.Sprintf("o%d-1", round))
		proxy.Refuse()
		waitUntil(t, "the connection is gone", func() bool { return !l.JetStream().Conn().IsConnected() })
		place(t, writer, fmt.Sprintf("o%d-2", round), fmt.Sprintf("o%d-3", round), fmt.Sprintf("o%d-0", round))
		proxy.Release()
		place(t, writer, fmt.Sprintf("o%d-4", round))
		for _, s := range []*watchRecorder{&live, &snapshot} {
			s.waitFor(t, lastSequence(t, writer))
		}
	}
	checkOrder(t, live.all())
	checkOrder(t, snapshot.all())
	if got := len(live.all()); got != 30 {
		t.Errorf("got %d events without snapshot, want 30", got)
	}
	if got := len(snapshot.all()); got != 50 {
		t.Errorf("got %d events with snapshot, want 50", got)
	}
	p.stop()
}

// A watch continues after an event that its handler cannot handle.
func TestWatchContinuesAfterAPanic(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var seen ids
	config := configOf(worker.Domain{Watches: []worker.Watch{{Prefixes: []string{events.PrefixOrder}, Handle: func(e events.Event) {
		if strings.HasSuffix(e.Subject, "bad") {
			panic("cannot be handled")
		}
		seen.add(e.Subject)
	}}}})
	start(t, l, config)
	place(t, l, "bad", "good")
	waitUntil(t, "the good order is handled", func() bool { return seen.count("orders.good") == 1 })
}

// Follow delivers every message, in order and once: those before the start, and new ones without another delivery by the broker.
func TestFollowSharesTheMessagesOfTheLanes(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "a", "b")
	w, err := worker.New(t.Context(), l, configOf())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	place(t, l, "c")
	errEnough := errors.New("enough")
	var got []uint64
	err = w.Follow(ctx, 2, func(m eventlog.Message) error {
		if got = append(got, m.Sequence); m.Sequence == 3 {
			place(t, l, "d")
		}
		if m.Sequence == 4 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || !slices.Equal(got, []uint64{2, 3, 4}) {
		t.Errorf("Follow() = %v with messages %v, want 2, 3 and 4", err, got)
	}
	cancel()
	if err := w.Follow(ctx, 5, func(eventlog.Message) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Follow() after its end = %v, want context.Canceled", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
