package proc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
)

// ErrNoAddress is returned when every port that was tried is taken.
var ErrNoAddress = errors.New("no free address")

// reserved holds the ports that this process has handed out. The server of such a port may be down, so that dialling the
// port does not show that it is taken.
var reserved sync.Map

// FreeAddr returns an address for a server that is killed and restarted on it. The port lies below the range from which
// the system takes ports for outgoing connections. A port of that range could be given to a client that dials while the
// server is down: the client would connect to itself and keep the server from listening.
func FreeAddr() (string, error) {
	const from, ports, tries = 20_000, 10_000, 100
	for range tries {
		port := from + rand.IntN(ports)
		if _, ours := reserved.Load(port); ours {
			continue
		}
		free, err := reserve(port)
		if err != nil {
			return "", err
		}
		if !free {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if free, err = unused(addr); err != nil {
			return "", err
		}
		if free {
			return addr, nil
		}
	}
	return "", fmt.Errorf("%w in %d tries", ErrNoAddress, tries)
}
