//go:build unix

package process_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/events/log/logtest"
)

// brokerCluster is three nats-servers that replicate every stream. Clients reach each node through a proxy. Nodes reach each
// other through proxies too, one per direction, so that a test can isolate any node.
type brokerCluster struct {
	Nodes [3]*brokerNode
}

// brokerNode is one node of a cluster. It keeps its store and addresses when it is restarted.
type brokerNode struct {
	*proc.Process
	Name   string
	Client *logtest.Proxy // in front of the port for clients

	config string
	routes []*logtest.Proxy // to and from the other nodes
}

// nodeConfig configures a node as in production, except that it advertises an address on which nothing listens: with its
// real address, the other nodes would connect past the proxies.
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

// startBrokers starts a cluster with empty stores. It is killed when the test ends.
func startBrokers(t testing.TB) *brokerCluster {
	t.Helper()
	c, dir := &brokerCluster{}, t.TempDir()
	var clients, routes [3]string
	for i := range c.Nodes {
		clients[i], routes[i] = proc.MustFreeAddr(t), proc.MustFreeAddr(t)
		c.Nodes[i] = &brokerNode{Name: fmt.Sprintf("node-%d", i+1), Client: logtest.NewProxy(t, clients[i])}
	}
	for i, n := range c.Nodes {
		var to []string
		for j, other := range c.Nodes {
			if i == j {
				continue
			}
			route := logtest.NewProxy(t, routes[j])
			n.routes, other.routes = append(n.routes, route), append(other.routes, route)
			to = append(to, fmt.Sprintf("%q", "nats://"+route.Addr()))
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

// URL returns the addresses of all nodes.
func (c *brokerCluster) URL() string {
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, n.URL())
	}
	return strings.Join(urls, ",")
}

// Node returns the node with a name.
func (c *brokerCluster) Node(t testing.TB, name string) *brokerNode {
	t.Helper()
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	t.Fatalf("cluster has no node %q", name)
	return nil
}

// URL returns the node's address for clients.
func (n *brokerNode) URL() string { return "nats://" + n.Client.Addr() }

// Start starts or restarts the node.
func (n *brokerNode) Start(t testing.TB) {
	t.Helper()
	program := filepath.Join(proc.MustBuild(t, "github.com/nats-io/nats-server/v2"), "nats-server")
	n.Process = proc.MustStart(t, proc.Command{Name: n.Name, Path: program, Args: []string{"--config", n.config}})
}

// Retire puts the node into lame duck mode, as a deployment does: it hands over its leaderships, closes its connections and
// exits.
func (n *brokerNode) Retire(t testing.TB) {
	t.Helper()
	proc.Check(t, n.Signal(syscall.SIGUSR2))
	proc.Check(t, n.Wait(30*time.Second))
}

// Isolate holds back all packets between the node and the other nodes, and those of its clients too if clientsToo is set.
// Connections stay open.
func (n *brokerNode) Isolate(clientsToo bool) {
	for _, route := range n.routes {
		route.Hold()
	}
	if clientsToo {
		n.Client.Hold()
	}
}

// Rejoin ends the isolation.
func (n *brokerNode) Rejoin() {
	for _, route := range n.routes {
		route.Release()
	}
	n.Client.Release()
}
