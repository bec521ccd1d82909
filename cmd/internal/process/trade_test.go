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

// placed and marked are like an order and its reservation: entities of two domains, the second decided from the first.
var (
	placed = noted(events.PrefixOrder)
	marked = noted(events.PrefixReservation)
)

// trade is shoppers and two replicas of a worker on a cluster of three, each with a connection of its own.
type trade struct {
	cluster *brokerCluster
	counter *eventlog.Log // takes the orders
	stop    context.CancelFunc
	buyers  sync.WaitGroup

	mu       sync.Mutex
	promised []string
	last     time.Time     // of the last order
	stall    time.Duration // longest time without an order
	refusals int
	faults   []fault
}

// fault is a failure that the test caused.
type fault struct {
	what string
	at   time.Time
}

// buyersAtATime buyers each place one order after the other, with a pause. The number of orders does not matter here.
const (
	buyersAtATime = 4
	pauseBetween  = 10 * time.Millisecond
)

func startTrade(t *testing.T) *trade {
	t.Helper()
	tr := &trade{cluster: startBrokers(t)}
	tr.counter = tr.join(t, "counter")
	for _, name := range []string{"first", "second"} {
		tr.work(t, tr.join(t, name))
	}
	ctx, cancel := context.WithCancel(t.Context())
	tr.stop = cancel
	for i := range buyersAtATime {
		tr.buyers.Go(func() { tr.buy(ctx, t, i) })
	}
	t.Cleanup(func() { cancel(); tr.buyers.Wait() })
	tr.sells(t, 50)
	return tr
}

// join opens the log as a process of the shop does.
func (tr *trade) join(t *testing.T, name string) *eventlog.Log {
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

// work runs a worker that marks each order once.
func (tr *trade) work(t *testing.T, l *eventlog.Log) {
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

// buy places orders until ctx ends. The decision does not check whether the order exists, so an append that was stored but taken
// for lost would be stored twice. A refused order may be stored or not, and is not placed again.
func (tr *trade) buy(ctx context.Context, t *testing.T, buyer int) {
	pace := time.NewTicker(pauseBetween)
	defer pace.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		<-pace.C
		id := fmt.Sprintf("buyer-%d-%d", buyer, n)
		err := tr.counter.Do(context.WithoutCancel(ctx), func(tx *eventlog.Tx) error {
			if _, err := placed.LoadNew(tx, id); err != nil {
				return err
			}
			return placed.Append(tx, id, events.OrderPlaced{OrderID: id})
		})
		if err != nil && !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("place %s: %v", id, err)
		}
		tr.note(id, err)
	}
}

func (tr *trade) note(id string, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if err != nil {
		tr.refusals++
		return
	}
	now := time.Now()
	tr.stall, tr.last = max(tr.stall, now.Sub(tr.last)), now
	tr.promised = append(tr.promised, id)
}

func (tr *trade) sold() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.promised)
}

// sells waits until n more orders are placed.
func (tr *trade) sells(t *testing.T, n int) {
	t.Helper()
	enough := tr.sold() + n
	proc.WaitFor(t, fmt.Sprintf("%d more orders are taken", n), time.Minute, func() bool { return tr.sold() >= enough })
}

// leader is the node that leads a stream.
func (tr *trade) leader(t *testing.T, stream string) *brokerNode {
	t.Helper()
	var name string
	proc.WaitFor(t, stream+" has a leader", time.Minute, func() bool {
		s, err := tr.counter.JetStream().Stream(t.Context(), stream)
		if err != nil {
			return false
		}
		name = s.CachedInfo().Cluster.Leader
		return name != ""
	})
	return tr.cluster.Node(t, name)
}

// follower is a node that does not lead where another does.
func (tr *trade) follower(leader *brokerNode) *brokerNode {
	if tr.cluster.Nodes[0] == leader {
		return tr.cluster.Nodes[1]
	}
	return tr.cluster.Nodes[0]
}

// stalled returns the longest time without an order and the number of refusals since the last call.
func (tr *trade) stalled() (stall time.Duration, refusals int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	stall, refusals = tr.stall, tr.refusals
	tr.last, tr.stall, tr.refusals = time.Now(), 0, 0
	return stall, refusals
}

// moveTo takes the connection of those who place orders to a node.
func (tr *trade) moveTo(t *testing.T, n *brokerNode) {
	t.Helper()
	connect(t, tr.counter, n)
	tr.sells(t, 10)
}

// connect takes a log's connection to a node.
func connect(t *testing.T, l *eventlog.Log, n *brokerNode) {
	t.Helper()
	conn := l.JetStream().Conn()
	proc.WaitFor(t, "connected to "+n.Name, time.Minute, func() bool {
		if !conn.IsConnected() || conn.ConnectedServerName() == n.Name {
			return conn.IsConnected()
		}
		if err := conn.ForceReconnect(); err != nil {
			t.Error(err)
		}
		return false
	})
}

// newest returns the id of the order that was placed last.
func (tr *trade) newest() (id string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.promised[len(tr.promised)-1]
}

// whole waits until all copies of all streams are current.
func (tr *trade) whole(t *testing.T) {
	t.Helper()
	for _, stream := range streams() {
		proc.WaitFor(t, "all copies of "+stream+" are current", time.Minute, func() bool {
			s, err := tr.counter.JetStream().Stream(t.Context(), stream)
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

// during runs happen, waits for more orders, and fails if there was none for too long.
func (tr *trade) during(t *testing.T, what string, happen func()) {
	t.Helper()
	tr.stalled()
	began := time.Now()
	happen()
	tr.sells(t, 100)
	stall, refusals := tr.stalled()
	t.Logf("%s: %s without an order, %d refused", what, stall.Round(time.Millisecond), refusals)
	if stall > longestStall {
		t.Errorf("%s: no order for %s, want %s at most", what, stall, longestStall)
	}
	tr.faults = append(tr.faults, fault{what, began})
}
