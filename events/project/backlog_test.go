package project_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
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

// Row 61 of the fault matrix: what gathered while the lanes were paused is written afterwards, in order and with flat memory,
// and whoever appends meanwhile does not wait for it. With BACKLOG=100000 it prints the figure for the README.
func TestABacklogIsDrained(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	seller, l, db := logtest.OpenOn(t, server), logtest.OpenOn(t, server), projecttest.Database(t)
	shop := start(t, l, db)
	move(t, seller, "A", 1)
	shop.await(t)
	shop.pause(t, seller, true)
	n := backlogEvents(t)
	live := gatherBacklog(t, seller, n)
	gathered := end(t, seller)

	shop.pause(t, seller, false)
	begun, heap := time.Now(), uint64(0)
	var waits []time.Duration
	for i := 0; ; i++ {
		asked := time.Now()
		move(t, seller, fmt.Sprintf("LIVE%d", i%100), 1)
		waits = append(waits, time.Since(asked))
		var m runtime.MemStats
		if runtime.ReadMemStats(&m); m.HeapInuse > heap {
			heap = m.HeapInuse
		}
		if shop.status(lane).Position >= gathered && shop.status(archive.Lane).Position >= gathered {
			break
		}
	}
	took := time.Since(begun)
	slices.Sort(waits)
	t.Logf("%d events in %.1f s: %.0f/s; %d appends meanwhile, p50 %s, p99 %s; heap %d MB before, at most %d MB", n, took.Seconds(), float64(n)/took.Seconds(),
		len(waits), waits[len(waits)/2], waits[len(waits)*99/100], live>>20, heap>>20)
	shop.await(t)
	archiveIsTheLog(t, l, db)
	shop.awaitCheckpoint(t)
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
					if err := levels.Append(tx, id, events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: id, Quantity: 1}, Reason: "counted"}); err != nil {
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

// pause has operators pause the lanes, or resume them.
func (p *process) pause(t testing.TB, l *log.Log, paused bool) {
	t.Helper()
	for _, name := range []string{lane, archive.Lane} {
		var err error
		if paused {
			err = worker.PauseLane(t.Context(), l, name, time.Time{})
		} else {
			err = worker.ResumeLane(t.Context(), l, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the lanes know", func() bool {
		return !slices.ContainsFunc(p.Lanes(), func(s worker.LaneStatus) bool { return s.Paused != paused })
	})
}
