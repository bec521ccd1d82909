package replay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// levels is the stock level of a SKU. Every event carries the whole state.
var levels = eventlog.Entity[events.StockLevel]{Prefix: events.PrefixStock, LastOnly: true,
	Apply: func(_ events.StockLevel, e events.Event) (events.StockLevel, error) {
		switch p := e.Payload.(type) {
		case events.StockAdjusted:
			return p.After, nil
		case events.StockHeld:
			return p.After, nil
		}
		return events.StockLevel{}, fmt.Errorf("unexpected event %s", e.Type)
	}}

// installation is a log on a store that can be replaced by an older copy, and a database with its archive.
type installation struct {
	t    *testing.T
	dir  string
	addr string
	db   *mongo.Database
	*shop
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	c := &installation{t: t, dir: filepath.Join(t.TempDir(), "store"), addr: "127.0.0.1:0", db: projecttest.Database(t)}
	c.start()
	c.addr = strings.TrimPrefix(c.server.URL(), "nats://")
	return c
}

// start starts the broker on the store, at the same address as before.
func (c *installation) start() {
	c.t.Helper()
	server, err := embedded.StartNATS(embedded.NATSConfig{Dir: c.dir, Addr: c.addr})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(server.Stop)
	c.shop = openShop(c.t, server)
}

// archive runs the lane of the archive until it has archived everything, and again after each of the functions.
func (c *installation) archive(each ...func()) {
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

// copyStore stops the broker, copies its store and starts it again. It returns the copy.
func (c *installation) copyStore() (store string) {
	c.t.Helper()
	store = filepath.Join(c.t.TempDir(), "store")
	c.server.Stop()
	if err := os.CopyFS(store, os.DirFS(c.dir)); err != nil {
		c.t.Fatal(err)
	}
	c.start()
	return store
}

// lose archives the events that a function appends, and then replaces the store by a copy from before. It returns the copy.
func (c *installation) lose(appends func()) (store string) {
	c.t.Helper()
	store = c.copyStore()
	appends()
	c.archive()
	c.replaceStore(store)
	return store
}

// replaceStore replaces the store by a copy.
func (c *installation) replaceStore(from string) {
	c.t.Helper()
	c.server.Stop()
	if err := errors.Join(os.RemoveAll(c.dir), os.CopyFS(c.dir, os.DirFS(from))); err != nil {
		c.t.Fatal(err)
	}
	c.start()
}

// adjust appends an event about a SKU.
func (c *installation) adjust(id, sku, cause string, available int64) {
	c.t.Helper()
	c.append(id, events.PrefixStock+sku, "", cause, events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: sku,
		After: events.StockLevel{OnHand: available, Available: available}}, Reason: "counted"})
}

// repair runs a repair, which must succeed.
func (c *installation) repair(dry bool) replay.RepairReport {
	c.t.Helper()
	report, err := replay.Repair{DB: c.db, DryRun: dry, Log: c.Reader}.Run(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return report
}

// checkCopies fails the test unless both copies contain exactly these events in this order.
func (c *installation) checkCopies(want ...string) {
	c.t.Helper()
	if r := c.repair(true); r.HasFindings() {
		c.t.Errorf("dry run: got %+v, want no findings", r)
	}
	var ids []string
	err := c.Each(c.t.Context(), replay.Range{}, func(m replay.Message) error {
		ids = append(ids, m.Header.Get(events.HeaderID))
		return nil
	})
	archived, err2 := archivedIn(c.t, archive.New(c.db))
	if err := errors.Join(err, err2); err != nil || !slices.Equal(ids, want) || !slices.Equal(archived, want) {
		c.t.Errorf("got log %v and archive %v, %v; want %v", ids, archived, err, want)
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

// lostIDs returns the ids of lost events.
func lostIDs(l replay.Loss) (ids []string) {
	for _, e := range l.First {
		ids = append(ids, e.EventID)
	}
	return ids
}

// archiveFour appends four events and archives them in one chunk each.
func (c *installation) archiveFour() {
	c.t.Helper()
	var appends []func()
	for _, sku := range []string{"A", "B", "C", "D"} {
		appends = append(appends, func() { c.adjust(strings.ToLower(sku)+"1", sku, "", 1) })
	}
	c.archive(appends...)
}

// saveCheckpoint writes the checkpoint of a lane.
func (c *installation) saveCheckpoint(lane string, position uint64, open ...replay.OpenAct) {
	c.t.Helper()
	checkpoint, err := c.log.LoadCheckpoint(c.t.Context(), lane)
	if err != nil {
		c.t.Fatal(err)
	}
	checkpoint.Position, checkpoint.Read = position, position
	if len(open) > 0 {
		if checkpoint.State, err = json.Marshal(open); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := c.log.SaveCheckpoint(c.t.Context(), &checkpoint); err != nil {
		c.t.Fatal(err)
	}
}

// progressEvery is the number of messages between two reports of progress.
const progressEvery = 1000

// publish appends that many messages that are not events.
func (s *shop) publish(subject string, n int) {
	s.t.Helper()
	for i := range n {
		if _, err := s.js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: fmt.Append(nil, i)}); err != nil {
			s.t.Fatal(err)
		}
	}
	<-s.js.PublishAsyncComplete()
}

// repairWith runs a repair and calls do once, when a stage first reports.
func (c *installation) repairWith(at string, dry bool, do func()) (replay.RepairReport, error) {
	c.t.Helper()
	done := false
	return replay.Repair{DB: c.db, DryRun: dry, Log: c.Reader, Progress: func(stage string, _, _ uint64) {
		if stage == at && !done {
			done = true
			do()
		}
	}}.Run(c.t.Context())
}

// interruptedRepair runs a repair that is cancelled after that many deletions in the database.
func (c *installation) interruptedRepair(uri string, deletions int64) error {
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

// asideIDs returns the ids of the events that repairs have set aside, in all collections.
func (c *installation) asideIDs() (kept []string) {
	c.t.Helper()
	collections, err := c.db.ListCollectionNames(c.t.Context(), bson.D{})
	if err != nil {
		c.t.Fatal(err)
	}
	slices.Sort(collections)
	for _, name := range collections {
		if !strings.HasPrefix(name, "archive_aside") {
			continue
		}
		ids, err := archivedIn(c.t, archive.NewInCollection(c.db.Collection(name)))
		kept = append(kept, ids...)
		if err != nil {
			c.t.Fatal(err)
		}
	}
	return kept
}
