package replay_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
)

// interrupted runs a repair that gets Ctrl-C when it has sent the database so many deletions.
func (c *twoCopies) interrupted(uri string, deletions int64) error {
	c.t.Helper()
	ctx, interrupt := context.WithCancel(c.t.Context())
	defer interrupt()
	var sent atomic.Int64
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetRetryWrites(false).SetMonitor(&event.CommandMonitor{
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) {
			if e.CommandName == "delete" && sent.Add(1) == deletions {
				interrupt()
			}
		}}))
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() {
		if err := client.Disconnect(c.t.Context()); err != nil {
			c.t.Error(err)
		}
	}()
	_, err = replay.Repair{DB: client.Database(c.db.Name()), Log: c.Reader}.Run(ctx)
	return err
}

// Row 12 of the fault matrix: a repair that is cut off while it sets aside what the log went on without is run again:
// the archive is cut where the first one decided to, and the shop does not start on half of it.
func TestARepairThatIsCutOffWhileItSetsAside(t *testing.T) {
	t.Parallel()
	for deletions := range int64(3) {
		uri := projecttest.URI(t)
		c := newTwoCopies(t)
		db, err := project.Connect(t.Context(), uri)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Client().Disconnect(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		c.db = db
		backup := filepath.Join(t.TempDir(), "backup")
		c.backup(backup)
		// Each is a chunk of its own.
		c.archive(func() { c.move("a1", "a", "", 1) }, func() { c.move("b1", "b", "", 1) }, func() { c.move("a2", "a", "", 2) })
		c.putBack(backup)
		c.move("a1'", "a", "", 10) // the log goes on
		if err := c.interrupted(uri, deletions+1); !errors.Is(err, context.Canceled) {
			t.Fatalf("the first one: %v", err)
		}
		if err := archive.New(c.db).CheckHistory(t.Context(), c.log); !errors.Is(err, eventlog.ErrTruncated) {
			t.Errorf("after %d deletions the shop would start: %v", deletions+1, err)
		}
		c.repair(false)
		c.whole("a1'", "b1")
		if kept := c.aside(); !slices.Equal(kept, []string{"a1", "b1", "a2"}) {
			t.Errorf("aside: %v", kept)
		}
		c.archive(func() { c.move("a3", "a", "", 11) })
		c.whole("a1'", "b1", "a3")
	}
}
