package fleet

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// brokerConfig configures the broker as in production: it syncs to disk before it acknowledges.
const brokerConfig = `
server_name: %q
listen: %q
max_payload: 1MB
jetstream {
  store_dir: %q
  sync_interval: always
}
`

// brokerCommand returns the command of a nats-server that listens on addr and keeps its store in dir.
func brokerCommand(programs, dir, addr string) (proc.Command, error) {
	config := filepath.Join(dir, "nats.conf")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return proc.Command{}, fmt.Errorf("make the broker's directory: %w", err)
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, brokerConfig, "tillstream", addr, filepath.Join(dir, "store")), 0o600); err != nil {
		return proc.Command{}, fmt.Errorf("configure the broker: %w", err)
	}
	return proc.Command{Name: "broker", Path: filepath.Join(programs, "nats-server"), Args: []string{"--config", config}}, nil
}

// StartBroker starts a broker with an empty store for a test, waits until it accepts connections, and returns its URL. The
// broker is killed when the test ends.
func StartBroker(t testing.TB) (url string) {
	t.Helper()
	addr := proc.MustFreeAddr(t)
	command, err := brokerCommand(proc.MustBuild(t, brokerPackage), filepath.Join(t.TempDir(), "broker"), addr)
	if err != nil {
		t.Fatal(err)
	}
	proc.MustStart(t, command)
	proc.WaitFor(t, "the broker accepts connections", time.Minute, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		return err == nil && conn.Close() == nil
	})
	return "nats://" + addr
}
