package processtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Broker is an nats-server process. It keeps its streams as one in production does: on disk before it acknowledges.
type Broker struct {
	*Child
	URL string // for clients
}

// brokerConfig has the server choose a port and tell it in a file.
const brokerConfig = `
server_name: test
listen: "127.0.0.1:-1"
ports_file_dir: %q
max_payload: 1MB
jetstream {
  store_dir: %q
  sync_interval: always
}
`

// StartBroker starts a broker with an empty store that lasts as long as the test.
func StartBroker(t testing.TB) *Broker {
	t.Helper()
	program := filepath.Join(Build(t, "github.com/nats-io/nats-server/v2"), "nats-server")
	dir := t.TempDir()
	config := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, brokerConfig, dir, filepath.Join(dir, "store")), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &Broker{Child: Start(t, Command{Name: "broker", Path: program, Args: []string{"--config", config}})}
	WaitFor(t, "the broker says its port", starting, func() bool {
		b.URL = portIn(t, dir)
		return b.URL != ""
	})
	return b
}

// portIn reads the server's ports file; "" while it is not there or only half written.
func portIn(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.ports"))
	if err != nil {
		t.Fatal(err)
	}
	var ports struct {
		Nats []string `json:"nats"`
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && json.Unmarshal(data, &ports) == nil && len(ports.Nats) > 0 {
			return ports.Nats[0]
		}
	}
	return ""
}
