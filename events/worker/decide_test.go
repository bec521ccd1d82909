package worker_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// marking is a domain that marks each order unless read returns an error.
func marking(l *eventlog.Log, read func(id string) error) worker.Domain {
	return onPlaced(l, func(tx *eventlog.Tx, id string) error {
		if err := read(id); err != nil {
			return err
		}
		return markOnce(tx, id)
	})
}

// Row 13 of the fault matrix, for a worker with many events to decide: a broker that answers some requests and then
// none for a while must not make the worker begin with the first event again each time.
func TestDecisionsAreKeptWhenTheLogBecomesUnavailable(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "a", "b", "c")
	var unavailable atomic.Bool
	unavailable.Store(true)
	start(t, l, configOf(marking(l, func(id string) error {
		if id == "c" && unavailable.Load() {
			return eventlog.ErrUnavailable
		}
		return nil
	})))
	waitEvents(t, l, events.PrefixReservation, 2)
	unavailable.Store(false)
	waitEvents(t, l, events.PrefixReservation, 3)
}

// Row 13 of the fault matrix, for a worker on a cluster that takes long for each request: after a second the first
// decisions are committed without waiting for the last.
func TestSlowLogLeadsToSmallTransactions(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, reader := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	place(t, l, "a", "b", "c", "d", "e", "f")
	start(t, l, configOf(marking(l, func(id string) error {
		<-time.After(400 * time.Millisecond)
		if id != "f" {
			return nil
		}
		if _, _, err := marks.Read(t.Context(), reader, "a"); err != nil {
			t.Errorf("the mark of the first event, two seconds later: %v", err)
		}
		return nil
	})))
	waitEvents(t, l, events.PrefixReservation, 6)
}

// A domain whose next event cannot be handled, because the log does not answer for it, waits alone. The other domains
// of the process and submitted decisions continue.
func TestBlockedLaneDelaysNoOther(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "a")
	var unavailable atomic.Bool
	var handled atomic.Int64
	unavailable.Store(true)
	stuck := worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error {
			handled.Add(1)
			if unavailable.Load() {
				return eventlog.ErrUnavailable
			}
			return once(tx, orders, p.OrderID, events.OrderConfirmed{})
		})}}
	p := start(t, l, configOf(stuck, marker(l)))
	waitUntil(t, "the lane orders waits", func() bool { return p.Ready() != nil && p.lane(t, "orders").Problem != nil })
	place(t, l, "b", "c")
	waitEvents(t, l, events.PrefixReservation, 3)
	p.caughtUp(t, "inventory")
	tried := handled.Load()
	for n := 0; handled.Load() < tried+3; n++ { // in rounds with the event that cannot be handled
		id := fmt.Sprint("p", n)
		if err := l.DoCascade(t.Context(), func(tx *eventlog.Tx) error { return payments.Append(tx, id, events.PaymentProcessing{}) }); err != nil {
			t.Fatalf("a submitted decision: %v", err)
		}
	}
	if lane := p.lane(t, "orders"); lane.Position != 0 || p.lane(t, "inventory").Problem != nil {
		t.Errorf("got orders at %d and inventory with problem %v, want 0 and nil", lane.Position, p.lane(t, "inventory").Problem)
	}
	unavailable.Store(false)
	p.caughtUp(t, "orders")
	waitUntil(t, "the worker is ready", func() bool { return p.Ready() == nil })
	if n := count(t, l, events.PrefixOrder); n != 6 {
		t.Errorf("got %d events of orders, want 3 placed and 3 confirmed", n)
	}
}

// Row 8 of the fault matrix, for a worker: another writer changes the entity of one of many events that are decided
// together. Only that event is decided again.
func TestOnlyTheConflictingEventIsDecidedAgain(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, other := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	placed := placeMany(t, l, "o", 20)
	var handled ids
	p := start(t, l, configOf(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		handled.add(id)
		if err := markOnce(tx, id); err != nil || id != placed[7] || handled.count(id) > 1 {
			return err
		}
		return other.Do(t.Context(), func(tx *eventlog.Tx) error { return markOnce(tx, id) }) // during the first decision
	})))
	p.caughtUp(t, "inventory")
	for _, id := range placed {
		calls := 1
		if id == placed[7] {
			calls = 2
		}
		if n, stored := handled.count(id), count(t, l, events.PrefixReservation+id); n != calls || stored != 1 {
			t.Errorf("%s: got %d decisions and %d marks, want %d and 1", id, n, stored, calls)
		}
	}
}

