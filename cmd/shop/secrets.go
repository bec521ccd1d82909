package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tillstream/cmd/internal/target"
	"tillstream/events/durable"
)

// secrets are generated at the first start and stored in the data directory, so that tokens and keys stay valid.
type secrets struct {
	TokenSecret          string `json:"token_secret"`
	OpsToken             string `json:"ops_token"`
	StripeSecretKey      string `json:"stripe_secret_key"`
	StripePublishableKey string `json:"stripe_publishable_key"`
	StripeWebhookSecret  string `json:"stripe_webhook_secret"`
}

// loadSecrets reads the secrets file, and creates it at the first start.
func loadSecrets(dir string) (secrets, error) {
	path := filepath.Join(dir, target.SecretsFile)
	data, err := os.ReadFile(path)
	if err == nil {
		var s secrets
		if err := json.Unmarshal(data, &s); err != nil {
			return secrets{}, fmt.Errorf("decode %s: %w", path, err)
		}
		return s, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return secrets{}, fmt.Errorf("read secrets file: %w", err)
	}
	s := secrets{TokenSecret: rand.Text(), OpsToken: "ops_" + rand.Text(), StripeSecretKey: "sk_test_tillstream_" + rand.Text(),
		StripePublishableKey: "pk_test_tillstream_" + rand.Text(), StripeWebhookSecret: "whsec_" + rand.Text()}
	return s, writeJSON(path, s)
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
