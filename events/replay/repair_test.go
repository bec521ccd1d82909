package replay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// levels is the stock as it is after each movement: every event carries all of it.
var levels = eventlog.Entity[events.StockLevel]{Prefix: events.PrefixStock, LastOnly: true,
	Apply: func(_ events.StockLevel, e events.Event) (events.StockLevel, error) {
		switch p := e.Payload.(type) {
		case events.StockAdjusted:
			return p.After, nil
		case events.StockHeld:
			return p.After, nil
		}
		return events.StockLevel{}, fmt.Errorf("stock cannot take %s", e.Type)
	}}

// twoCopies is a log on a store that can be put back, and a database with its archive.
type twoCopies struct {
	t    *testing.T
	dir  string
	addr string
	db   *mongo.Database
	*shop
}

func newTwoCopies(t *testing.T) *twoCopies {
	t.Helper()
	c := &twoCopies{t: t, dir: filepath.Join(t.TempDir(), "store"), addr: "127.0.0.1:0", db: projecttest.Database(t)}
	c.start()
	c.addr = strings.TrimPrefix(c.server.URL(), "nats://")
	return c
}

// start opens the log on what the store holds. It is the same broker to every process that was connected.
func (c *twoCopies) start() {
	c.t.Helper()
	server, err := embedded.StartNATS(embedded.NATSConfig{Dir: c.dir, Addr: c.addr})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(server.Stop)
	c.shop = openShop(c.t, server)
}

// archive lets the archive's lane work until it has everything, after each of these, too.
func (c *twoCopies) archive(each ...func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	done := c.work(ctx, worker.Config{Missing: archive.New(c.db).Messages,
		Batches: []worker.Batch{archive.Batch(c.log, archive.Config{DB: c.db, Window: 10 * time.Millisecond})}})
	for _, do := range append(each, func() {}) {
		do()
		last, err := c.Last(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		await(c.t, func() bool {
			head, err := archive.New(c.db).Head(c.t.Context())
			return err == nil && head.Last == last
		})
	}
	cancel()
	if err := <-done; err != nil {
		c.t.Error(err)
	}
}

// backup stops the broker, copies its store and starts it again.
func (c *twoCopies) backup(to string) {
	c.t.Helper()
	c.server.Stop()
	if err := os.CopyFS(to, os.DirFS(c.dir)); err != nil {
		c.t.Fatal(err)
	}
	c.start()
}

// putBack replaces the store by a backup.
func (c *twoCopies) putBack(from string) {
	c.t.Helper()
	c.server.Stop()
	if err := errors.Join(os.RemoveAll(c.dir), os.CopyFS(c.dir, os.DirFS(from))); err != nil {
		c.t.Fatal(err)
	}
	c.start()
}

func (c *twoCopies) move(id, sku, cause string, available int64) {
	c.t.Helper()
	c.say(id, events.PrefixStock+sku, "", cause, events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: sku,
		After: events.StockLevel{OnHand: available, Available: available}}, Reason: "counted"})
}

