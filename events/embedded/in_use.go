package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"tillstream/events/durable"
)

var (
	// ErrAddrInUse is returned when another program already listens on the address.
	ErrAddrInUse = errors.New("address is in use")

	// ErrDirInUse is returned when another server, in this process or another one, uses the directory.
	ErrDirInUse = errors.New("directory is in use")
)

// lockName is the file in a directory that its server locks.
const lockName = "in-use.lock"

// LockDir makes dir if it does not exist, and locks it until the returned file is closed. It returns ErrDirInUse when another
// server has locked it. Neither JetStream nor FerretDB detects a second server on its files, and two of them damage the files.
func LockDir(dir string) (*os.File, error) {
	if dir == "" {
		return nil, fmt.Errorf("lock directory: no directory given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory %s: %w", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock directory %s: %w", dir, err)
	}
	if err := durable.Lock(f); err != nil {
		closeErr := f.Close()
		return nil, fmt.Errorf("directory %s is in use by another server: %w", dir, errors.Join(ErrDirInUse, err, closeErr))
	}
	return f, nil
}

// checkAddr checks that addr is free by listening on it for a moment. The servers' own errors are not usable: one server
// prints the error and ends the process, the other returns only text, and both change their files before they listen.
func checkAddr(addr string) error {
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

// DialAddr returns the address at which a process on this machine reaches a listener. That of a listener on all addresses of the
// machine, such as 0.0.0.0:80, is not one to connect to.
func DialAddr(listener string) string {
	if host, port, err := net.SplitHostPort(listener); err == nil && isAny(host) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listener
}

// isAny reports whether a host means all addresses of the machine.
func isAny(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }

// splitAddr splits "host:port".
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
