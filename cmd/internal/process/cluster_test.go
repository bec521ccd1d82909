//go:build unix

package process_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	eventlog "tillstream/events/log"
)

// longestStall is the longest time without an order. It is far above the measured times: 4 to 9 s when a leader is killed,
// because nats-server waits that long before an election (minElectionTimeout and maxElectionTimeout in server/raft.go cannot be
// configured), and up to about a second when a leader shuts down. With a server that was built with election timeouts of 0.6
// to 1.2 s and a heartbeat of 0.2 s, orders stop for 0.7 to 0.8 s after a kill, so the shop adds nothing to the server's time.
// All of these times are longer on a busy machine.
const longestStall = 30 * time.Second

// Row 13 of the fault matrix: the leader of a stream is killed.
func TestALeaderIsKilled(t *testing.T) {
	t.Parallel()
	tr := startTraffic(t)
	for _, stream := range streamsToFail(t) {
		leader := tr.leader(t, stream)
		tr.duringFault(t, "the leader of "+stream+" was killed", func() { proc.Check(t, leader.Kill()) })
		leader.Start(t)
		tr.awaitReplicas(t)
	}
	tr.checkOrders(t)
}

// Rows 6, 7 and 13 of the fault matrix: the leader of a stream is cut off from the other brokers and from all clients. Each of
// the last appends that it received is stored or lost, and their answers are lost.
func TestALeaderIsCutOff(t *testing.T) {
	t.Parallel()
	tr := startTraffic(t)
	for _, stream := range streamsToFail(t) {
		leader := tr.leader(t, stream)
		tr.duringFault(t, "the leader of "+stream+" was cut off", func() { leader.Isolate(true) })
		leader.Rejoin()
		tr.awaitReplicas(t)
	}
	tr.checkOrders(t)
}

// Row 13 of the fault matrix: the leader of a stream is cut off from the other brokers, but not from its clients.
func TestALeaderIsCutOffWithItsClients(t *testing.T) {
	t.Parallel()
	tr := startTraffic(t)
	leader := tr.leader(t, events.StreamShop)
	tr.connectTo(t, leader)
	tr.duringFault(t, "the leader of SHOP was cut off with its clients", func() { leader.Isolate(false) })
	leader.Rejoin()
	tr.awaitReplicas(t)
	tr.checkOrders(t)
}

// Row 13 of the fault matrix, for readers: a broker that is cut off from the others lacks later orders, and must not report
// that they do not exist.
func TestIsolatedBrokerReturnsNoStaleReads(t *testing.T) {
	t.Parallel()
	tr := startTraffic(t)
	leader := tr.leader(t, events.StreamShop)
	follower := tr.follower(leader)
	tr.connectTo(t, leader)
	reader := tr.openLog(t, "reader")
	reconnect(t, reader, follower)
	follower.Isolate(false)
	tr.awaitOrders(t, 20)
	id := tr.newest()
	proc.WaitFor(t, "the newest order is read", time.Minute, func() bool {
		n, _, err := placed.Read(t.Context(), reader, id)
		if (n != 1 || err != nil) && !errors.Is(err, eventlog.ErrUnavailable) {
			t.Fatalf("newest order: got %d events, %v; want 1", n, err)
		}
		return err == nil
	})
	follower.Rejoin()
	tr.awaitReplicas(t)
	tr.checkOrders(t)
}

// Row 13 of the fault matrix, for a process that connects to a former leader: a leader that is cut off still acts as the leader
// for some seconds, with an older end of the log. The process must not report a truncated log.
func TestIsolatedLeaderIsNotTakenForATruncatedLog(t *testing.T) {
	t.Parallel()
	tr := startTraffic(t)
	leader := tr.leader(t, events.StreamShop)
	tr.connectTo(t, tr.follower(leader))
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() { watched <- tr.client.Monitor(ctx) }()
	leader.Isolate(false)
	tr.awaitOrders(t, 20)
	reconnect(t, tr.client, leader)
	tr.awaitOrders(t, 20) // the client reconnects to another broker
	leader.Rejoin()
	tr.awaitReplicas(t)
	cancel()
	if err := <-watched; err != nil {
		t.Error(err)
	}
	tr.checkOrders(t)
}

// Row 13 of the fault matrix: a rolling restart, in which each broker shuts down and starts again.
func TestBrokersAreRestartedOneByOne(t *testing.T) {
	t.Parallel()
	tr := startTraffic(t)
	for _, n := range tr.cluster.Nodes {
		tr.duringFault(t, n.Name+" was restarted", func() { n.Retire(t); n.Start(t); tr.awaitReplicas(t) })
	}
	tr.checkOrders(t)
}

// streamsToFail returns the streams whose leaders fail: only the log, or every stream with CLUSTER_STREAMS=all.
func streamsToFail(t *testing.T) []string {
	t.Helper()
	if os.Getenv("CLUSTER_STREAMS") != "all" {
		return []string{events.StreamShop}
	}
	return streams()
}

// streams returns the names of all streams, with those of the buckets.
func streams() (names []string) {
	for _, s := range eventlog.Streams(3) {
		names = append(names, s.Name)
	}
	for _, b := range eventlog.Buckets(3) {
		names = append(names, "KV_"+b.Bucket)
	}
	return names
}
