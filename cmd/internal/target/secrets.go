package target

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tillstream/events/durable"
)

// SecretsFile is the file in the data directory of a shop in one process that contains its tokens and keys. Without it, links
// to guests' orders no longer work.
const SecretsFile = "secrets.json"

// Secrets returns the content of [SecretsFile]. It returns nil when no data directory is known: the processes of a shop in
// several processes get their secrets from the environment.
func (s Shop) Secrets() ([]byte, error) {
	if s.Data == "" {
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(s.Data, SecretsFile))
	if err != nil {
		return nil, fmt.Errorf("read the shop's secrets: %w; --data names the shop's data directory", err)
	}
	return data, nil
}

// KeepSecrets writes [SecretsFile] for the next shop that starts on the data directory. It returns [ErrOtherSecrets] when the
// file exists with another content, and [ErrUnknownAddress] when no directory is known.
func (s Shop) KeepSecrets(secrets []byte) error {
	if err := s.Require(s.Data, "data"); err != nil {
		return err
	}
	path := filepath.Join(s.Data, SecretsFile)
	switch existing, err := os.ReadFile(path); {
	case err == nil && bytes.Equal(existing, secrets):
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s; move it away to use those of the backup", ErrOtherSecrets, path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read the shop's secrets: %w", err)
	}
	return durable.WriteFile(path, secrets)
}
