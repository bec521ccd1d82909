package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/target"
	"tillstream/events/backup"
	"tillstream/events/embedded"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// database starts a database and returns it with its address.
func database(t *testing.T) (db *mongo.Database, uri string) {
	t.Helper()
	server, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	if db, err = project.Connect(t.Context(), server.URI()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Client().Disconnect(context.WithoutCancel(t.Context())) })
	return db, server.URI()
}

// installation is a data directory whose ready file names a broker and a database, as those of a shop in one process do.
func installation(t *testing.T, nats, mongodb, secrets string) (data, shop string) {
	t.Helper()
	data = t.TempDir()
	shop = filepath.Join(data, "ready.json")
	ready, err := json.Marshal(target.Shop{NATS: nats, MongoDB: mongodb, Data: data})
	if err == nil {
		err = os.WriteFile(shop, ready, 0o600)
	}
	if err == nil && secrets != "" {
		err = os.WriteFile(filepath.Join(data, target.SecretsFile), []byte(secrets), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data, shop
}

// stored is what differs in a timeline when its events were stored a second time.
var stored = regexp.MustCompile(`"(after_ms|stored)": [^,]+,`)

// What an operator does: back up, see that it is not written over, restore into a broker that has not even streams, and do
// what it says next.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	_, uri := database(t)
	for _, id := range []string{"o1", "o2"} {
		b.refused(id)
	}
	_, shop := installation(t, b.url, uri, `{"token_secret":"t"}`)
	dir := filepath.Join(t.TempDir(), "today")
	code, stdout, stderr := ops(t, "backup", dir, "--shop", shop)
	if code != exitOK || !strings.Contains(words(stdout), "6 0 0 0 0 ") || !strings.Contains(stdout, "yes") || stderr != "" {
		t.Fatalf("backup: exit %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr = ops(t, "backup", dir, "--shop", shop); code != exitFailed || !strings.Contains(stderr, "name another directory") {
		t.Errorf("once more: exit %d: %s", code, stderr)
	}

	_, empty := database(t)
	server := logtest.Server(t)
	data, restored := installation(t, server.URL(), empty, "")
	code, stdout, stderr = ops(t, "restore", dir, "--shop", restored)
	if code != exitOK || !strings.Contains(words(stdout), "6 0 0 0 yes restored next: start the shop.") || stderr != "" {
		t.Fatalf("restore: exit %d: %s%s", code, stdout, stderr)
	}
	if secrets, err := os.ReadFile(filepath.Join(data, target.SecretsFile)); err != nil || string(secrets) != `{"token_secret":"t"}` {
		t.Errorf("secrets %q, %v", secrets, err)
	}
	_, before, _ := ops(t, "timeline", "o2", "--json", "--shop", shop)
	_, after, _ := ops(t, "timeline", "o2", "--json", "--shop", restored)
	if stored.ReplaceAllString(before, "") != stored.ReplaceAllString(after, "") {
		t.Errorf("the order was\n%s\nand is\n%s", before, after)
	}
	if code, _, stderr = ops(t, "restore", dir, "--shop", restored); code != exitFailed || !strings.Contains(stderr, "found: 6 events in SHOP") {
		t.Errorf("once more: exit %d: %s", code, stderr)
	}
}

// A shop in many processes has its secrets from the environment, which both commands say; programs read JSON.
func TestBackupAndRestoreOfManyProcesses(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	_, uri := database(t)
	b.refused("o1")
	dir := filepath.Join(t.TempDir(), "today")
	if code, _, stderr := ops(t, "backup", dir, "--nats", b.url, "--mongodb", uri); code != exitOK || !strings.Contains(stderr, "TOKEN_SECRET") {
		t.Errorf("backup: exit %d: %s", code, stderr)
	}
	_, empty := database(t)
	server := logtest.Server(t)
	target := []string{"--nats", server.URL(), "--mongodb", empty}
	code, stdout, stderr := ops(t, append([]string{"restore", dir, "--json"}, target...)...)
	var restored replay.RestoreReport
	if err := json.Unmarshal([]byte(stdout), &restored); code != exitOK || err != nil || restored.Cut != 3 || restored.Secrets {
		t.Errorf("restore: exit %d, %v: %s%s", code, err, stdout, stderr)
	}
	again := filepath.Join(t.TempDir(), "again")
	code, stdout, _ = ops(t, append([]string{"backup", again, "--json"}, target...)...)
	var backedUp replay.BackupReport
	if err := json.Unmarshal([]byte(stdout), &backedUp); code != exitOK || err != nil || backedUp.Cut != 3 || backedUp.Dir != again {
		t.Errorf("backup of what was restored: exit %d, %v: %s", code, err, stdout)
	}
}

// What is wrong is said before anything is connected to or written.
func TestBackupsThatCannotBeRestored(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	_, uri := database(t)
	b.refused("o1")
	_, shop := installation(t, b.url, uri, "secrets of one shop")
	dir := filepath.Join(t.TempDir(), "today")
	if code, _, stderr := ops(t, "backup", dir, "--shop", shop); code != exitOK {
		t.Fatal(stderr)
	}
	_, empty := database(t)
	server := logtest.Server(t)
	_, target := installation(t, server.URL(), empty, "secrets of another")
	if code, _, stderr := ops(t, "restore", dir, "--shop", target); code != exitFailed || !strings.Contains(stderr, "other secrets already") || !strings.Contains(stderr, "move it away") {
		t.Errorf("other secrets: exit %d: %s", code, stderr)
	}
	if err := os.Truncate(filepath.Join(dir, backup.Log), 10); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{dir: "damaged backup: log.jsonl.zst", t.TempDir(): "no backup", filepath.Join(dir, "nowhere"): "nowhere"} {
		if code, _, stderr := ops(t, "restore", arg, "--nats", "nats://127.0.0.1:1"); code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("restore %s: exit %d: %s", arg, code, stderr)
		}
	}
	_, lost := installation(t, b.url, uri, "")
	if code, _, stderr := ops(t, "backup", filepath.Join(t.TempDir(), "x"), "--shop", lost); code != exitFailed || !strings.Contains(stderr, "--data names") {
		t.Errorf("a data directory without secrets: exit %d: %s", code, stderr)
	}
}
