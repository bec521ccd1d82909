package replay_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

// backUp writes a backup and returns where; meanwhile, while the log is copied, something may happen.
func (c *twoCopies) backUp(meanwhile ...func()) (dir string, report replay.BackupReport, err error) {
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

// backedUp is backUp where nothing may go wrong.
func (c *twoCopies) backedUp(meanwhile ...func()) string {
	c.t.Helper()
	dir, _, err := c.backUp(meanwhile...)
	if err != nil {
		c.t.Fatal(err)
	}
	return dir
}

// restore puts a backup into this installation.
func (c *twoCopies) restore(dir string) (replay.RestoreReport, error) {
	c.t.Helper()
	kept, err := backup.Open(c.t.Context(), dir, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return replay.Restore{Backup: kept, DB: c.db, Log: c.Reader}.Run(c.t.Context())
}

// restored expects a backup to be put back.
func (c *twoCopies) restored(dir string) replay.RestoreReport {
	c.t.Helper()
	report, err := c.restore(dir)
	if err != nil {
		c.t.Fatal(err)
	}
	return report
}

// story is everything that the log holds, in words.
func (c *twoCopies) story() (all []string) {
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

func (c *twoCopies) dead(lane string, sequence uint64) {
	c.t.Helper()
	c.say(fmt.Sprint(lane, "-", sequence), fmt.Sprintf("deadletters.%s.%d", lane, sequence), "", "",
		events.DeadLettered{Worker: lane, Sequence: sequence, Error: "bad payload"})
}

// A backup that is taken while the shop sells holds one moment of it: nothing that happens meanwhile is in it, neither events
// nor dead letters about them nor how far lanes come. Restored, everything of that moment is where it was, and what is derived
// begins anew.
func TestABackupHoldsOneMoment(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.move("a1", "A", "", 1)
	c.move("b1", "B", "a1", 1)
	c.move("a2", "A", "", 2)
	c.dead("inventory", 2)
	c.note("inventory", 3)
	c.note("notifications.mail", 3, replay.OpenAct{Sequence: 2, Attempt: 4})
	c.note("orders.projection", 3)
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
	story := c.story()
	dir, report, err := c.backUp(func() {
		c.move("b2", "B", "", 2)
		c.dead("inventory", 4)
		c.note("inventory", 4)
	})
	if err != nil || report.Cut != 3 || report.DeadLetters != 1 || report.Lanes != 3 || report.Aside != 2 || !report.Secrets || report.Bytes == 0 {
		t.Fatalf("got %+v, %v", report, err)
	}

	n := newTwoCopies(t)
	n.restored(dir)
	if diff := cmp.Diff(story, n.story()); diff != "" {
		t.Errorf("the log (-before +after):\n%s", diff)
	}
	letters, err := n.DeadLetters(t.Context(), 0)
	if err != nil || len(letters) != 1 || letters[0].Number != 1 || letters[0].Sequence != 2 {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
	mail := n.lane("notifications.mail")
	if l := n.lane("inventory"); l.Position != 3 || mail.Position != 3 || len(mail.Open) != 1 || mail.Open[0].Attempt != 4 {
		t.Errorf("lanes %+v, %+v", l, mail)
	}
	if l := n.lane("orders.projection"); l.Position != 0 {
		t.Errorf("a projection would leave out what the new database has not got: %+v", l)
	}
	if l, err := n.log.LoadCheckpoint(t.Context(), "payments.reconcile"); err != nil || string(l.State) != string(reconciled.State) {
		t.Errorf("the reconciler goes on at %s, %v", l.State, err)
	}
	for _, name := range []string{"archive_aside", "archive_aside_2"} {
		kept, err := archive.NewInCollection(n.db.Collection(name)).Messages(t.Context(), 1, 9)
		if err != nil || len(kept) != 1 || string(kept[0].Data) != "superseded" {
			t.Errorf("%s holds %+v, %v", name, kept, err)
		}
	}
	n.move("a3", "A", "", 3)
	n.archive()
	n.whole("a1", "b1", "a2", "a3")
}

// An empty shop has a backup, too: what is sold while it is written is not in it.
func TestABackupOfAnEmptyShop(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	dir, report, err := c.backUp(func() { c.move("x1", "X", "", 1) })
	if err != nil || report.Cut != 0 {
		t.Fatalf("got %+v, %v", report, err)
	}
	n := newTwoCopies(t)
	n.restored(dir)
	n.move("a1", "A", "", 1)
	n.archive()
	n.whole("a1")
}

// What a damaged log lacks is taken from the archive, so the restored log is whole. What neither has is named, and nothing is
// left that could be taken for a backup.
func TestABackupOfADamagedLog(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.damageable()
	// Each is a chunk of its own.
	c.archive(func() { c.move("a1", "A", "", 1) }, func() { c.move("b1", "B", "", 1) }, func() { c.move("c1", "C", "", 1) }, func() { c.move("d1", "D", "", 1) })
	story := c.story()
	c.damage(2, 3)
	dir, report, err := c.backUp()
	if err != nil || report.FromArchive != 2 || report.Cut != 4 {
		t.Fatalf("got %+v, %v", report, err)
	}
	n := newTwoCopies(t)
	n.restored(dir)
	if diff := cmp.Diff(story, n.story()); diff != "" {
		t.Errorf("the log (-before +after):\n%s", diff)
	}
	for _, lost := range []struct{ chunk, says string }{{"000000000003", "sequences 3 to 3"}, {"000000000002", "sequences 2 to 3"}} {
		if _, err := c.db.Collection(archive.Collection).DeleteOne(t.Context(), bson.D{{Key: "_id", Value: lost.chunk}}); err != nil {
			t.Fatal(err)
		}
		dir, _, err := c.backUp()
		if !errors.Is(err, replay.ErrIncomplete) || !strings.Contains(err.Error(), lost.says) || !strings.Contains(err.Error(), "ops repair") {
			t.Errorf("without chunk %s: %v", lost.chunk, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("something is left: %v", err)
		}
	}
}

// A log that has lost its end is not backed up as if it were whole: first ops repair.
func TestABackupOfALogThatWentBack(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	store := filepath.Join(t.TempDir(), "store")
	c.backup(store)
	c.move("a1", "A", "", 1)
	c.archive()
	c.putBack(store)
	if dir, _, err := c.backUp(); !errors.Is(err, eventlog.ErrTruncated) || slices.Contains(entries(t, filepath.Dir(dir)), "backup") {
		t.Errorf("got %v", err)
	}
}

// A lane that is ahead of the log would pass over events after a restore.
func TestABackupOfALogWhoseLanesAreAhead(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.move("a1", "A", "", 1)
	c.note("orders", 7)
	if _, _, err := c.backUp(); err == nil || !strings.Contains(err.Error(), "a lane is at 7; ops repair") {
		t.Errorf("got %v", err)
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}