func (c *twoCopies) repair(dry bool) replay.RepairReport {
	c.t.Helper()
	report, err := replay.Repair{DB: c.db, DryRun: dry, Log: c.Reader}.Run(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return report
}

// whole expects both copies to be the same, and the log to hold these events in this order.
func (c *twoCopies) whole(want ...string) {
	c.t.Helper()
	if r := c.repair(true); r.HasFindings() {
		c.t.Errorf("not whole: %+v", r)
	}
	var ids []string
	err := c.Each(c.t.Context(), replay.Range{}, func(m replay.Message) error {
		ids = append(ids, m.Header.Get(events.HeaderID))
		return nil
	})
	archived, err2 := archivedIn(c.t, archive.New(c.db))
	if err := errors.Join(err, err2); err != nil || !slices.Equal(ids, want) || !slices.Equal(archived, want) {
		c.t.Errorf("log %v, archive %v, want %v (%v)", ids, archived, want, err)
	}
}

// archivedIn returns the ids of the events in an archive.
func archivedIn(t *testing.T, a *archive.Archive) (ids []string, err error) {
	t.Helper()
	return ids, a.Each(t.Context(), 0, func(m archive.Archived) error {
		ids = append(ids, m.EventID())
		return nil
	})
}

func names(l replay.Loss) (ids []string) {
	for _, e := range l.First {
		ids = append(ids, e.EventID)
	}
	return ids
}

// Row 12 of the fault matrix: what the log lost comes back under its old sequences; a dry run only says so.
func TestRepairGivesTheLogBack(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.move("1", "A", "", 1)
	c.archive()
	backup := filepath.Join(t.TempDir(), "backup")
	c.backup(backup)
	for i := 2; i <= 500; i++ {
		c.move(fmt.Sprint(i), fmt.Sprintf("S%d", i%7), "", int64(i))
	}
	c.archive()
	c.putBack(backup)
	if err := archive.New(c.db).CheckHistory(t.Context(), c.log); !errors.Is(err, eventlog.ErrTruncated) {
		t.Errorf("the archive's lane would go to work: %v", err)
	}
	for range 2 {
		if r := c.repair(true); r.LogLost.Count != 499 || r.Log != 1 || r.Archived != 500 || r.Diverged || r.LogLost.First[0].EventID != "2" {
			t.Fatalf("dry run: %+v", r)
		}
	}
	c.repair(false)
	var want []string
	for i := 1; i <= 500; i++ {
		want = append(want, fmt.Sprint(i))
	}
	c.whole(want...)
	level, seq, err := levels.Read(t.Context(), c.log, "S3")
	if err != nil || level.Available != 500-(500-3)%7 || seq != uint64(level.Available) {
		t.Errorf("S3 is %+v at %d, %v", level, seq, err)
	}
	c.archive() // goes on where it was
	c.move("501", "A", "", 7)
	c.archive()
	c.whole(append(want, "501")...)
}

// When somebody appended before the loss was noticed, an entity that has not gone on gets the rest of its history at the
// end; one that has keeps its new one, and loses with it what was decided together with what is left out.
func TestRepairOfALogThatWentOn(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.move("a1", "A", "", 1)
	c.move("b1", "B", "", 1)
	c.archive()
	backup := filepath.Join(t.TempDir(), "backup")
	c.backup(backup)
	c.move("a2", "A", "", 2)
	c.move("b2", "B", "", 2)
	c.move("c1", "C", "order", 1) // of one decision with d1
	c.move("d1", "D", "order", 1)
	c.move("b3", "B", "", 3)
	c.move("e1", "E", "", 1)
	c.archive()
	c.putBack(backup)
	c.move("a2'", "A", "", 20)
	c.move("d1'", "D", "", 10)
	r := c.repair(true)
	if !r.Diverged || !slices.Equal(names(r.LogLost), []string{"b2", "b3", "e1"}) || !slices.Equal(names(r.Superseded), []string{"a2", "c1", "d1"}) {
		t.Fatalf("dry run: %+v", r)
	}
	if r := c.repair(false); r.Aside != "archive_aside" {
		t.Errorf("repair: %+v", r)
	}
	c.whole("a1", "b1", "a2'", "d1'", "b2", "b3", "e1")
	aside, err := archivedIn(t, archive.NewInCollection(c.db.Collection("archive_aside")))
	if err != nil || !slices.Equal(aside, []string{"a2", "b2", "c1", "d1", "b3", "e1"}) {
		t.Errorf("aside %v, %v", aside, err)
	}
	c.move("b4", "B", "", 4)
	c.archive()
	c.whole("a1", "b1", "a2'", "d1'", "b2", "b3", "e1", "b4")
	moves := eventlog.Entity[int]{Prefix: events.PrefixStock, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}
	if n, _, err := moves.Read(t.Context(), c.log, "B"); n != 4 || err != nil {
		t.Errorf("of B's history %d events can be read, %v; want 4", n, err)
	}
}

// What the archive has lost, some of it or all with its head, is written from the log, also while its lane is at work.
func TestRepairGivesTheArchiveBack(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	var want []string
	for i := 1; i <= 30; i++ {
		want = append(want, fmt.Sprint(i))
		c.move(fmt.Sprint(i), "A", "", int64(i))
		if i%10 == 0 {
			c.archive()
		}
	}
	collection := c.db.Collection(archive.Collection)
	if n, err := collection.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: "000000000011"}}); err != nil || n.DeletedCount != 1 {
		t.Fatal(n, err)
	}
	if r := c.repair(true); r.ArchiveLost.Count != 10 || r.ArchiveLost.First[0].Sequence != 11 {
		t.Errorf("a chunk is gone: %+v", r)
	}
	c.repair(false)
	c.whole(want...)
	if err := collection.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := c.repair(false); r.ArchiveLost.Count != 30 {
		t.Errorf("everything is gone: %+v", r)
	}
	c.whole(want...)
	if head, err := archive.New(c.db).Head(t.Context()); err != nil || head.Last != 30 || head.EventID != "30" {
		t.Errorf("head %+v, %v", head, err)
	}
}

// Row 12 of the fault matrix: a process that ran all the while notices, and does not tell anybody that its append counts.
func TestAProcessNoticesThatTheLogWentBack(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	backup := filepath.Join(t.TempDir(), "backup")
	c.backup(backup)
	running := c.log
	watched := make(chan error, 1)
	go func() { watched <- running.Monitor(t.Context()) }()
	add := func() error {
		return running.Do(t.Context(), func(tx *eventlog.Tx) error {
			return levels.Append(tx, "A", events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "A"}})
		})
	}
	for range 3 {
		if err := add(); err != nil {
			t.Fatal(err)
		}
	}
	c.server.Stop()
	c.start() // the same store again is no cause for alarm
	await(t, func() bool { return add() == nil })
	c.putBack(backup)
	select {
	case err := <-watched:
		if !errors.Is(err, eventlog.ErrTruncated) {
			t.Errorf("noticed %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("never noticed")
	}
}
