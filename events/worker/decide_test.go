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

// marking is a domain that marks each order, if the log lets it.
func marking(l *eventlog.Log, read func(id string) error) worker.Domain {
	return onPlaced(l, func(tx *eventlog.Tx, id string) error {
		if err := read(id); err != nil {
			return err
		}
		return markOnce(tx, id)
	})
}

// Row 13 of the fault matrix, for a worker with many events in hand: a broker that answers some questions, and then none
// for a while, must not have it begin with the first event again each time.
func TestWhatIsDecidedIsKeptWhenTheLogGoesAway(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "a", "b", "c")
	var away atomic.Bool
	away.Store(true)
	start(t, l, only(marking(l, func(id string) error {
		if id == "c" && away.Load() {
			return eventlog.ErrUnavailable
		}
		return nil
	})))
	expect(t, l, events.PrefixReservation, 2)
	away.Store(false)
	expect(t, l, events.PrefixReservation, 3)
}

// Row 13 of the fault matrix, for a worker on a cluster that takes long for each question: after a second the first events
// need not wait for the last.
func TestASlowLogMakesSmallTransactions(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, reader := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	place(t, l, "a", "b", "c", "d", "e", "f")
	start(t, l, only(marking(l, func(id string) error {
		<-time.After(400 * time.Millisecond)
		if id != "f" {
			return nil
		}
		if _, _, err := marks.Read(t.Context(), reader, "a"); err != nil {
			t.Errorf("the first event, two seconds later: %v", err)
		}
		return nil
	})))
	expect(t, l, events.PrefixReservation, 6)
}

// A domain whose next event cannot be handled, because what it needs of the log cannot be read, waits alone: the other
// domains of the process go on, and so do those who submit something.
func TestALaneThatWaitsKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "a")
	var away atomic.Bool
	var heard atomic.Int64
	away.Store(true)
	stuck := worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error {
			heard.Add(1)
			if away.Load() {
				return eventlog.ErrUnavailable
			}
			return once(tx, orders, p.OrderID, events.OrderConfirmed{})
		})}}
	p := start(t, l, only(stuck, marker(l)))
	until(t, "the worker says that orders wait", func() bool { return p.Ready() != nil && p.lane(t, "orders").Problem != nil })
	place(t, l, "b", "c")
	expect(t, l, events.PrefixReservation, 3)
	p.caughtUp(t, "inventory")
	tried := heard.Load()
	for n := 0; heard.Load() < tried+3; n++ { // also together with what cannot be handled
		id := fmt.Sprint("p", n)
		if err := l.DoCascade(t.Context(), func(tx *eventlog.Tx) error { return payments.Append(tx, id, events.PaymentProcessing{}) }); err != nil {
			t.Fatalf("submitted meanwhile: %v", err)
		}
	}
	if lane := p.lane(t, "orders"); lane.Position != 0 || p.lane(t, "inventory").Problem != nil {
		t.Errorf("orders stands at %d, want 0; inventory has the problem %v", lane.Position, p.lane(t, "inventory").Problem)
	}
	away.Store(false)
	p.caughtUp(t, "orders")
	until(t, "the worker is ready", func() bool { return p.Ready() == nil })
	if n := count(t, l, events.PrefixOrder); n != 6 {
		t.Errorf("%d events of orders, want 3 placed and 3 confirmed", n)
	}
}

// Row 8 of the fault matrix, for a worker: of events that are decided together, one is about an entity that another writer
// has changed meanwhile. It alone is decided again.
func TestOneConflictIsDecidedAgainAlone(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, other := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	placed := placeMany(t, l, "o", 20)
	var heard ids
	p := start(t, l, only(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		heard.add(id)
		if err := markOnce(tx, id); err != nil || id != placed[7] || heard.count(id) > 1 {
			return err
		}
		return other.Do(t.Context(), func(tx *eventlog.Tx) error { return markOnce(tx, id) }) // while this one is decided
	})))
	p.caughtUp(t, "inventory")
	for _, id := range placed {
		calls := 1
		if id == placed[7] {
			calls = 2
		}
		if n, marks := heard.count(id), count(t, l, events.PrefixReservation+id); n != calls || marks != 1 {
			t.Errorf("%s was decided %d times and has %d marks, want %d and 1", id, n, marks, calls)
		}
	}
}

