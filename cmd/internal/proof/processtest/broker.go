package processtest

import (
	"net"
	"path/filepath"
	"testing"

	"tillstream/cmd/internal/proof/fleet"
)

// Broker is a nats-server process. It keeps its streams as one in production does: on disk before it acknowledges.
type Broker struct {
	*Child
	URL string // for clients

	command Command
	addr    string
}

// StartBroker starts a broker with an empty store that lasts as long as the test.
func StartBroker(t testing.TB) *Broker {
	t.Helper()
	addr := FreeAddr(t)
	command, err := fleet.BrokerCommand(Build(t, "github.com/nats-io/nats-server/v2"), filepath.Join(t.TempDir(), "broker"), addr)
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{URL: "nats://" + addr, addr: addr, command: Command{Name: command.Name, Path: command.Path, Args: command.Args}}
	b.Restart(t)
	return b
}

// Restart starts a broker again that was killed: on the same address, with the same store. It returns when the broker
// takes connections.
func (b *Broker) Restart(t testing.TB) {
	t.Helper()
	b.Child = Start(t, b.command)
	WaitFor(t, "the broker takes connections", starting, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.addr)
		return err == nil && conn.Close() == nil
	})
}
