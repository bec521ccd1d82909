package child

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
)

// ErrNoAddress is returned when every port that was tried is taken.
var ErrNoAddress = errors.New("no free address")

// reserved are the ports that this process has handed out: a server that is down does not show.
var reserved sync.Map

// FreeAddr finds an address for a server that will be killed and started again on it. It stays below the ports that
// the system gives to outgoing connections: one of those, dialled while the server is away, can be given to the very
// connection that dials, which then talks to itself and keeps the server out.
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
		if free, err = nobodyAnswers(addr); err != nil {
			return "", err
		}
		if free {
			return addr, nil
		}
	}
	return "", fmt.Errorf("%w in %d tries", ErrNoAddress, tries)
}
