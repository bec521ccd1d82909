package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"

	"tillstream/cmd/internal/staff"
	"tillstream/cmd/internal/target"
	"tillstream/events/durable"
)

// errSecrets is returned when the secrets file beside existing data is missing or damaged. New secrets would end every guest's
// link, so they are generated only when asked for.
var errSecrets = errors.New("secrets are missing")

// secrets are generated at the first start and stored in the data directory, so that tokens and keys stay valid.
type secrets struct {
	TokenSecret          string `json:"token_secret"` // several, separated by commas, during a rotation: see auth.Config
	OpsKey               string `json:"ops_key"`      // the API key "local", for tools on this machine; earlier releases had an ops token
	NATSToken            string `json:"nats_token"`   // of the embedded broker; earlier releases had none
	StripeSecretKey      string `json:"stripe_secret_key"`
	StripePublishableKey string `json:"stripe_publishable_key"`
	StripeWebhookSecret  string `json:"stripe_webhook_secret"`
}

// complete reports whether a file has all secrets that every release has written.
func (s secrets) complete() bool {
	return s.TokenSecret != "" && s.StripeSecretKey != "" && s.StripePublishableKey != "" && s.StripeWebhookSecret != ""
}

// loadSecrets reads the secrets file, and creates it at the first start. It returns [errSecrets] when the file is missing or empty
// beside existing data, or damaged.
func loadSecrets(config Config, logger *slog.Logger) (secrets, error) {
	path := config.dir(target.SecretsFile)
	s, found, err := readSecrets(path, logger)
	switch {
	case err != nil:
		return secrets{}, err
	case found && s.NATSToken != "" && s.OpsKey != "":
		return s, nil
	case found:
		s.NATSToken, s.OpsKey = cmp.Or(s.NATSToken, rand.Text()), cmp.Or(s.OpsKey, staff.NewKey())
		return s, writeJSON(path, s)
	case hasData(config) && !config.NewSecrets:
		return secrets{}, fmt.Errorf("%w: %s is missing or empty, but %s has data of a shop. Put the file back from a backup (ops backup keeps it). "+
			"If it is lost, start once with --new-secrets: links to guests' orders in earlier e-mails will then no longer work", errSecrets, path, config.Data)
	}
	s = secrets{TokenSecret: rand.Text(), OpsKey: staff.NewKey(), NATSToken: rand.Text(), StripeSecretKey: "sk_test_tillstream_" + rand.Text(),
		StripePublishableKey: "pk_test_tillstream_" + rand.Text(), StripeWebhookSecret: "whsec_" + rand.Text()}
	return s, writeJSON(path, s)
}

// readSecrets reads a secrets file; found is false when it is missing or empty. A file that others could read is protected again.
func readSecrets(path string, logger *slog.Logger) (s secrets, found bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(bytes.TrimSpace(data)) == 0 {
		return secrets{}, false, nil
	}
	if err != nil {
		return secrets{}, false, fmt.Errorf("read secrets file: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil || !s.complete() {
		return secrets{}, false, fmt.Errorf("%w: %s is damaged or incomplete. Put it back from a backup (ops backup keeps it), "+
			"or move it away and see what the next start suggests", errSecrets, path)
	}
	return s, true, protect(path, logger)
}

// protect makes a file readable by its owner only. Windows has no such mode: there the directory's permissions count.
func protect(path string, logger *slog.Logger) error {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	logger.Warn("secrets file was readable by other users; they may have read it, so rotate the secrets", "file", path, "mode", info.Mode().Perm().String())
	return os.Chmod(path, 0o600)
}

// hasData reports whether a server has stored something in the data directory.
func hasData(config Config) bool {
	for _, name := range []string{"nats", "mongo", "stripe", "mail"} {
		entries, err := os.ReadDir(config.dir(name)) // a new volume may be mounted there, with an empty directory
		if err == nil && len(entries) > 0 {
			return true
		}
	}
	return false
}

// writeJSON replaces a file atomically and returns when it is on disk: after a power failure without the secrets, customers
// could not open their orders. Only the owner can read the file, because it contains tokens.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return durable.WriteFile(path, append(data, '\n'))
}
