package view_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/view"
	"tillstream/events/view/viewtest"
)

// backlogEvents is how long the backlog is: BACKLOG=100000 for the figure that counts.
func backlogEvents(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("BACKLOG"))
	if err != nil {
		return 5000
	}
	return n
}

// Row 61 of the fault matrix: what gathered while a view was paused is written afterwards, in order and with flat memory,
// and whoever appends meanwhile does not wait for it. With BACKLOG=100000 it prints the figure for the README.
func TestABacklogIsDrained(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	seller, l, db := logtest.OpenOn(t, server), logtest.OpenOn(t, server), viewtest.Database(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() {
		if err := view.New(l, stockView(), view.Config{DB: db}).Run(ctx); err != nil {
			t.Error(err)
		}
	})
	move(t, seller, "A", 1)
	await(t, "caught up", acknowledged(t, l))
	js := seller.JetStream()
	if _, err := js.PauseConsumer(t.Context(), events.StreamInventory, "stock-view", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	n := backlogEvents(t)
	live := gatherBacklog(t, seller, n)

	if _, err := js.ResumeConsumer(t.Context(), events.StreamInventory, "stock-view"); err != nil {
		t.Fatal(err)
	}
	start, heap := time.Now(), uint64(0)
	var waits []time.Duration
	for i := 0; ; i++ {
		began := time.Now()
		move(t, seller, fmt.Sprintf("LIVE%d", i%100), 1)
		waits = append(waits, time.Since(began))
		var m runtime.MemStats
		if runtime.ReadMemStats(&m); m.HeapInuse > heap {
			heap = m.HeapInuse
		}
		if done := floor(t, l); done >= uint64(n)+1 {
			break
		}
	}
	took := time.Since(start)
	slices.Sort(waits)
	t.Logf("%d events in %.1f s: %.0f/s; %d appends meanwhile, p50 %s, p99 %s; heap %d MB before, at most %d MB", n, took.Seconds(), float64(n)/took.Seconds(),
		len(waits), waits[len(waits)/2], waits[len(waits)*99/100], live>>20, heap>>20)
	await(t, "caught up", acknowledged(t, l))
	if report := rebuild(t, seller, db, true); report.Drifted() > 0 {
		t.Errorf("after the backlog: %+v", report)
	}
}

// gatherBacklog appends n events, ten to an entity, sixty entities at a time, and returns what the heap holds then.
func gatherBacklog(t testing.TB, l *log.Log, n int) uint64 {
	t.Helper()
	const perEntity, together = 10, 60
	for first := 0; first < n/perEntity; first += together {
		for range perEntity {
			err := l.Do(t.Context(), func(tx *log.Tx) error {
				for i := first; i < min(first+together, n/perEntity); i++ {
					id := fmt.Sprintf("B%d", i)
					if err := levels.Append(tx, id, events.StockAdjusted{StockMovement: events.StockMovement{SKU: id, Quantity: 1}, Reason: "counted", By: "test"}); err != nil {
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
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// floor is up to where the view has acknowledged everything.
func floor(t testing.TB, l *log.Log) uint64 {
	t.Helper()
	c, err := l.JetStream().Consumer(t.Context(), events.StreamInventory, "stock-view")
	if err != nil {
		t.Fatal(err)
	}
	return c.CachedInfo().AckFloor.Stream
}
