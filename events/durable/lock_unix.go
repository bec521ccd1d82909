//go:build unix

package durable

import (
	"os"
	"syscall"
)

// Lock takes an exclusive lock on an open file, or returns an error at once if another process has it. The system releases the
// lock when the file is closed or the process ends in any way.
func Lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
