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
	"tillstream/events/log"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
)

// Three brokers are backed up while orders are placed and two replicas work, as one is, and restored into three others that
// have no streams yet; a process that wants three copies then starts on them.
func TestAClusterIsBackedUpAndRestored(t *testing.T) {
	t.Parallel()
	tr := startTrade(t)
	from, done, err := target.Shop{NATS: tr.cluster.URL()}.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	proc.WaitFor(t, "the lane has noted down how far it is", time.Minute, func() bool {
		c, err := from.Log().LoadCheckpoint(t.Context(), "inventory")
		return err == nil && c.Position > 0
	})
	dir := filepath.Join(t.TempDir(), "backup")
	report, err := replay.Backup{DB: projecttest.Database(t), Dir: dir, Log: from}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tr.sells(t, 20)
	tr.closes(t)
	kept, err := backup.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}

	other := &trade{cluster: startBrokers(t)}
	var to *replay.Reader
	proc.WaitFor(t, "three new brokers make streams", time.Minute, func() bool {
		to, done, err = target.Shop{NATS: other.cluster.URL()}.MakeLog(t.Context(), 3)
		return err == nil
	})
	defer done()
	if _, err := (replay.Restore{Backup: kept, DB: projecttest.Database(t), Log: to}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if before, after := ids(t, from, report.Cut), ids(t, to, 0); len(after) != int(report.Cut) || !slices.Equal(before, after) {
		t.Errorf("the log has %d events, want the %d of before", len(after), report.Cut)
	}
	l := other.join(t, "orders") // which refuses streams with another number of copies
	if end, err := l.End(t.Context(), report.Cut); err != nil || end != report.Cut {
		t.Errorf("the log ends at %d, %v", end, err)
	}
	if c, err := l.LoadCheckpoint(t.Context(), "inventory"); err != nil || c.Position == 0 || c.Position > report.Cut {
		t.Errorf("the lane goes on at %d of %d, %v", c.Position, report.Cut, err)
	}
}

// ids are the ids of a log's events up to a sequence; 0: all.
func ids(t *testing.T, r *replay.Reader, to uint64) (ids []string) {
	t.Helper()
	err := r.Each(t.Context(), replay.Range{To: to}, func(m log.Message) error {
		ids = append(ids, m.Header.Get(events.HeaderID))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}
