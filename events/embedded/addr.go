package embedded

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// tryAddr binds addr for a moment. Neither server hands back a usable error from its own bind (one prints and ends
// the process, the other flattens it to text), and both touch their files before they get to it.
func tryAddr(addr string) error {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("address %s is in use: %w", addr, errors.Join(ErrAddrInUse, err))
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	if err := l.Close(); err != nil {
		return fmt.Errorf("release %s: %w", addr, err)
	}
	return nil
}

// splitAddr takes "host:port" apart; port 0 stays 0.
func splitAddr(addr string) (string, int, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: %w", addr, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port of address %q: %w", addr, err)
	}
	return host, int(port), nil
}
