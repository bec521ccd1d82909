//go:build unix

package embedded

import (
	"os"
	"syscall"
)

// lockFile takes the exclusive lock of an open file; the kernel drops it when the process dies, however it dies.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
