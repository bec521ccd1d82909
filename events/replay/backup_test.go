package replay_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/backup"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// contents describes every message of the log.
func (c *installation) contents() (all []string) {
	c.t.Helper()
	err := c.Each(c.t.Context(), replay.Range{}, func(m replay.Message) error {
		all = append(all, fmt.Sprint(m.Sequence, " ", m.Subject, " ", m.Header.Get(events.HeaderID), " ", m.Header.Get(events.HeaderRevision), " ", string(m.Data)))
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

// deadLetter appends a dead letter about an event.
func (c *installation) deadLetter(lane string, sequence uint64) {
	c.t.Helper()
	c.append(fmt.Sprint(lane, "-", sequence), fmt.Sprintf("deadletters.%s.%d", lane, sequence), "", "",
		events.DeadLettered{Worker: lane, Sequence: sequence, Error: "bad payload"})
}

// backUp writes a backup and returns its directory. It calls the functions while the log is copied.
func (c *installation) backUp(meanwhile ...func()) (dir string, report replay.BackupReport, err error) {
	c.t.Helper()
	dir = filepath.Join(c.t.TempDir(), "backup")
	report, err = replay.Backup{DB: c.db, Dir: dir, Log: c.Reader, Secrets: []byte("secret"), Progress: func(stage string, _, _ uint64) {
		for _, do := range meanwhile {
			do()
		}
		meanwhile = nil
	}}.Run(c.t.Context())
	return dir, report, err
}

// mustBackUp is backUp without errors.
func (c *installation) mustBackUp(meanwhile ...func()) string {
	c.t.Helper()
	dir, _, err := c.backUp(meanwhile...)
	if err != nil {
		c.t.Fatal(err)
	}
	return dir
}

// restore restores a backup into this installation.
func (c *installation) restore(dir string) (replay.RestoreReport, error) {
	c.t.Helper()
	kept, err := backup.Open(c.t.Context(), dir, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return replay.Restore{Backup: kept, DB: c.db, Log: c.Reader}.Run(c.t.Context())
}

// mustRestore is restore without errors.
func (c *installation) mustRestore(dir string) replay.RestoreReport {
	c.t.Helper()
	report, err := c.restore(dir)
	if err != nil {
		c.t.Fatal(err)
	}
	return report
}

func (c *installation) insert(collection string) {
	c.t.Helper()
	if _, err := c.db.Collection(collection).InsertOne(c.t.Context(), bson.D{{Key: "_id", Value: "1"}}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *installation) delete(collection string) {
	c.t.Helper()
	if _, err := c.db.Collection(collection).DeleteOne(c.t.Context(), bson.D{{Key: "_id", Value: "1"}}); err != nil {
		c.t.Fatal(err)
	}
}

// A backup of a running shop is consistent: it contains no event, dead letter or checkpoint from after the cut. After a restore,
// everything is as it was at the cut, and projections start from the beginning.
func TestBackupOfRunningShopIsConsistent(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.adjust("a1", "A", "", 1)
	c.adjust("b1", "B", "a1", 1)
	c.adjust("a2", "A", "", 2)
	c.deadLetter("inventory", 2)
	c.saveCheckpoint("inventory", 3)
	c.saveCheckpoint("notifications.mail", 3, replay.OpenAct{Sequence: 2, Attempt: 4})
	c.saveCheckpoint("orders.projection", 3)
	reconciled := eventlog.Checkpoint{Lane: "payments.reconcile", State: []byte(`{"to":"2026-11-01T00:00:00Z"}`)}
	if err := c.log.SaveCheckpoint(t.Context(), &reconciled); err != nil {
		t.Fatal(err)
	}
	c.archive()
	aside := archive.Archived{Sequence: 7, Subject: "orders.x", Text: "superseded", Stored: time.Unix(1, 0).UTC()}
	for _, name := range []string{"archive_aside", "archive_aside_2"} {
		if err := archive.NewInCollection(c.db.Collection(name)).Restore(t.Context(), []archive.Archived{aside}); err != nil {
			t.Fatal(err)
		}
	}
	story := c.contents()
	dir, report, err := c.backUp(func() {
		c.adjust("b2", "B", "", 2)
		c.deadLetter("inventory", 4)
		c.saveCheckpoint("inventory", 4)
	})
	if err != nil || report.Cut != 3 || report.DeadLetters != 1 || report.Lanes != 3 || report.Aside != 2 || !report.Secrets || report.Bytes == 0 {
		t.Fatalf("backup: got %+v, %v", report, err)
	}

	n := newInstallation(t)
	n.mustRestore(dir)
	if diff := cmp.Diff(story, n.contents()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	letters, err := n.DeadLetters(t.Context(), 0)
	if err != nil || len(letters) != 1 || letters[0].Number != 1 || letters[0].Sequence != 2 {
		t.Errorf("dead letters: got %+v, %v; want number 1 for event 2", letters, err)
	}
	mail := n.lane("notifications.mail")
	if l := n.lane("inventory"); l.Position != 3 || mail.Position != 3 || len(mail.Open) != 1 || mail.Open[0].Attempt != 4 {
		t.Errorf("lanes: got %+v and %+v, want both at 3 and one open act", l, mail)
	}
	if l := n.lane("orders.projection"); l.Position != 0 {
		t.Errorf("projection: got %+v, want position 0", l)
	}
	if l, err := n.log.LoadCheckpoint(t.Context(), "payments.reconcile"); err != nil || string(l.State) != string(reconciled.State) {
		t.Errorf("checkpoint of the reconciler: got %s, %v; want %s", l.State, err, reconciled.State)
	}
	for _, name := range []string{"archive_aside", "archive_aside_2"} {
		kept, err := archive.NewInCollection(n.db.Collection(name)).Messages(t.Context(), 1, 9)
		if err != nil || len(kept) != 1 || string(kept[0].Data) != "superseded" {
			t.Errorf("messages in %s: got %+v, %v; want the superseded one", name, kept, err)
		}
	}
	n.adjust("a3", "A", "", 3)
	n.archive()
	n.checkCopies("a1", "b1", "a2", "a3")
}

// The backup of an empty shop does not contain an event that is appended while it is written.
func TestBackupOfEmptyShopContainsNoLaterEvent(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	dir, report, err := c.backUp(func() { c.adjust("x1", "X", "", 1) })
	if err != nil || report.Cut != 0 {
		t.Fatalf("backup: got %+v, %v", report, err)
	}
	n := newInstallation(t)
	n.mustRestore(dir)
	n.adjust("a1", "A", "", 1)
	n.archive()
	n.checkCopies("a1")
}

// Events that a damaged log lacks come from the archive, so the restored log is complete. When the archive lacks them too, the backup
// fails, names the sequences and leaves no files.
func TestBackupTakesGapsFromArchive(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.replaceLog()
	c.archiveFour()
	story := c.contents()
	c.deleteMessages(2, 3)
	dir, report, err := c.backUp()
	if err != nil || report.FromArchive != 2 || report.Cut != 4 {
		t.Fatalf("backup: got %+v, %v", report, err)
	}
	n := newInstallation(t)
	n.mustRestore(dir)
	if diff := cmp.Diff(story, n.contents()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	for _, lost := range []struct{ chunk, message string }{{"000000000003", "sequences 3 to 3"}, {"000000000002", "sequences 2 to 3"}} {
		if _, err := c.db.Collection(archive.Collection).DeleteOne(t.Context(), bson.D{{Key: "_id", Value: lost.chunk}}); err != nil {
			t.Fatal(err)
		}
		dir, _, err := c.backUp()
		if !errors.Is(err, replay.ErrIncomplete) || !strings.Contains(err.Error(), lost.message) || !strings.Contains(err.Error(), "ops repair") {
			t.Errorf("backup without chunk %s: got %v, want %v with %q", lost.chunk, err, replay.ErrIncomplete, lost.message)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("directory of the failed backup: got %v, want %v", err, os.ErrNotExist)
		}
	}
}

// A log that has lost its end must be repaired before a backup.
func TestBackupRefusesTruncatedLog(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.lose(func() {
		c.adjust("a1", "A", "", 1)
	})
	dir, _, err := c.backUp()
	if !errors.Is(err, eventlog.ErrTruncated) {
		t.Errorf("backup: got %v, want %v", err, eventlog.ErrTruncated)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory of the refused backup: got %v, want %v", err, os.ErrNotExist)
	}
}

// A lane that is ahead of the log would skip events after a restore.
func TestBackupRefusesLaneAheadOfLog(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.adjust("a1", "A", "", 1)
	c.saveCheckpoint("orders", 7)
	if _, _, err := c.backUp(); err == nil || !strings.Contains(err.Error(), "a lane is at 7; ops repair") {
		t.Errorf("backup: got %v, want an error about the lane", err)
	}
}
