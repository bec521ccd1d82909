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
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

const (
	backlogOrders = 500
	backlogHeap   = 64 << 20 // how much more may be alive while a backlog is worked off than before: a few batches
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
	decider := worker.Decider{Name: "back", Source: events.StreamOrders, Routes: []worker.Route{
		worker.On(func(tx *log.Tx, _ events.Event, p events.OrderPlaced) error {
			number, err := strconv.Atoi(p.Number)
			if err != nil || number != last[p.OrderID]+1 {
				return fmt.Errorf("order %s: %s after %d", p.OrderID, p.Number, last[p.OrderID])
			}
			last[p.OrderID] = number
			if handled++; handled%1000 == 0 {
				progress <- handled
			}
			return marks.Append(tx, p.OrderID, events.ReservationReleased{OrderID: p.OrderID})
		}),
	}}
	started := time.Now()
	start(t, l, worker.Config{Deciders: []worker.Decider{decider}})
	for done := 0; done < n; {
		done = next(t, progress)
		if alive := liveHeap(); alive > before+backlogHeap {
			t.Fatalf("%d MB are alive after %d events, %d MB before", alive>>20, done, before>>20)
		}
	}
	caughtUp(t, l, events.StreamOrders, "back")
	t.Logf("%d events, %.0f a second, %d MB alive before and %d after", n, float64(n)/time.Since(started).Seconds(), before>>20, liveHeap()>>20)
	if facts, parked := count(t, l, events.StreamInventory), count(t, l, events.StreamParked); facts != uint64(n) || parked != 0 {
		t.Errorf("%d facts and %d parked, want %d and none", facts, parked, n)
	}
}

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
func writeBacklog(t *testing.T, l *log.Log, n int) {
	t.Helper()
	for from := 0; from < n; from += log.MaxBatch {
		err := l.Do(t.Context(), func(tx *log.Tx) error {
			for i := from; i < min(from+log.MaxBatch, n); i++ {
				id := fmt.Sprintf("o%d", i%backlogOrders)
				if err := orders.Append(tx, id, events.OrderPlaced{OrderID: id, Number: strconv.Itoa(1 + i/backlogOrders)}); err != nil {
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

// next waits for a sign of progress.
func next(t *testing.T, progress <-chan int) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	select {
	case done := <-progress:
		return done
	case <-ctx.Done():
		t.Fatal("no progress for two minutes")
		return 0
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
