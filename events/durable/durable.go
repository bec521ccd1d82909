// Package durable replaces files atomically and locks them: after a crash or a power cut, a file has either its old or its new
// content, and the lock of a process that ended is released.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// temporary is the suffix of a file while it is being written.
const temporary = ".new"

// WriteFile replaces a file atomically and returns when the new content is on disk. Only the owner can read the file.
func WriteFile(path string, data []byte) error {
	err := write(path+temporary, data)
	if err == nil {
		err = os.Rename(path+temporary, path)
	}
	if err == nil {
		err = SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func write(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// SyncDir flushes the entries of a directory to disk: a synced file is lost when its directory entry is lost. On Windows it ignores
// the error, because directories cannot be synced and the file system keeps entries in order.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil && runtime.GOOS != "windows" {
		return errors.Join(err, dir.Close())
	}
	return dir.Close()
}

// How long Lock tries, and the time between two tries.
const (
	lockPatience = time.Second
	lockInterval = 20 * time.Millisecond
)

// Lock takes an exclusive lock on an open file, or returns an error after a second if another process has it. The system releases
// the lock when the file is closed or the process ends in any way, but not always at once: a child process has the lock for a
// moment between fork and exec.
func Lock(f *os.File) error {
	for began := time.Now(); ; <-time.After(lockInterval) {
		if err := tryLock(f); err == nil || time.Since(began) > lockPatience {
			return err
		}
	}
}
