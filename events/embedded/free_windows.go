package embedded

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// FreeBytes returns the free space on the disk of a directory.
func FreeBytes(dir string) (free uint64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(path, &free, nil, nil)
	}
	if err != nil {
		return 0, fmt.Errorf("free space on the disk of %s: %w", dir, err)
	}
	return free, nil
}
