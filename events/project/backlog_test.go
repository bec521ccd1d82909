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
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

// backlogEvents returns the length of the backlog. BACKLOG=100000 gives the figure of the README.
func backlogEvents(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("BACKLOG"))
	if err != nil {
		return 5000
	}
	return n
}

// Row 61 of the fault matrix: a backlog that grew while the lanes were paused is written in order and in bounded memory, and
// appends do not wait for it. With BACKLOG=100000 the test logs the figure of the README.
func TestBacklogIsWrittenWithoutDelayingAppends(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	seller, l, db := logtest.OpenOn(t, server), logtest.OpenOn(t, server), projecttest.Database(t)
	shop := start(t, l, db)
	adjust(t, seller, "A", 1)
	shop.await(t)
	shop.pause(t, seller, true)
	n := backlogEvents(t)
	heapBefore := appendBacklog(t, seller, n)
	end := projecttest.End(t, seller)

	shop.pause(t, seller, false)
	start, maxHeap := time.Now(), uint64(0)
	var waits []time.Duration
	for i := 0; i == 0 || shop.status(lane).Position < end || shop.status(archive.Lane).Position < end; i++ {
		appendStart := time.Now()
		adjust(t, seller, fmt.Sprintf("LIVE%d", i%100), 1)
		waits = append(waits, time.Since(appendStart))
		maxHeap = max(maxHeap, heapInUse())
	}
	took := time.Since(start)
	slices.Sort(waits)
	t.Logf("%d events in %.1f s: %.0f/s; %d appends during that time, p50 %s, p99 %s; heap %d MB before, at most %d MB", n, took.Seconds(), float64(n)/took.Seconds(),
		len(waits), waits[len(waits)/2], waits[len(waits)*99/100], heapBefore>>20, maxHeap>>20)
	shop.await(t)
	projecttest.CheckArchive(t, l, db)
	shop.awaitCheckpoint(t)
	if report := rebuild(t, seller, db, true); report.Drifted() > 0 {
		t.Errorf("rebuild after the backlog: got %+v, want no drift", report)
	}
}

// appendBacklog appends n events, ten to an entity, sixty entities at a time, and returns the size of the heap afterwards.
func appendBacklog(t testing.TB, l *eventlog.Log, n int) uint64 {
	t.Helper()
	const perEntity, together = 10, 60
	for first := 0; first < n/perEntity; first += together {
		for range perEntity {
			err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
				for i := first; i < min(first+together, n/perEntity); i++ {
					sku := fmt.Sprintf("B%d", i)
					if err := levels.Append(tx, sku, adjusted(sku, 1)); err != nil {
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
	return heapInUse()
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// pause pauses the lanes, or resumes them, as an operator does.
func (p *process) pause(t testing.TB, l *eventlog.Log, paused bool) {
	t.Helper()
	for _, name := range []string{lane, archive.Lane} {
		var err error
		if paused {
			err = worker.PauseLane(t.Context(), l, name, time.Time{}, events.Author{Actor: "key:ops"})
		} else {
			err = worker.ResumeLane(t.Context(), l, name, events.Author{Actor: "key:ops"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	projecttest.Await(t, "the lanes are paused or resumed", func() bool {
		return !slices.ContainsFunc(p.Lanes(), func(s worker.LaneStatus) bool { return s.Paused != paused })
	})
}
