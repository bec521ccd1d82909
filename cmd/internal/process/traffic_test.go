//go:build unix

package process_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// placed and marked stand for an order and its reservation, which are entities of two domains. The worker appends one event of
// marked, a mark, for each placed order.
var (
	placed = counted(events.PrefixOrder)
	marked = counted(events.PrefixReservation)
)

// traffic is buyers who place orders, and two replicas of a worker that handle them, on a cluster of three brokers. The buyers
// share one connection, and each replica has its own.
type traffic struct {
	cluster *brokerCluster
	client  *eventlog.Log // places the orders
	stop    context.CancelFunc
	buyers  sync.WaitGroup

	mu           sync.Mutex
	acknowledged []string
	last         time.Time     // when the last order was acknowledged
	stall        time.Duration // longest time without an order
	refusals     int
	faults       []fault
}

// fault is a failure that the test caused.
type fault struct {
	name string
	at   time.Time
}

// Each buyer places one order after another, with a pause.
const (
	buyerCount   = 4
	pauseBetween = 10 * time.Millisecond
)

// startTraffic starts a cluster, the worker and the buyers, and returns when orders are placed.
func startTraffic(t *testing.T) *traffic {
	t.Helper()
	tr := &traffic{cluster: startBrokers(t)}
	tr.client = tr.openLog(t, "client")
	for _, name := range []string{"first", "second"} {
		tr.runWorker(t, tr.openLog(t, name))
	}
	ctx, cancel := context.WithCancel(t.Context())
	tr.stop = cancel
	for i := range buyerCount {
		tr.buyers.Go(func() { tr.placeOrders(ctx, t, i) })
	}
	t.Cleanup(func() { cancel(); tr.buyers.Wait() })
	tr.awaitOrders(t, 50)
	return tr
}

// openLog opens the log as a process of the shop does.
func (tr *traffic) openLog(t *testing.T, name string) *eventlog.Log {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})).With("process", name)
	conn, err := process.Connect(t.Context(), tr.cluster.URL(), name, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	t.Logf("%s is connected to %s", name, conn.ConnectedServerName())
	l, err := eventlog.Open(t.Context(), conn, eventlog.Config{Source: name, Logger: logger, Owns: []string{""}, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// runWorker runs a worker that marks each order once.
func (tr *traffic) runWorker(t *testing.T, l *eventlog.Log) {
	t.Helper()
	mark := func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error {
		if n, err := marked.Load(tx, p.OrderID); err != nil || n > 0 {
			return err
		}
		return marked.Append(tx, p.OrderID, events.ReservationReleased{OrderID: p.OrderID})
	}
	w, err := worker.New(t.Context(), l, worker.Config{Domains: []worker.Domain{{Name: "inventory", Log: l, Routes: []worker.Route{worker.On(mark)}}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("worker: %v", err)
		}
	})
}

// placeOrders places orders until ctx ends. The decision does not check whether the order exists, so an append that the log
// stores but repeats as if it were lost is stored twice. A refused order may or may not be stored, and is not placed again.
func (tr *traffic) placeOrders(ctx context.Context, t *testing.T, buyer int) {
	ticker := time.NewTicker(pauseBetween)
	defer ticker.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		<-ticker.C
		id := fmt.Sprintf("buyer-%d-%d", buyer, n)
		err := tr.client.Do(context.WithoutCancel(ctx), func(tx *eventlog.Tx) error {
			if _, err := placed.LoadNew(tx, id); err != nil {
				return err
			}
			return placed.Append(tx, id, events.OrderPlaced{OrderID: id})
		})
		if err != nil && !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("place %s: %v", id, err)
		}
		tr.record(id, err)
	}
}

// record records the outcome of placing an order.
func (tr *traffic) record(id string, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if err != nil {
		tr.refusals++
		return
	}
	now := time.Now()
	tr.stall, tr.last = max(tr.stall, now.Sub(tr.last)), now
	tr.acknowledged = append(tr.acknowledged, id)
}

// orderCount returns the number of acknowledged orders.
func (tr *traffic) orderCount() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.acknowledged)
}

// awaitOrders waits until n more orders are acknowledged.
func (tr *traffic) awaitOrders(t *testing.T, n int) {
	t.Helper()
	want := tr.orderCount() + n
	proc.WaitFor(t, fmt.Sprintf("%d more orders are acknowledged", n), time.Minute, func() bool { return tr.orderCount() >= want })
}

// leader returns the node that leads a stream.
func (tr *traffic) leader(t *testing.T, stream string) *brokerNode {
	t.Helper()
	var name string
	proc.WaitFor(t, stream+" has a leader", time.Minute, func() bool {
		s, err := tr.client.JetStream().Stream(t.Context(), stream)
		if err != nil {
			return false
		}
		name = s.CachedInfo().Cluster.Leader
		return name != ""
	})
	return tr.cluster.Node(t, name)
}

// follower returns a node other than the leader.
func (tr *traffic) follower(leader *brokerNode) *brokerNode {
	if tr.cluster.Nodes[0] == leader {
		return tr.cluster.Nodes[1]
	}
	return tr.cluster.Nodes[0]
}

// resetStall returns the longest time without an order and the number of refusals since the last call.
func (tr *traffic) resetStall() (stall time.Duration, refusals int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	stall, refusals = tr.stall, tr.refusals
	tr.last, tr.stall, tr.refusals = time.Now(), 0, 0
	return stall, refusals
}

// connectTo moves the buyers' connection to a node.
func (tr *traffic) connectTo(t *testing.T, n *brokerNode) {
	t.Helper()
	reconnect(t, tr.client, n)
	tr.awaitOrders(t, 10)
}

// reconnect moves a log's connection to a node.
func reconnect(t *testing.T, l *eventlog.Log, n *brokerNode) {
	t.Helper()
	conn := l.JetStream().Conn()
	proc.WaitFor(t, "the log is connected to "+n.Name, time.Minute, func() bool {
		if !conn.IsConnected() || conn.ConnectedServerName() == n.Name {
			return conn.IsConnected()
		}
		if err := conn.ForceReconnect(); err != nil {
			t.Error(err)
		}
		return false
	})
}

// newest returns the id of the order that was acknowledged last.
func (tr *traffic) newest() (id string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.acknowledged[len(tr.acknowledged)-1]
}

// awaitReplicas waits until all copies of all streams are current.
func (tr *traffic) awaitReplicas(t *testing.T) {
	t.Helper()
	for _, stream := range streams() {
		proc.WaitFor(t, "all copies of "+stream+" are current", time.Minute, func() bool {
			s, err := tr.client.JetStream().Stream(t.Context(), stream)
			if err != nil || s.CachedInfo().Cluster.Leader == "" || len(s.CachedInfo().Cluster.Replicas) != 2 {
				return false
			}
			for _, r := range s.CachedInfo().Cluster.Replicas {
				if !r.Current || r.Offline {
					return false
				}
			}
			return true
		})
	}
}

// duringFault injects a fault, waits for more orders, and fails the test if there was none for too long.
func (tr *traffic) duringFault(t *testing.T, name string, inject func()) {
	t.Helper()
	tr.resetStall()
	began := time.Now()
	inject()
	tr.awaitOrders(t, 100)
	stall, refusals := tr.resetStall()
	t.Logf("%s: %s without an order, %d refused", name, stall.Round(time.Millisecond), refusals)
	if stall > longestStall {
		t.Errorf("%s: got no order for %s, want at most %s", name, stall, longestStall)
	}
	tr.faults = append(tr.faults, fault{name, began})
}
