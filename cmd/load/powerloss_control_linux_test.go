package main

import (
	"fmt"
	"testing"

	"tillstream/cmd/internal/proof/disktest"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Control of TestPowerLoss: the same power cut under a broker that syncs before it acknowledges loses nothing, and under a
// broker with the default sync interval of two minutes it must lose events. Otherwise the test would detect nothing.
func TestPowerLossLosesUnsyncedEvents(t *testing.T) {
	if !insideWithDisks(t) {
		return
	}
	const appended = 300
	for _, interval := range []string{"always", "2m"} {
		drive := disktest.NewDrive(t, diskSize)
		b := newStoredBroker(t, drive.Dir, interval)
		b.fill(t, appended)
		proc.Freeze(t, b.process)
		drive.Cut(t, func() bool { return false })
		proc.Check(t, b.process.Kill())
		drive.Restore(t)
		b.store = drive.Dir
		b.start(t)
		lost := appended - int(b.stored(t))
		t.Logf("sync_interval %s: %d of %d acknowledged events lost", interval, lost, appended)
		if (lost > 0) != (interval != "always") {
			t.Errorf("sync_interval %s: lost %d of %d acknowledged events, want a loss only without sync", interval, lost, appended)
		}
	}
}

// fill appends events one by one and expects each to be acknowledged.
func (b *storedBroker) fill(t *testing.T, n int) {
	t.Helper()
	l := b.open(t)
	for i := range n {
		id := fmt.Sprintf("order-%d", i)
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return counted.Append(tx, id, events.OrderPlaced{OrderID: id}) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

// stored returns the number of events in the log. The broker may have lost the whole stream.
func (b *storedBroker) stored(t *testing.T) uint64 {
	t.Helper()
	stream, err := b.open(t).JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}
