package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// Row 12 of the fault matrix: an older copy of the broker's store is put back. The shop refuses to open, and `ops repair`
// restores the missing events from the archive. Then every event has its old sequence, and the shop sells again.
func TestOlderStoreIsRefusedAndRepaired(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	store, backup := filepath.Join(config.Data, "nats"), filepath.Join(t.TempDir(), "backup")
	ts := openShop(t, config)
	ts.list(t, "MUG", 1250, 20)
	ids := []string{ts.buy(t, cart("ada", line{"MUG", 1})).ID}
	ts.close(t)
	copyStore(t, store, backup)

	ts = openShop(t, config)
	for _, who := range []string{"bob", "cyd", "dan"} {
		ids = append(ids, ts.buy(t, cart(who, line{"MUG", 2})).ID)
	}
	waiting := ts.place(t, cart("eve", line{"MUG", 3}))
	ts.checkout(t, waiting)
	ts.verify(t, append(ids, waiting.ID)...) // the archive is complete
	before := ts.sequences(t, ids...)
	ts.close(t)
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	copyStore(t, backup, store)

	err := Run(t.Context(), config, quiet(t), &readySignal{ready: make(chan struct{})})
	if !errors.Is(err, eventlog.ErrTruncated) || !strings.Contains(err.Error(), "ops repair") {
		t.Fatalf("Run() on the older store = %v, want ErrTruncated that names ops repair", err)
	}
	repairClosed(t, config)

	ts = openShop(t, config)
	if after := ts.sequences(t, ids...); !slices.Equal(before, after) {
		t.Errorf("sequences of events = %v, want %v", after, before)
	}
	ts.settle(t, waiting)
	ts.charged(t, waiting)
	ids = append(ids, waiting.ID, ts.buy(t, cart("fay", line{"MUG", 1})).ID)
	ts.stockBecomes(t, "MUG", level{9, 9, 0})
	for _, who := range []string{"ada", "bob", "cyd", "dan"} {
		ts.mailed(t, cart(who).Email, 1)
	}
	ts.verify(t, ids...)
}

// closedRepair returns the repair of a closed shop, which closes with done.
func closedRepair(t *testing.T, config Config) (repair replay.Repair, done func()) {
	t.Helper()
	config.Closed = true
	ts := openShop(t, config)
	db, closeDB, err := ts.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return replay.Repair{DB: db, Log: ts.log}, func() { closeDB(); ts.close(t) }
}

// repairClosed runs ops repair on a closed shop, with a dry run first.
func repairClosed(t *testing.T, config Config) {
	t.Helper()
	repair, done := closedRepair(t, config)
	defer done()
	for _, step := range []struct{ dry, findings bool }{{true, true}, {false, true}, {true, false}} {
		repair.DryRun = step.dry
		report, err := repair.Run(t.Context())
		if err != nil || report.HasFindings() != step.findings || report.Restored == step.dry {
			t.Fatalf("repair with dry run %t: %+v, %v", step.dry, report, err)
		}
		if step.findings == (report.LogLost.Count == 0) || report.Superseded.Count+report.ArchiveLost.Count > 0 || report.Diverged || report.Unrepairable() {
			t.Errorf("repair with dry run %t: %+v", step.dry, report)
		}
	}
}

// sequences returns the streams and sequences of the orders' events.
func (ts *testShop) sequences(t *testing.T, ids ...string) (all []string) {
	t.Helper()
	for _, id := range ids {
		history, err := ts.log.Timeline(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range history.Entries {
			all = append(all, fmt.Sprintf("%s/%d %s", e.Stream, e.Sequence, e.EventID))
		}
	}
	slices.Sort(all)
	return all
}

func quiet(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func copyStore(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