// Row 10 of the fault matrix, for a worker: the broker goes away while something is decided. It is decided again when the
// broker is back, and what the worker says of itself tells both.
func TestDecisionsWaitForTheBroker(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, wire := wired(t, server.URL(), func(c *eventlog.Config) { c.Patience = 200 * time.Millisecond })
	writer := logtest.OpenOn(t, server)
	var heard ids
	p := start(t, l, only(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		heard.add(id)
		err := markOnce(tx, id)
		if heard.count("a") == 1 {
			wire.Refuse()
		}
		return err
	})))
	p.holds(t, "inventory")
	place(t, writer, "a")
	until(t, "the lane waits", func() bool { return p.lane(t, "inventory").Problem != nil && p.Ready() != nil })
	if p.lane(t, "inventory").Position != 0 {
		t.Error("the lane has moved on")
	}
	place(t, writer, "b")
	wire.Release()
	expect(t, writer, events.PrefixReservation, 2)
	until(t, "the worker is ready", func() bool { return p.Ready() == nil })
	if n := count(t, writer, events.PrefixReservation); n != 2 {
		t.Errorf("%d marks, want 2", n)
	}
}

func TestMoreFactsThanABatchHoldsAreSplitBetweenEvents(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "big1", "big2", "big3", "small")
	start(t, l, only(marker(l)))
	expect(t, l, events.PrefixReservation, 1801)
}

const (
	backlogOrders = 500
	backlogHeap   = 64 << 20 // how much more may be alive while a backlog is worked off than before: the ring and a few pages
)

// Row 61 of the fault matrix: a worker comes back to a backlog. It catches up, memory stays flat, and each order's events
// are handled in order, once. 10,000 events by default, 100,000 with BACKLOG_EVENTS=100000. It is not parallel, because
// it measures the memory of the whole process.
func TestABacklogIsWorkedOff(t *testing.T) {
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
	p := start(t, l, only(domain))
	for done := 0; done < n; {
		done = within(t, 2*time.Minute, progress, "progress")
		if alive := liveHeap(); alive > before+backlogHeap {
			t.Fatalf("%d MB are alive after %d events, %d MB before", alive>>20, done, before>>20)
		}
	}
	p.caughtUp(t, "inventory")
	t.Logf("%d events, %.0f a second, %d MB alive before and %d after", n, float64(n)/time.Since(started).Seconds(), before>>20, liveHeap()>>20)
	facts, dead := count(t, l, events.PrefixReservation), countIn(t, l, events.StreamDeadLetters, events.PrefixDeadLetter)
	if facts != n || dead != 0 {
		t.Errorf("%d facts and %d dead letters, want %d and none", facts, dead, n)
	}
}

// backlogMarks counts, where a history would grow with every event.
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

// writeBacklog has every order say its 1, then every order its 2, and so on.
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

// The same for an act lane: what is behind the ring is read page by page, and each act is made once.
func TestABacklogIsActedOn(t *testing.T) {
	l := logtest.Open(t)
	placeMany(t, l, "o", 20_000) // more than the ring holds
	var acted ids
	before := liveHeap()
	p := start(t, l, only(acting(16, func(_ context.Context, id string) error { acted.add(id); return nil })))
	p.caughtUp(t, "actor")
	if alive := liveHeap(); alive > before+backlogHeap {
		t.Errorf("%d MB are alive, %d MB before", alive>>20, before>>20)
	}
	once := map[string]int{}
	for _, id := range acted.all() {
		once[id]++
	}
	if len(once) != 20_000 || len(acted.all()) != 20_000 {
		t.Errorf("%d acts about %d orders, want one about each of 20,000", len(acted.all()), len(once))
	}
}
