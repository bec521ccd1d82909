package replay_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
)

// Row 12 of the fault matrix: a process that keeps running detects that the log has lost its end.
func TestRunningProcessDetectsTruncatedLog(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	store := c.copyStore()
	running := c.log
	monitor := make(chan error, 1)
	go func() { monitor <- running.Monitor(t.Context()) }()
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
	c.start() // the same store is not an error
	await(t, func() bool { return add() == nil })
	c.replaceStore(store)
	select {
	case err := <-monitor:
		if !errors.Is(err, eventlog.ErrTruncated) {
			t.Errorf("monitor: got %v, want %v", err, eventlog.ErrTruncated)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("monitor: got no error")
	}
}

// Row 12 of the fault matrix: concurrent repairs restore each event once, whether the log has diverged or not. The slower one returns an
// error.
func TestConcurrentRepairs(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	store := c.copyStore()
	c.adjust("a1", "A", "", 1)
	c.adjust("b1", "B", "", 1)
	c.archive()
	for _, want := range []string{"a1 b1", "a1' b1"} {
		c.replaceStore(store)
		if strings.HasPrefix(want, "a1'") {
			c.adjust("a1'", "A", "", 2)
		}
		if _, err := c.repairWith("restore log", false, func() { c.repair(false) }); !errors.Is(err, replay.ErrConcurrentAppend) {
			t.Errorf("slower repair: got %v, want %v", err, replay.ErrConcurrentAppend)
		}
		c.checkCopies(strings.Fields(want)...)
	}
}

// Row 12 of the fault matrix: events that are appended and archived during the comparison are not reported as lost.
func TestRepairWhileShopSells(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.publish(events.PrefixStock+"A", progressEvery)
	c.archive()
	report, err := c.repairWith("log", true, func() {
		c.adjust("new", "A", "", 1)
		c.archive()
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.HasFindings() || report.Archived != progressEvery+1 {
		t.Errorf("dry run: got %+v, want no findings", report)
	}
}

// A repair does not write to the log while a process runs, because that process has older state in memory.
func TestRepairOfLogRefusesRunningProcess(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.lose(func() {
		c.adjust("1", "A", "", 1)
	})
	_, stop := c.watcher(nil)
	await(t, func() bool { return c.lane("watcher").Holder != "" })
	_, err := replay.Repair{DB: c.db, Log: c.Reader}.Run(t.Context())
	if last, err2 := c.Last(t.Context()); !errors.Is(err, replay.ErrRunning) || last != 0 || err2 != nil {
		t.Errorf("repair: got %v with the log at %d, %v; want %v and 0", err, last, err2, replay.ErrRunning)
	}
	stop()
	await(t, func() bool { return c.lane("watcher").Holder == "" })
	if _, ok, err := c.log.Acquire(t.Context(), "orders", "a process that was killed"); err != nil || !ok {
		t.Fatalf("acquire: got %v, %v; want true", ok, err)
	}
	c.repair(false)
	c.checkCopies("1")
}

// lossyDialer opens connections that lose the appends of a repair, and calls lost.
type lossyDialer struct{ lost func() }

func (d lossyDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	return &lossyConn{conn, d.lost}, err
}

type lossyConn struct {
	net.Conn
	lost func()
}

func (c *lossyConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(jetstream.ExpectedLastSeqHeader)) {
		c.lost()
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// Ctrl-C ends a repair whose broker does not reply, and the next repair completes it.
func TestRepairEndsWhenBrokerDoesNotReply(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.lose(func() {
		c.adjust("1", "A", "", 1)
		c.adjust("2", "A", "", 2)
	})
	ctx, interrupt := context.WithCancel(t.Context())
	conn, err := nats.Connect(c.server.URL(), nats.SetCustomDialer(lossyDialer{interrupt}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader, err := replay.Open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := replay.Repair{DB: c.db, Log: reader}.Run(ctx)
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("repair: got %v, want %v", err, context.Canceled)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("repair: still running after 20 s")
	}
	c.repair(false)
	c.checkCopies("1", "2")
}

// Row 12 of the fault matrix: a repair is interrupted while it sets superseded events aside. The shop does not start on half of an
// archive, and the next repair completes what the first one began.
func TestInterruptedSetAsideIsCompletedByNextRepair(t *testing.T) {
	t.Parallel()
	for deletions := range int64(3) {
		uri := projecttest.URI(t)
		c := newInstallation(t)
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
		c.lose(func() {
			// One chunk each.
			c.archive(func() { c.adjust("a1", "a", "", 1) }, func() { c.adjust("b1", "b", "", 1) }, func() { c.adjust("a2", "a", "", 2) })
		})
		c.adjust("a1'", "a", "", 10) // the log diverges
		if err := c.interruptedRepair(uri, deletions+1); !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted repair: got %v, want %v", err, context.Canceled)
		}
		if err := archive.New(c.db).CheckHistory(t.Context(), c.log); !errors.Is(err, eventlog.ErrTruncated) {
			t.Errorf("check history after %d deletions: got %v, want %v", deletions+1, err, eventlog.ErrTruncated)
		}
		c.repair(false)
		c.checkCopies("a1'", "b1")
		if got, want := c.asideIDs(), []string{"a1", "b1", "a2"}; !slices.Equal(got, want) {
			t.Errorf("set aside: got %v, want %v", got, want)
		}
		c.archive(func() { c.adjust("a3", "a", "", 11) })
		c.checkCopies("a1'", "b1", "a3")
	}
}
