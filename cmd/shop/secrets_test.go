package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
)

// Row 78 of the fault matrix: the secrets file is lost or damaged beside the data of a shop. New secrets would end every guest's
// link, so the shop does not start, says what to do and changes nothing.
func TestLostSecretsAreNotReplaced(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	ts := openShop(t, config)
	ts.list(t, "MUG", 1250, 10)
	mine := ts.buy(t, cart("mia", line{"MUG", 1}))
	ts.close(t)
	path := config.dir("secrets.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"Missing": nil, "Empty": {}, "Blank": []byte(" \n"), "HalfWritten": whole[:len(whole)/2],
		"Incomplete": []byte(`{"ops_key": "ops_0123456789ABCDEFGH"}`), "NoJSON": bytes.Repeat([]byte{0}, len(whole))} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if content != nil {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := refused(t, config)
		if !errors.Is(err, errSecrets) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "backup") {
			t.Errorf("%s: Run() = %v, want errSecrets with the file and the remedy", name, err)
		}
		if got, err := os.ReadFile(path); content != nil && !bytes.Equal(got, content) {
			t.Errorf("%s: the file was changed to %q (%v)", name, got, err)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ts = openShop(t, config)
	ts.read(t, mine) // with the link from before
	ts.close(t)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	config.NewSecrets = true
	ts = openShop(t, config)
	ts.get(t, "/api/orders/"+mine.ID, mine.AccessToken).into(t, http.StatusNotFound, new(any))
	ts.buy(t, cart("noa", line{"MUG", 1}))
}

// Row 78 of the fault matrix: a file that others could read is protected, and the operator is told.
func TestReadableSecretsAreProtected(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	openShop(t, config).close(t)
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604} {
		if err := os.Chmod(config.dir("secrets.json"), mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		if _, err := loadSecrets(config, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(config.dir("secrets.json"))
		if err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(log.String(), "rotate") {
			t.Errorf("mode %s became %s (%v), logged %q; want 0600 and a warning", mode, info.Mode(), err, log.String())
		}
	}
}

// Row 78 of the fault matrix: secrets are rotated; links from before still work. The key of the tools on the machine is replaced; the one from before no longer works.
func TestSecretsAreRotated(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	ts := openShop(t, config)
	ts.list(t, "MUG", 1250, 10)
	mine, oldKey := ts.place(t, cart("mia", line{"MUG", 1})), ts.OpsKey
	ts.close(t)

	var kept secrets
	readFile(t, config.dir("secrets.json"), &kept)
	kept.TokenSecret, kept.OpsKey = "a new secret of order tokens,"+kept.TokenSecret, "tsk_NEW0123456789ABCDEFGH"
	if err := writeJSON(config.dir("secrets.json"), kept); err != nil {
		t.Fatal(err)
	}
	ts = openShop(t, config)
	ts.read(t, mine)
	theirs := ts.place(t, cart("theo", line{"MUG", 1}))
	if id, _, _ := strings.Cut(mine.AccessToken, "."); strings.HasPrefix(theirs.AccessToken, id) || ts.OpsKey != "tsk_NEW0123456789ABCDEFGH" {
		t.Errorf("token %s of a new order and API key %s, want them made with the new secrets", theirs.AccessToken, ts.OpsKey)
	}
	for key, want := range map[string]int{oldKey: http.StatusUnauthorized, ts.OpsKey: http.StatusOK} {
		ts.get(t, "/ops/api/stock/MUG", key).into(t, want, new(any))
	}
}

// A data directory of an earlier release has no token of the broker and no API key. It gets both, and keeps its other secrets.
func TestEarlierSecretsAreCompleted(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	openShop(t, config).close(t)
	var kept, now secrets
	readFile(t, config.dir("secrets.json"), &kept)
	earlier := kept
	earlier.NATSToken, earlier.OpsKey = "", ""
	if err := writeJSON(config.dir("secrets.json"), earlier); err != nil {
		t.Fatal(err)
	}
	openShop(t, config).close(t)
	readFile(t, config.dir("secrets.json"), &now)
	if now.NATSToken == "" || now.NATSToken == kept.NATSToken || now.OpsKey == "" || now.OpsKey == kept.OpsKey {
		t.Error("the secrets have no new token of the broker, or no new API key")
	}
	now.NATSToken, now.OpsKey = kept.NATSToken, kept.OpsKey
	if now != kept {
		t.Error("other secrets were changed")
	}
}

// refused runs a shop that must not start.
func refused(t *testing.T, config Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience) // ends a shop that does start; Run returns nil then
	defer cancel()
	return Run(ctx, config, slog.New(slog.DiscardHandler), &readySignal{ready: make(chan struct{})})
}
