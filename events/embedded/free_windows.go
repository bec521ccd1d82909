package embedded

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// FreeBytes is how much more may be written to the disk that a directory stands on.
func FreeBytes(dir string) (free uint64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(path, &free, nil, nil)
	}
	if err != nil {
		return 0, fmt.Errorf("look how full the disk of %s is: %w", dir, err)
	}
	return free, nil
}
