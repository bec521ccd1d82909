//go:build !unix

package proc

import (
	"errors"
	"net"
)

// reserve claims a port among the callers in this process. Another process may still choose the same port.
func reserve(port int) (bool, error) {
	_, ours := reserved.LoadOrStore(port, true)
	return !ours, nil
}

// unused reports whether an address is free. It listens for a moment, because a refused connection takes seconds here.
func unused(addr string) (bool, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return false, nil //nolint:nilerr // taken
	}
	return true, listener.Close()
}

// Suspend returns [errors.ErrUnsupported]: only Unix has SIGSTOP.
func (p *Process) Suspend() error { return errors.ErrUnsupported }

// Resume returns [errors.ErrUnsupported].
func (p *Process) Resume() error { return errors.ErrUnsupported }
