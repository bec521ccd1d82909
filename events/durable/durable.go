// Package durable writes files that a crash or a power cut leaves either as they were or as they are to be, and never half
// written.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// unfinished is added to the name of a file while it is being written.
const unfinished = ".new"

// WriteFile replaces a file in one step and returns when that is on disk. Only the file's owner may read it.
func WriteFile(path string, data []byte) error {
	err := write(path+unfinished, data)
	if err == nil {
		err = os.Rename(path+unfinished, path)
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

// SyncDir makes the names in a directory last: a file that was synced is lost with its name. Windows cannot do this, and
// keeps names in order by itself.
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
