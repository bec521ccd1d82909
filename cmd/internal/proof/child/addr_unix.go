//go:build unix

package child

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

// reserve claims a port among all processes of this kind on the machine, for as long as this one lives: between being
// found free and being listened on, and while its server is down, a port looks free to everybody.
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
		return false, file.Close() // somebody else's
	}
	reserved.Store(port, file) // closing it would give the port back
	return true, nil
}

// nobodyAnswers asks by connecting. A listener of our own would tell more, but another goroutine that starts a process
// just then passes it on to the child, which keeps the port taken for a moment after it is closed.
func nobodyAnswers(addr string) (bool, error) {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", addr)
	if err == nil {
		return false, conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED), nil
}
