//go:build unix

package durable

import (
	"os"
	"syscall"
)

// tryLock takes an exclusive lock on an open file, or returns an error at once if another process has it.
func tryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
