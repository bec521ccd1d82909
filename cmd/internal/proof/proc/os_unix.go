//go:build unix

package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// reserve claims a port among all processes on the machine that use this package, for as long as this process lives.
// Until its server listens, and while its server is down, the port looks free to every other process.
func reserve(port int) (bool, error) {
	dir := filepath.Join(os.TempDir(), "tillstream-ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, fmt.Errorf("reserve port %d: %w", port, err)
	}
	file, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, fmt.Errorf("reserve port %d: %w", port, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return false, file.Close() // reserved by another process
	}
	reserved.Store(port, file) // closing the file would release the port
	return true, nil
}

// unused reports whether an address refuses connections. Listening would be a stronger test, but a process that another
// goroutine starts at that moment inherits the listener and keeps the port taken for a moment after it is closed here.
func unused(addr string) (bool, error) {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", addr)
	if err == nil {
		return false, conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED), nil
}

// Suspend stops the process with SIGSTOP until Resume. Its connections stay open.
func (p *Process) Suspend() error { return p.Signal(syscall.SIGSTOP) }

// Resume continues a suspended process with SIGCONT.
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }
