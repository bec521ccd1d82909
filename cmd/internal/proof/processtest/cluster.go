package processtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tillstream/events/log/logtest"
)

// Cluster is three nats-servers that keep every stream together. Clients reach each through a proxy, and so does each the
// others, one per direction: a test can cut off whichever it likes.
type Cluster struct {
	Nodes [3]*Node
}

// Node is one of them. It can be killed, stopped, cut off and started again, always on the same store and addresses.
type Node struct {
	*Child
	Name   string
	Client *logtest.Proxy // before the port of its clients

	config string
	wires  []*logtest.Proxy // to and from the others
}

// nodeConfig is a broker as in production. What a node tells of its own address is of no use: the others would go past
// the proxies.
const nodeConfig = `
server_name: %q
listen: %q
client_advertise: %q
max_payload: 1MB
jetstream {
  store_dir: %q
  sync_interval: always
}
lame_duck_grace_period: 1s
lame_duck_duration: 30s
cluster {
  name: test
  listen: %q
  advertise: "127.0.0.1:1"
  routes: [%s]
}
`

// StartCluster starts three brokers with empty stores that last as long as the test.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c, dir := &Cluster{}, t.TempDir()
	var clients, routes [3]string
	for i := range c.Nodes {
		clients[i], routes[i] = FreeAddr(t), FreeAddr(t)
		c.Nodes[i] = &Node{Name: fmt.Sprintf("node-%d", i+1), Client: logtest.NewProxy(t, clients[i])}
	}
	for i, n := range c.Nodes {
		var to []string
		for j, other := range c.Nodes {
			if i == j {
				continue
			}
			wire := logtest.NewProxy(t, routes[j])
			n.wires, other.wires = append(n.wires, wire), append(other.wires, wire)
			to = append(to, fmt.Sprintf("%q", "nats://"+wire.Addr()))
		}
		n.config = filepath.Join(dir, n.Name+".conf")
		text := fmt.Appendf(nil, nodeConfig, n.Name, clients[i], n.Client.Addr(), filepath.Join(dir, n.Name), routes[i], strings.Join(to, ", "))
		if err := os.WriteFile(n.config, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.Nodes {
		n.Start(t)
	}
	return c
}

// URL is what clients are told: all three addresses.
func (c *Cluster) URL() string {
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, n.URL())
	}
	return strings.Join(urls, ",")
}

// Node returns the one of a name.
func (c *Cluster) Node(t testing.TB, name string) *Node {
	t.Helper()
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	t.Fatalf("no node %q in the cluster", name)
	return nil
}

// URL is where its clients connect.
func (n *Node) URL() string { return "nats://" + n.Client.Addr() }

// Start starts the node, for the first time or again.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	program := filepath.Join(Build(t, "github.com/nats-io/nats-server/v2"), "nats-server")
	n.Child = Start(t, Command{Name: n.Name, Path: program, Args: []string{"--config", n.config}})
}

// Retire has the node hand over what it leads, send its clients away and end, as a deployment does.
func (n *Node) Retire(t testing.TB) {
	t.Helper()
	n.Signal(t, syscall.SIGUSR2)
	n.Stopped(t, 30*time.Second)
}

// Isolate cuts the node off from the others, and from its clients too if they are meant. Nothing is refused: there is
// silence.
func (n *Node) Isolate(clientsToo bool) {
	for _, wire := range n.wires {
		wire.Hold()
	}
	if clientsToo {
		n.Client.Hold()
	}
}

// Rejoin ends the isolation.
func (n *Node) Rejoin() {
	for _, wire := range n.wires {
		wire.Release()
	}
	n.Client.Release()
}
