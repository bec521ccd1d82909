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

// SecretsFile is the file in the data directory of a shop in one process that holds its tokens and keys. Without it guests
// cannot open their orders.
const SecretsFile = "secrets.json"

// Secrets returns the secrets of a shop in one process as they stand in its data directory; nil when no directory is known:
// the secrets of a shop in many processes come from their environment.
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

// KeepSecrets writes secrets into the data directory, for the shop that starts there next. It returns [ErrOtherSecrets] when
// there are others already, and [ErrUnknownAddress] when no directory is known.
func (s Shop) KeepSecrets(secrets []byte) error {
	if err := s.Require(s.Data, "data"); err != nil {
		return err
	}
	path := filepath.Join(s.Data, SecretsFile)
	switch there, err := os.ReadFile(path); {
	case err == nil && bytes.Equal(there, secrets):
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s; move it away to take those of the backup", ErrOtherSecrets, path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look for secrets: %w", err)
	}
	return durable.WriteFile(path, secrets)
}
