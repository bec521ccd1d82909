package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 64 of the fault matrix: gaps that every lane has passed long ago are found at the start, and named. The entity of a missing
// event is read as before.
func TestOldGapsAreFoundAtTheStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first   uint64
		missing []uint64
		want    string
	}{
		"InTheTail":       {0, []uint64{7}, "sequence 7 is missing"},
		"InTheBackground": {10, []uint64{7, 8, 30}, "sequences 7 to 8, 30 are missing"},
		"LastEvent":       {10, []uint64{40}, "sequence 40 is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, placed, lost := damagedLog(t, 40, c.missing...)
			position := eventlog.Checkpoint{Lane: "inventory", Position: 40, Read: 40}
			if err := l.SaveCheckpoint(t.Context(), &position); err != nil {
				t.Fatal(err)
			}
			var decided ids
			config := configOf(recording(l, &decided))
			config.Missing, config.VerifyFirst = archiveOf(lost), c.first
			p := start(t, l, config)
			p.isDegradedBy(t, c.want)
			for _, sequence := range c.missing {
				if _, seq, err := orders.Read(t.Context(), l, placed[sequence-1]); err != nil || seq != sequence {
					t.Errorf("order of event %d: got %d, %v", sequence, seq, err)
				}
			}
			place(t, l, "later")
			p.caughtUp(t, "inventory")
			if got := decided.all(); !slices.Equal(got, []string{"later"}) {
				t.Errorf("decided: got %v, want the later order only", got)
			}
		})
	}
}

// isDegradedBy waits until the process is ready and has verified the whole log, and degraded by a gap.
func (p *process) isDegradedBy(t *testing.T, gap string) {
	t.Helper()
	waitUntil(t, "the process is ready, but degraded by the gap", func() bool {
		err := p.Degraded()
		return p.Ready() == nil && errors.Is(err, eventlog.ErrNeedsRepair) && !errors.Is(err, worker.ErrVerifying) && strings.Contains(err.Error(), gap)
	})
}

// Row 64 of the fault matrix: a separate broker that was stopped properly trusts its index and does not report a damaged message.
// The process finds it by reading, in the tail, in the background and at the end of the log.
func TestDamageThatTheBrokerHidesIsFound(t *testing.T) {
	t.Parallel()
	for name, sequence := range map[string]uint64{"Older": 7, "InTheTail": 35, "LastEvent": 40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			broker, err := embedded.StartNATS(embedded.NATSConfig{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			before := logtest.OpenOn(t, broker)
			placed := placeMany(t, before, "o", 40)
			lost, err := before.Get(t.Context(), sequence)
			if err != nil {
				t.Fatal(err)
			}
			before.Close()
			broker.Stop()
			damage(t, dir, lost.Header.Get(events.HeaderID))

			separate := logtest.ServerWith(t, &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
			l := logtest.OpenOver(t, logtest.ConnectTo(t, separate.ClientURL()))
			if gaps, err := l.KnownGaps(t.Context(), 40); err != nil || len(gaps) > 0 {
				t.Logf("the broker reports %v, %v", gaps, err)
			}
			var decided ids
			config := configOf(recording(l, &decided))
			config.Missing, config.VerifyFirst = archiveOf(map[uint64]eventlog.Message{sequence: lost}), 10
			p := start(t, l, config)
			p.isDegradedBy(t, fmt.Sprintf("sequence %d is missing", sequence))
			p.caughtUp(t, "inventory")
			if got := decided.all(); !slices.Equal(got, placed) {
				t.Errorf("decided: got %d orders, want all %d", len(got), len(placed))
			}
		})
	}
}

// damage changes a byte in an event that a stopped broker has stored.
func damage(t *testing.T, dir, eventID string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", events.StreamShop, "msgs", "1.blk"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	buf, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(buf, []byte(events.HeaderID+": "+eventID))
	if at < 0 {
		t.Fatalf("event %s is not in %s", eventID, files[0])
	}
	buf[at+10] ^= 1
	if err := os.WriteFile(files[0], buf, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An old gap that the archive lacks too is named, and stops every append until the archive has the events.
func TestOldGapThatTheArchiveLacksStopsAppends(t *testing.T) {
	t.Parallel()
	l, _, lost := damagedLog(t, 40, 7, 8)
	position := eventlog.Checkpoint{Lane: "inventory", Position: 40, Read: 40}
	if err := l.SaveCheckpoint(t.Context(), &position); err != nil {
		t.Fatal(err)
	}
	var restored atomic.Bool
	var decided ids
	config := configOf(recording(l, &decided))
	config.Missing = func(ctx context.Context, from, to uint64) ([]eventlog.Message, error) {
		if !restored.Load() {
			return nil, nil
		}
		return archiveOf(lost)(ctx, from, to)
	}
	p := start(t, l, config)
	waitUntil(t, "readiness names the gap", func() bool {
		return p.Ready() != nil && strings.Contains(p.Ready().Error(), "sequences 7 to 8 are missing")
	})
	refusesAppends(t, l)
	restored.Store(true)
	waitUntil(t, "an order can be placed", func() bool { return l.Do(t.Context(), placeLater) == nil })
	if p.Ready() != nil || !errors.Is(p.Degraded(), eventlog.ErrNeedsRepair) {
		t.Errorf("got %v, degraded %v, want ready and degraded", p.Ready(), p.Degraded())
	}
}

// Row 12 of the fault matrix: a process does not start on a log that ends before the position of a lane: an append would use a sequence twice.
func TestLogThatEndsBeforeALaneIsRefused(t *testing.T) {
	t.Parallel()
	l, _, _ := damagedLog(t, 3)
	position := eventlog.Checkpoint{Lane: "inventory", Position: 4, Read: 4}
	if err := l.SaveCheckpoint(t.Context(), &position); err != nil {
		t.Fatal(err)
	}
	if _, err := worker.New(t.Context(), l, worker.Config{}); !errors.Is(err, eventlog.ErrTruncated) || !strings.Contains(err.Error(), "inventory") {
		t.Errorf("New: got %v, want ErrTruncated with the lane", err)
	}
}
