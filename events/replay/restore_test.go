package replay_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/backup"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// A restore into an installation with data names what it found and changes nothing. An empty collection and a checkpoint without a
// position do not count: the process that creates the streams leaves them.
func TestRestoreRefusesInstallationWithData(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.adjust("a1", "A", "", 1)
	dir := c.mustBackUp()
	tests := map[string]struct {
		put     func(n *installation)
		message string // "" when the restore succeeds
	}{
		"Event":       {func(n *installation) { n.adjust("x1", "X", "", 1) }, "1 events in SHOP"},
		"DeadLetter":  {func(n *installation) { n.deadLetter("orders", 1) }, "1 dead letters"},
		"Checkpoint":  {func(n *installation) { n.saveCheckpoint("orders.timers", 3) }, "checkpoints of 1 lanes"},
		"Document":    {func(n *installation) { n.insert("payments") }, "documents in payments"},
		"Archive":     {func(n *installation) { n.insert(archive.Collection) }, "documents in archive"},
		"EmptyEnough": {func(n *installation) { n.saveCheckpoint("orders", 0); n.insert("orders"); n.delete("orders") }, ""},
		"Empty":       {func(*installation) {}, ""},
		"Several":     {func(n *installation) { n.insert("orders"); n.deadLetter("orders", 1) }, "1 dead letters, documents in orders"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInstallation(t)
			test.put(n)
			before := n.contents()
			_, err := n.restore(dir)
			if test.message == "" {
				if err != nil || len(n.contents()) != 1 {
					t.Fatalf("restore: got %v, %v; want one event", n.contents(), err)
				}
				return
			}
			if !errors.Is(err, replay.ErrNotEmpty) || !strings.Contains(err.Error(), test.message) {
				t.Errorf("restore: got %v, want %v with %q", err, replay.ErrNotEmpty, test.message)
			}
			if diff := cmp.Diff(before, n.contents()); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			if head, err := archive.New(n.db).Head(t.Context()); err != nil || head.Restoring != nil {
				t.Errorf("head: got %+v, %v; want no mark of a restore", head, err)
			}
		})
	}
}

func TestRestoreRefusesRunningProcess(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	dir := c.mustBackUp()
	_, stop := c.watcher(nil)
	await(t, func() bool { return c.lane("watcher").Holder != "" })
	if _, err := c.restore(dir); !errors.Is(err, replay.ErrRunning) || !strings.Contains(err.Error(), "watcher") {
		t.Errorf("restore: got %v, want %v with the lane", err, replay.ErrRunning)
	}
	stop()
}

