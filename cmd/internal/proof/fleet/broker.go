package fleet

import (
	"fmt"
	"os"
	"path/filepath"

	"tillstream/cmd/internal/proof/child"
)

// brokerConfig keeps streams as a broker in production does: on disk before it acknowledges.
const brokerConfig = `
server_name: %q
listen: %q
max_payload: 1MB
jetstream {
  store_dir: %q
  sync_interval: always
}
`

// BrokerCommand is a nats-server on an address, with its store in a directory. Started again it is the same broker.
func BrokerCommand(programs, dir, addr string) (child.Command, error) {
	config := filepath.Join(dir, "nats.conf")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return child.Command{}, fmt.Errorf("make the broker's directory: %w", err)
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, brokerConfig, "tillstream", addr, filepath.Join(dir, "store")), 0o600); err != nil {
		return child.Command{}, fmt.Errorf("configure the broker: %w", err)
	}
	return child.Command{Name: "broker", Path: filepath.Join(programs, "nats-server"), Args: []string{"--config", config}}, nil
}
