//go:build unix

package embedded

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FreeBytes is how much more may be written to the disk that a directory stands on.
func FreeBytes(dir string) (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("look how full the disk of %s is: %w", dir, err)
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize), nil //nolint:unconvert // signed on FreeBSD
}
