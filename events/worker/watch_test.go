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

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// sights is what a watch has handled.
type sights struct {
	mu    sync.Mutex
	seen  []events.Event
	ready atomic.Int64
}

func (s *sights) watch(snapshot bool, prefixes ...string) worker.Domain {
	return worker.Domain{Watches: []worker.Watch{{Prefixes: prefixes, Snapshot: snapshot, Ready: func() { s.ready.Add(1) },
		Handle: func(e events.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.seen = append(s.seen, e)
		}}}}
}

func (s *sights) all() []events.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// until waits until the watch has seen the event at a sequence.
func (s *sights) until(t testing.TB, last uint64) {
	t.Helper()
	until(t, fmt.Sprintf("the watch has seen %d", last), func() bool {
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

// A watch without a snapshot is told what is appended after the process has started, and nothing else.
func TestAWatchIsToldWhatIsNew(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "a", "b")
	var s sights
	config := only(s.watch(false, events.PrefixOrder))
	w, err := worker.New(t.Context(), l, config)
	if err != nil {
		t.Fatal(err)
	}
	place(t, l, "c") // before it runs: it must not be missed
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	until(t, "it is ready", func() bool { return s.ready.Load() == 1 })
	place(t, l, "d")
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return payments.Append(tx, "x", events.PaymentFailed{}) }); err != nil {
		t.Fatal(err)
	}
	if _, err := l.JetStream().Publish(t.Context(), "orders.garbage", []byte("{garbage")); err != nil {
		t.Fatal(err)
	}
	place(t, l, "e")
	until(t, "it has seen the last", func() bool { return len(s.all()) >= 3 })
	if got, want := subjects(s.all()), []string{"3 orders.c", "4 orders.d", "7 orders.e"}; !slices.Equal(got, want) {
		t.Errorf("seen were %v, want %v", got, want)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A snapshot has the newest event of every entity behind a prefix, and of no other.
func TestASnapshotHasEveryEntity(t *testing.T) {
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
	var s sights
	start(t, l, only(s.watch(true, "inventory.")))
	until(t, "it is ready", func() bool { return s.ready.Load() == 1 })
	if got, want := subjects(s.all()), []string{"3 inventory.reservations.c", "5 inventory.stock.main.1%2F2%20inch", "6 inventory.stock.main.b"}; !slices.Equal(got, want) {
		t.Errorf("seen were %v, want %v", got, want)
	}
}

// A watch with a snapshot is told the newest event of every subject first, whatever its subjects look like behind the
// prefix, and then what follows: of each entity nothing that is older than what it was told already.
func TestAWatchBeginsWithASnapshot(t *testing.T) {
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
	until(t, "there is something to begin with", func() bool { return written.Load() > 100 })
	var all []*sights
	for range 8 {
		s := &sights{}
		start(t, l, only(s.watch(true, "inventory.")))
		all = append(all, s)
	}
	before := written.Load()
	until(t, "more is written", func() bool { return written.Load() > before+100 })
	close(stop)
	writing.Wait()
	last := end(t, writer)
	for _, s := range all {
		s.until(t, last)
		checkOrder(t, s.all())
		if s.ready.Load() != 1 {
			t.Errorf("it was ready %d times, want once", s.ready.Load())
		}
	}
}

// stockLevels counts, where a history would grow with every event.
var stockLevels = eventlog.Entity[int]{Prefix: events.PrefixStock, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// checkOrder asserts that the first event of each entity may be any, and that the others follow it one by one.
func checkOrder(t *testing.T, seen []events.Event) {
	t.Helper()
	last := map[string]uint64{}
	for i, e := range seen {
		if i > 0 && e.Sequence <= seen[i-1].Sequence {
			t.Errorf("%d was seen after %d", e.Sequence, seen[i-1].Sequence)
		}
		if before, ok := last[e.Subject]; ok && e.Revision != before+1 {
			t.Errorf("revision %d of %s was seen after %d", e.Revision, e.Subject, before)
		}
		last[e.Subject] = e.Revision
	}
}

// Row 13 of the fault matrix, for those who watch: the connection breaks again and again. They miss nothing, and see nothing
// twice or out of order.
func TestAWatchMissesNothingOverABrokenWire(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	writer := logtest.OpenOn(t, server)
	l, wire := wired(t, server.URL())
	var live, snapshot sights
	placeMany(t, writer, "before", 20)
	p := start(t, l, only(live.watch(false, events.PrefixOrder), snapshot.watch(true, events.PrefixOrder)))
	until(t, "both are ready", func() bool { return live.ready.Load() == 1 && snapshot.ready.Load() == 1 })
	for round := range 5 {
		place(t, writer, fmt.Sprintf("o%d-0", round), fmt.Sprintf("o%d-1", round))
		wire.Refuse()
		until(t, "the connection is gone", func() bool { return !l.JetStream().Conn().IsConnected() })
		place(t, writer, fmt.Sprintf("o%d-2", round), fmt.Sprintf("o%d-3", round), fmt.Sprintf("o%d-0", round))
		wire.Release()
		place(t, writer, fmt.Sprintf("o%d-4", round))
		for _, s := range []*sights{&live, &snapshot} {
			s.until(t, end(t, writer))
		}
	}
	checkOrder(t, live.all())
	checkOrder(t, snapshot.all())
	if got := len(live.all()); got != 30 {
		t.Errorf("%d were seen live, want 30", got)
	}
	if got := len(snapshot.all()); got != 50 {
		t.Errorf("%d were seen with the snapshot, want 50", got)
	}
	p.stop()
}

// An event that a watch cannot handle keeps nothing waiting.
func TestAWatchThatPanicsGoesOn(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var seen ids
	config := only(worker.Domain{Watches: []worker.Watch{{Prefixes: []string{events.PrefixOrder}, Handle: func(e events.Event) {
		if strings.HasSuffix(e.Subject, "bad") {
			panic("cannot be handled")
		}
		seen.add(e.Subject)
	}}}})
	start(t, l, config)
	place(t, l, "bad", "good")
	until(t, "the good one is seen", func() bool { return seen.count("orders.good") == 1 })
}
