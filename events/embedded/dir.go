package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// lockName is the file whose lock says that a directory has its server.
const lockName = "in-use.lock"

// LockDir makes dir if need be and locks it until the returned file is closed. It returns ErrDirInUse when somebody
// else has it. Neither JetStream nor FerretDB notices a second server on its files, and two of them ruin what both write.
func LockDir(dir string) (*os.File, error) {
	if dir == "" {
		return nil, fmt.Errorf("claim directory: no directory given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory %s: %w", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("claim directory %s: %w", dir, err)
	}
	if err := lockFile(f); err != nil {
		closeErr := f.Close()
		return nil, fmt.Errorf("directory %s is in use by another server: %w", dir, errors.Join(ErrDirInUse, err, closeErr))
	}
	return f, nil
}
