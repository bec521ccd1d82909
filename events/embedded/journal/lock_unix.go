//go:build unix

package journal

import (
	"os"
	"syscall"
)

// lockFile takes the exclusive lock of an open file, which ends with the process.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