// When Secrets returns an error, for example because the shop has other secrets, the restore writes nothing.
func TestRestoreWritesNothingWhenSecretsFail(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.adjust("a1", "A", "", 1)
	kept, err := backup.Open(t.Context(), c.mustBackUp(), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := newInstallation(t)
	refused := errors.New("other secrets")
	r := replay.Restore{Backup: kept, DB: n.db, Log: n.Reader, Secrets: func([]byte) error { return refused }}
	if _, err := r.Run(t.Context()); !errors.Is(err, refused) || len(n.contents()) > 0 {
		t.Errorf("restore: got %v with log %v, want %v and an empty log", err, n.contents(), refused)
	}
	var given string
	r.Secrets = func(data []byte) error { given = string(data); return nil }
	if report, err := r.Run(t.Context()); err != nil || !report.Secrets || report.Continued || given != "secret" {
		t.Errorf("second restore: got %+v, %v with secrets %q", report, err, given)
	}
}

// interruptedRestore returns the source of a backup and an installation whose broker stopped in the middle of the restore and was
// started again.
func interruptedRestore(t *testing.T) (c, n *installation, dir string) {
	t.Helper()
	c, n = newInstallation(t), newInstallation(t)
	c.publish(events.PrefixStock+"A", 3*progressEvery)
	c.deadLetter("inventory", 2)
	c.saveCheckpoint("inventory", 3*progressEvery)
	dir = c.mustBackUp()
	kept, err := backup.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = replay.Restore{Backup: kept, DB: n.db, Log: n.Reader, Progress: func(_ string, done, _ uint64) {
		if done == 2*progressEvery {
			n.server.Stop()
		}
	}}.Run(t.Context())
	if err == nil {
		t.Fatal("restore into a stopped broker: got no error")
	}
	n.start()
	if last, err := n.Last(t.Context()); err != nil || last < progressEvery || last >= 3*progressEvery {
		t.Fatalf("end of the log: got %d, %v; want part of the backup", last, err)
	}
	return c, n, dir
}

// A restore that was interrupted continues where it stopped. Until it ends, no process starts on the incomplete log, and a repair and the
// restore of another backup are refused.
func TestInterruptedRestoreContinues(t *testing.T) {
	t.Parallel()
	c, n, dir := interruptedRestore(t)
	if err := archive.New(n.db).CheckHistory(t.Context(), n.log); !errors.Is(err, eventlog.ErrTruncated) || !strings.Contains(err.Error(), "run `ops restore`") {
		t.Errorf("check history: got %v, want %v with the remedy", err, eventlog.ErrTruncated)
	}
	if _, err := (replay.Repair{DB: n.db, Log: n.Reader}).Run(t.Context()); !errors.Is(err, eventlog.ErrTruncated) {
		t.Errorf("repair: got %v, want %v", err, eventlog.ErrTruncated)
	}
	if _, err := n.restore(c.mustBackUp()); !errors.Is(err, replay.ErrOtherBackup) {
		t.Errorf("restore of another backup: got %v, want %v", err, replay.ErrOtherBackup)
	}
	if report := n.mustRestore(dir); !report.Continued {
		t.Errorf("restore: got %+v, want continued", report)
	}
	if diff := cmp.Diff(c.contents(), n.contents()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if l := n.lane("inventory"); l.Position != 3*progressEvery {
		t.Errorf("lane inventory: got %+v", l)
	}
	if letters, err := n.DeadLetters(t.Context(), 0); err != nil || len(letters) != 1 {
		t.Errorf("dead letters: got %+v, %v; want 1", letters, err)
	}
	n.archive()
	if r := n.repair(true); r.HasFindings() {
		t.Errorf("dry run of a repair: got %+v, want no findings", r)
	}
}

// An incomplete log to which another process has appended is not the beginning of the backup.
func TestRestoreRefusesLogWithOtherEvents(t *testing.T) {
	t.Parallel()
	_, n, dir := interruptedRestore(t)
	n.adjust("x1", "X", "", 1)
	before := len(n.contents())
	if _, err := n.restore(dir); !errors.Is(err, replay.ErrOtherBackup) || !strings.Contains(err.Error(), "SHOP has another event at") {
		t.Errorf("restore: got %v, want %v with the sequence", err, replay.ErrOtherBackup)
	}
	if after := len(n.contents()); after != before {
		t.Errorf("events in the log: got %d, want %d", after, before)
	}
}

// Of two concurrent restores one restores everything and the other one returns an error.
func TestOneOfConcurrentRestoresSucceeds(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.publish(events.PrefixStock+"A", 2*progressEvery)
	dir := c.mustBackUp()
	kept, err := backup.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := newInstallation(t)
	_, err = replay.Restore{Backup: kept, DB: n.db, Log: n.Reader, Progress: func(_ string, done, _ uint64) {
		if done == progressEvery {
			n.restoreUntilAlone(kept)
		}
	}}.Run(t.Context())
	if !errors.Is(err, replay.ErrConcurrentAppend) && !errors.Is(err, replay.ErrOtherBackup) {
		t.Errorf("slower restore: got %v, want %v or %v", err, replay.ErrConcurrentAppend, replay.ErrOtherBackup)
	}
	if diff := cmp.Diff(c.contents(), n.contents()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// restoreUntilAlone runs a second restore, and repeats it while appends of the first one arrive.
func (c *installation) restoreUntilAlone(kept *backup.Backup) {
	c.t.Helper()
	err := replay.ErrConcurrentAppend
	for errors.Is(err, replay.ErrConcurrentAppend) {
		_, err = replay.Restore{Backup: kept, DB: c.db, Log: c.Reader}.Run(c.t.Context())
	}
	if err != nil {
		c.t.Error(err)
	}
}