// Row 10 of the fault matrix, for a worker: the broker becomes unavailable during a decision. The decision is made
// again when the broker is back; readiness reports both.
func TestDecisionsWaitForTheBroker(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, proxy := openThroughProxy(t, server.URL(), func(c *eventlog.Config) { c.Patience = 200 * time.Millisecond })
	writer := logtest.OpenOn(t, server)
	var handled ids
	p := start(t, l, configOf(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		handled.add(id)
		err := markOnce(tx, id)
		if handled.count("a") == 1 {
			proxy.Refuse()
		}
		return err
	})))
	p.waitLeased(t, "inventory")
	place(t, writer, "a")
	waitUntil(t, "the lane waits", func() bool { return p.lane(t, "inventory").Problem != nil && p.Ready() != nil })
	if p.lane(t, "inventory").Position != 0 {
		t.Errorf("position: got %d, want 0", p.lane(t, "inventory").Position)
	}
	place(t, writer, "b")
	proxy.Release()
	waitEvents(t, writer, events.PrefixReservation, 2)
	waitUntil(t, "the worker is ready", func() bool { return p.Ready() == nil })
	checkMarks(t, writer, 2)
}

func TestTransactionIsSplitBetweenEventsAtTheBatchLimit(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "big1", "big2", "big3", "small")
	start(t, l, configOf(marker(l)))
	waitEvents(t, l, events.PrefixReservation, 1801)
}

const (
	backlogOrders = 500
	backlogHeap   = 64 << 20 // how much the live heap may grow: the ring and a few pages
)

// Row 61 of the fault matrix: a worker starts with a backlog. It catches up in bounded memory, and handles the events
// of each order once and in order. 10,000 events by default, 100,000 with BACKLOG_EVENTS=100000. It is not parallel,
// because it measures the memory of the whole process.
func TestBacklogIsHandledInOrderInBoundedMemory(t *testing.T) {
	n := backlogSize(t)
	l := logtest.Open(t)
	writeBacklog(t, l, n)
	before := liveHeap()
	progress := make(chan int, n/1000+1)
	handled, last := 0, map[string]int{}
	domain := worker.Domain{Name: "inventory", Log: l.ForDomain("inventory"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error {
			number, err := strconv.Atoi(p.Number)
			if err != nil || number != last[p.OrderID]+1 {
				return fmt.Errorf("order %s: %s after %d", p.OrderID, p.Number, last[p.OrderID])
			}
			last[p.OrderID] = number
			if handled++; handled%1000 == 0 {
				progress <- handled
			}
			return backlogMarks.Append(tx, p.OrderID, events.ReservationReleased{OrderID: p.OrderID})
		}),
	}}
	started := time.Now()
	p := start(t, l, configOf(domain))
	for done := 0; done < n; {
		done = receive(t, 2*time.Minute, progress, "1,000 events are handled")
		if alive := liveHeap(); alive > before+backlogHeap {
			t.Fatalf("heap: got %d MB after %d events, %d MB before", alive>>20, done, before>>20)
		}
	}
	p.caughtUp(t, "inventory")
	t.Logf("%d events, %.0f a second, heap %d MB before and %d MB after", n, float64(n)/time.Since(started).Seconds(), before>>20, liveHeap()>>20)
	facts, dead := count(t, l, events.PrefixReservation), countIn(t, l, events.StreamDeadLetters, events.PrefixDeadLetter)
	if facts != n || dead != 0 {
		t.Errorf("got %d facts and %d dead letters, want %d and none", facts, dead, n)
	}
}

// backlogMarks has a count as its state, because a history would grow with every event.
var backlogMarks = eventlog.Entity[int]{Prefix: events.PrefixReservation, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

func backlogSize(t *testing.T) int {
	t.Helper()
	text := os.Getenv("BACKLOG_EVENTS")
	if text == "" {
		return 10_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n%1000 != 0 {
		t.Fatalf("BACKLOG_EVENTS=%s: want thousands (%v)", text, err)
	}
	return n
}

// writeBacklog appends number 1 of every order, then number 2 of every order, and so on.
func writeBacklog(t *testing.T, l *eventlog.Log, n int) {
	t.Helper()
	placed := eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: backlogMarks.Apply}
	for from := 0; from < n; from += eventlog.MaxBatch {
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			for i := from; i < min(from+eventlog.MaxBatch, n); i++ {
				id := fmt.Sprintf("o%d", i%backlogOrders)
				if err := placed.Append(tx, id, events.OrderPlaced{OrderID: id, Number: strconv.Itoa(1 + i/backlogOrders)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// The same for an act lane: it reads the events that the ring has dropped page by page, and acts on each once.
func TestBacklogIsActedOnInBoundedMemory(t *testing.T) {
	l := logtest.Open(t)
	placeMany(t, l, "o", 20_000) // more than the ring holds
	var acted ids
	before := liveHeap()
	p := start(t, l, configOf(acting(16, func(_ context.Context, id string) error { acted.add(id); return nil })))
	p.caughtUp(t, "actor")
	if alive := liveHeap(); alive > before+backlogHeap {
		t.Errorf("heap: got %d MB, %d MB before", alive>>20, before>>20)
	}
	once := map[string]int{}
	for _, id := range acted.all() {
		once[id]++
	}
	if len(once) != 20_000 || len(acted.all()) != 20_000 {
		t.Errorf("got %d acts for %d orders, want one for each of 20,000", len(acted.all()), len(once))
	}
}
