package replay_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/backup"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// A restore writes into nothing that is in use: it names what it found and changes nothing. A collection that is there
// without documents, and a checkpoint that says nothing, are no hindrance: who makes the streams leaves them.
func TestARestoreWantsAnEmptyInstallation(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.move("a1", "A", "", 1)
	dir := c.backedUp()
	tests := map[string]struct {
		put  func(n *twoCopies)
		says string // "": it is empty enough
	}{
		"AnEvent":       {func(n *twoCopies) { n.move("x1", "X", "", 1) }, "1 events in SHOP"},
		"ADeadLetter":   {func(n *twoCopies) { n.dead("orders", 1) }, "1 dead letters"},
		"ACheckpoint":   {func(n *twoCopies) { n.note("orders.timers", 3) }, "checkpoints of 1 lanes"},
		"ADocument":     {func(n *twoCopies) { n.insert("payments") }, "documents in payments"},
		"AnArchive":     {func(n *twoCopies) { n.insert(archive.Collection) }, "documents in archive"},
		"EmptyEnough":   {func(n *twoCopies) { n.note("orders", 0); n.insert("orders"); n.clear("orders") }, ""},
		"NothingAtAll":  {func(*twoCopies) {}, ""},
		"SeveralThings": {func(n *twoCopies) { n.insert("orders"); n.dead("orders", 1) }, "1 dead letters, documents in orders"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newTwoCopies(t)
			test.put(n)
			before := n.story()
			_, err := n.restore(dir)
			if test.says == "" {
				if err != nil || len(n.story()) != 1 {
					t.Fatalf("restored %v, %v", n.story(), err)
				}
				return
			}
			if !errors.Is(err, replay.ErrNotEmpty) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want one that says %q", err, test.says)
			}
			if diff := cmp.Diff(before, n.story()); diff != "" {
				t.Errorf("the log (-before +after):\n%s", diff)
			}
			if head, err := archive.New(n.db).Head(t.Context()); err != nil || head.Restoring != nil {
				t.Errorf("the database says that something is being restored: %+v, %v", head, err)
			}
		})
	}
}

