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
	m := openShop(t, config)
	m.list(t, "MUG", 1250, 20)
	ids := []string{m.buy(t, cart("ada", line{"MUG", 1})).ID}
	m.close(t)
	copyStore(t, store, backup)

	m = openShop(t, config)
	for _, who := range []string{"bob", "cyd", "dan"} {
		ids = append(ids, m.buy(t, cart(who, line{"MUG", 2})).ID)
	}
	waiting := m.place(t, cart("eve", line{"MUG", 3}))
	m.checkout(t, waiting)
	m.verify(t, append(ids, waiting.ID)...) // the archive is complete
	before := m.sequences(t, ids...)
	m.close(t)
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	copyStore(t, backup, store)

	err := Run(t.Context(), config, quiet(t), &readySignal{ready: make(chan struct{})})
	if !errors.Is(err, eventlog.ErrTruncated) || !strings.Contains(err.Error(), "ops repair") {
		t.Fatalf("Run() on the older store = %v, want ErrTruncated that names ops repair", err)
	}
	repairClosed(t, config)

	m = openShop(t, config)
	if after := m.sequences(t, ids...); !slices.Equal(before, after) {
		t.Errorf("sequences of events = %v, want %v", after, before)
	}
	m.settle(t, waiting)
	m.charged(t, waiting)
	ids = append(ids, waiting.ID, m.buy(t, cart("fay", line{"MUG", 1})).ID)
	m.stockBecomes(t, "MUG", level{9, 9, 0})
	for _, who := range []string{"ada", "bob", "cyd", "dan"} {
		m.mailed(t, cart(who).Email, 1)
	}
	m.verify(t, ids...)
}

// repairClosed runs ops repair on a closed shop, with a dry run first.
func repairClosed(t *testing.T, config Config) {
	t.Helper()
	config.Closed = true
	m := openShop(t, config)
	defer m.close(t)
	db, closeDB, err := m.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB()
	repair := replay.Repair{DB: db, DryRun: true, Log: m.log}
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
func (m *testShop) sequences(t *testing.T, ids ...string) (all []string) {
	t.Helper()
	for _, id := range ids {
		history, err := m.log.Timeline(t.Context(), id)
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
