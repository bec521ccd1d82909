//go:build unix

package process_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/backup"
	eventlog "tillstream/events/log"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
)

// A cluster of three brokers is backed up while orders are placed and handled, and restored into another cluster without
// streams. A process that needs three copies of each stream then starts on the other cluster.
func TestAClusterIsBackedUpAndRestored(t *testing.T) {
	t.Parallel()
	tr := startTraffic(t)
	from, done, err := target.Shop{NATS: tr.cluster.URL()}.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	proc.WaitFor(t, "the lane has stored a checkpoint", time.Minute, func() bool {
		c, err := from.Log().LoadCheckpoint(t.Context(), "inventory")
		return err == nil && c.Position > 0
	})
	dir := filepath.Join(t.TempDir(), "backup")
	report, err := replay.Backup{DB: projecttest.Database(t), Dir: dir, Log: from}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tr.awaitOrders(t, 20)
	tr.checkOrders(t)
	kept, err := backup.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}

	other := &traffic{cluster: startBrokers(t)}
	var to *replay.Reader
	proc.WaitFor(t, "three new brokers create streams", time.Minute, func() bool {
		to, done, err = target.Shop{NATS: other.cluster.URL()}.MakeLog(t.Context(), 3)
		return err == nil
	})
	defer done()
	if _, err := (replay.Restore{Backup: kept, DB: projecttest.Database(t), Log: to}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if before, after := ids(t, from, report.Cut), ids(t, to, 0); len(after) != int(report.Cut) || !slices.Equal(before, after) {
		t.Errorf("the restored log has %d events, want the same %d as the backup", len(after), report.Cut)
	}
	l := other.openLog(t, "orders") // fails if a stream has another number of copies
	if end, err := l.End(t.Context(), report.Cut); err != nil || end != report.Cut {
		t.Errorf("End() = %d, %v; want %d", end, err, report.Cut)
	}
	if c, err := l.LoadCheckpoint(t.Context(), "inventory"); err != nil || c.Position == 0 || c.Position > report.Cut {
		t.Errorf("checkpoint = %d (%v), want 1 to %d", c.Position, err, report.Cut)
	}
}

// ids returns the ids of a log's events up to a sequence; 0 means all.
func ids(t *testing.T, r *replay.Reader, to uint64) (ids []string) {
	t.Helper()
	err := r.Each(t.Context(), replay.Range{To: to}, func(m eventlog.Message) error {
		ids = append(ids, m.Header.Get(events.HeaderID))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}
