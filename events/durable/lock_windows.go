package durable

import (
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes an exclusive lock on an open file, or returns an error at once if another process has it.
func tryLock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
}
