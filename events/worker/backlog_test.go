package worker_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

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
