//go:build unix

package embedded

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FreeBytes returns the free space on the disk of a directory.
func FreeBytes(dir string) (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("free space on the disk of %s: %w", dir, err)
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize), nil //nolint:unconvert // signed on FreeBSD
}