func (c *twoCopies) insert(collection string) {
	c.t.Helper()
	if _, err := c.db.Collection(collection).InsertOne(c.t.Context(), bson.D{{Key: "_id", Value: "1"}}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *twoCopies) clear(collection string) {
	c.t.Helper()
	if _, err := c.db.Collection(collection).DeleteOne(c.t.Context(), bson.D{{Key: "_id", Value: "1"}}); err != nil {
		c.t.Fatal(err)
	}
}

// Who is at work remembers a log that is about to be another one.
func TestARestoreWhileSomebodyIsAtWork(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	dir := c.backedUp()
	_, stop := c.watcher(nil)
	await(t, func() bool { return c.lane("watcher").Holder != "" })
	if _, err := c.restore(dir); !errors.Is(err, replay.ErrRunning) || !strings.Contains(err.Error(), "watcher") {
		t.Errorf("got %v", err)
	}
	stop()
}

// Where the secrets are refused nothing has been written: the shop there has others.
func TestARestoreWhoseSecretsAreRefused(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.move("a1", "A", "", 1)
	kept, err := backup.Open(t.Context(), c.backedUp(), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := newTwoCopies(t)
	refused := errors.New("other secrets")
	r := replay.Restore{Backup: kept, DB: n.db, Log: n.Reader, Secrets: func([]byte) error { return refused }}
	if _, err := r.Run(t.Context()); !errors.Is(err, refused) || len(n.story()) > 0 {
		t.Errorf("got %v, the log holds %v", err, n.story())
	}
	var given string
	r.Secrets = func(data []byte) error { given = string(data); return nil }
	if report, err := r.Run(t.Context()); err != nil || !report.Secrets || report.Continued || given != "secret" {
		t.Errorf("then %+v, %v, secrets %q", report, err, given)
	}
}

// halfRestored is a backup of a long log, and an installation whose broker went away in the middle of its restore. The
// broker is back, with all that it had stored.
func halfRestored(t *testing.T) (c, n *twoCopies, dir string) {
	t.Helper()
	c, n = newTwoCopies(t), newTwoCopies(t)
	c.fill(events.PrefixStock+"A", 3*longEnough)
	c.dead("inventory", 2)
	c.note("inventory", 3*longEnough)
	dir = c.backedUp()
	kept, err := backup.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = replay.Restore{Backup: kept, DB: n.db, Log: n.Reader, Progress: func(_ string, done, _ uint64) {
		if done == 2*longEnough {
			n.server.Stop()
		}
	}}.Run(t.Context())
	if err == nil {
		t.Fatal("the restore of a broker that went away has ended")
	}
	n.start()
	if last, err := n.Last(t.Context()); err != nil || last < longEnough || last >= 3*longEnough {
		t.Fatalf("the log ends at %d, %v; want half a log", last, err)
	}
	return c, n, dir
}

// A restore that was cut off goes on where it was. Until it has ended no process starts on half of the log, no repair takes
// it for one that lost something, and no other backup is mixed with it.
func TestARestoreThatIsCutOff(t *testing.T) {
	t.Parallel()
	c, n, dir := halfRestored(t)
	if err := archive.New(n.db).CheckHistory(t.Context(), n.log); !errors.Is(err, eventlog.ErrTruncated) || !strings.Contains(err.Error(), "run `ops restore`") {
		t.Errorf("the shop would start: %v", err)
	}
	if _, err := (replay.Repair{DB: n.db, Log: n.Reader}).Run(t.Context()); !errors.Is(err, eventlog.ErrTruncated) {
		t.Errorf("a repair: %v", err)
	}
	if _, err := n.restore(c.backedUp()); !errors.Is(err, replay.ErrOtherBackup) {
		t.Errorf("another backup of the same log: %v", err)
	}
	if report := n.restored(dir); !report.Continued {
		t.Errorf("it began anew: %+v", report)
	}
	if diff := cmp.Diff(c.story(), n.story()); diff != "" {
		t.Errorf("the log (-before +after):\n%s", diff)
	}
	if l := n.lane("inventory"); l.Position != 3*longEnough {
		t.Errorf("got %+v", l)
	}
	if letters, err := n.DeadLetters(t.Context(), 0); err != nil || len(letters) != 1 {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
	n.archive()
	if r := n.repair(true); r.HasFindings() {
		t.Errorf("not whole: %+v", r)
	}
}

// Half a restore to which another program has appended is not the beginning of the backup any more.
func TestARestoreOfALogThatWentOn(t *testing.T) {
	t.Parallel()
	_, n, dir := halfRestored(t)
	n.move("x1", "X", "", 1)
	before := len(n.story())
	if _, err := n.restore(dir); !errors.Is(err, replay.ErrOtherBackup) || !strings.Contains(err.Error(), "SHOP has another event at") {
		t.Errorf("got %v", err)
	}
	if after := len(n.story()); after != before {
		t.Errorf("the log has %d events, had %d", after, before)
	}
}

// Of two restores at once one puts everything back, and the other one says that it was not alone.
func TestTwoRestoresAtOnce(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.fill(events.PrefixStock+"A", 2*longEnough)
	dir := c.backedUp()
	kept, err := backup.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := newTwoCopies(t)
	_, err = replay.Restore{Backup: kept, DB: n.db, Log: n.Reader, Progress: func(_ string, done, _ uint64) {
		if done == longEnough {
			n.restoreBeside(kept)
		}
	}}.Run(t.Context())
	if !errors.Is(err, replay.ErrConcurrentAppend) && !errors.Is(err, replay.ErrOtherBackup) {
		t.Errorf("the slower one: %v", err)
	}
	if diff := cmp.Diff(c.story(), n.story()); diff != "" {
		t.Errorf("the log (-before +after):\n%s", diff)
	}
}

// restoreBeside runs a second restore, again for as long as the first one's appends are still arriving.
func (c *twoCopies) restoreBeside(kept *backup.Backup) {
	c.t.Helper()
	err := replay.ErrConcurrentAppend
	for errors.Is(err, replay.ErrConcurrentAppend) {
		_, err = replay.Restore{Backup: kept, DB: c.db, Log: c.Reader}.Run(c.t.Context())
	}
	if err != nil {
		c.t.Error(err)
	}
}
