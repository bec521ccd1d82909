package main

import (
	"fmt"
	"testing"

	"tillstream/cmd/internal/proof/disktest"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	"tillstream/events/log"
)

// The test of power loss could be one that nothing fails. The same cut, under a broker that syncs before it acknowledges
// and under one that is configured as it comes, which syncs every two minutes: the one loses nothing, the other must.
func TestPowerLossTakesWhatABrokerDoesNotSync(t *testing.T) {
	if !insideWithDisks(t) {
		return
	}
	const facts = 300
	for _, interval := range []string{"always", "2m"} {
		drive := disktest.NewDrive(t, diskSize)
		b := newStoredBroker(t, drive.Dir, interval)
		b.fill(t, facts)
		proc.Freeze(t, b.process)
		drive.Cut(t, func() bool { return false })
		proc.Check(t, b.process.Kill())
		drive.Restore(t)
		b.store = drive.Dir
		b.start(t)
		lost := facts - int(b.facts(t))
		t.Logf("sync_interval %s: %d of %d acknowledged facts lost", interval, lost, facts)
		if (lost > 0) != (interval != "always") {
			t.Errorf("sync_interval %s lost %d of %d acknowledged facts", interval, lost, facts)
		}
	}
}

// fill appends facts one by one. All are acknowledged.
func (b *storedBroker) fill(t *testing.T, facts int) {
	t.Helper()
	l := b.open(t)
	for i := range facts {
		id := fmt.Sprintf("order-%d", i)
		err := l.Do(t.Context(), func(tx *log.Tx) error { return counted.Append(tx, id, events.OrderPlaced{OrderID: id}) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

// facts is how many the broker has. It may have lost the whole stream.
func (b *storedBroker) facts(t *testing.T) uint64 {
	t.Helper()
	stream, err := b.open(t).JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}
