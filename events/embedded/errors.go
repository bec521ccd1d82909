package embedded

import "errors"

var (
	// ErrAddrInUse is returned when another program already listens on the wanted address.
	ErrAddrInUse = errors.New("address is in use")

	// ErrDirInUse is returned when another server, in this process or another one, works in the wanted directory.
	ErrDirInUse = errors.New("directory is in use")

	// ErrNotReady is returned when a server did not come up in time.
	ErrNotReady = errors.New("server is not ready")
)
