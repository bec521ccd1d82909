package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tillstream/cmd/internal/target"
	"tillstream/events/backup"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
)

// storedAt matches what differs in a timeline after its events were stored a second time.
var storedAt = regexp.MustCompile(`"(after_ms|stored)": [^,]+,`)

// A backup is not overwritten, and it is restored into a broker without streams.
func TestBackupAndRestoreAShopInOneProcess(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	_, uri := database(t)
	for _, id := range []string{"o1", "o2"} {
		b.rejectedOrder(id)
	}
	b.admit()
	_, shop := installation(t, b.url, uri, `{"token_secret":"t"}`)
	dir := filepath.Join(t.TempDir(), "today")
	code, stdout, stderr := ops(t, "backup", dir, "--shop", shop)
	if code != exitOK || !strings.Contains(words(stdout), "7 0 0 0 0 ") || !strings.Contains(stdout, "yes") || stderr != "" {
		t.Fatalf("backup: got exit code %d:\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr = ops(t, "backup", dir, "--shop", shop); code != exitFailed || !strings.Contains(stderr, "name another directory") {
		t.Errorf("backup into the same directory: got exit code %d and %q", code, stderr)
	}

	_, empty := database(t)
	server := logtest.Server(t)
	data, restored := installation(t, server.URL(), empty, "")
	code, stdout, stderr = ops(t, "restore", dir, "--shop", restored)
	if code != exitOK || !strings.Contains(words(stdout), "7 0 0 0 yes restored next: start the shop.") || stderr != "" {
		t.Fatalf("restore: got exit code %d:\n%s%s", code, stdout, stderr)
	}
	if secrets, err := os.ReadFile(filepath.Join(data, target.SecretsFile)); err != nil || string(secrets) != `{"token_secret":"t"}` {
		t.Errorf("got secrets %q, error %v", secrets, err)
	}
	_, before, _ := ops(t, "timeline", "o2", "--json", "--shop", shop)
	_, after, _ := ops(t, "timeline", "o2", "--json", "--shop", restored)
	if storedAt.ReplaceAllString(before, "") != storedAt.ReplaceAllString(after, "") {
		t.Errorf("timeline after the restore: got\n%s\nwant\n%s", after, before)
	}
	if code, _, stderr = ops(t, "restore", dir, "--shop", restored); code != exitFailed || !strings.Contains(stderr, "found: 8 events in SHOP") {
		t.Errorf("restore again: got exit code %d and %q", code, stderr)
	}
}

// The secrets of a shop in many processes are in its environment, and not in the backup.
func TestBackupAndRestoreAShopInManyProcesses(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	_, uri := database(t)
	b.rejectedOrder("o1")
	b.admit()
	dir := filepath.Join(t.TempDir(), "today")
	if code, _, stderr := ops(t, "backup", dir, "--nats", b.url, "--mongodb", uri); code != exitOK || !strings.Contains(stderr, "TOKEN_SECRET") {
		t.Errorf("backup: got exit code %d and %q", code, stderr)
	}
	_, empty := database(t)
	server := logtest.Server(t)
	flags := []string{"--nats", server.URL(), "--mongodb", empty}
	code, stdout, stderr := ops(t, append([]string{"restore", dir, "--json"}, flags...)...)
	var restored replay.RestoreReport
	if err := json.Unmarshal([]byte(stdout), &restored); code != exitOK || err != nil || restored.Cut != 4 || restored.Secrets {
		t.Errorf("restore: got exit code %d, error %v:\n%s%s", code, err, stdout, stderr)
	}
	again := filepath.Join(t.TempDir(), "again")
	code, stdout, _ = ops(t, append([]string{"backup", again, "--json"}, flags...)...)
	var backedUp replay.BackupReport
	if err := json.Unmarshal([]byte(stdout), &backedUp); code != exitOK || err != nil || backedUp.Cut != 5 || backedUp.Dir != again {
		t.Errorf("backup after the restore: got exit code %d, error %v:\n%s", code, err, stdout)
	}
}

// Each is refused before anything is written.
func TestRestoreRefusesOtherSecretsAndDamagedBackups(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	_, uri := database(t)
	b.rejectedOrder("o1")
	b.admit()
	_, shop := installation(t, b.url, uri, "secrets of one shop")
	dir := filepath.Join(t.TempDir(), "today")
	if code, _, stderr := ops(t, "backup", dir, "--shop", shop); code != exitOK {
		t.Fatal(stderr)
	}
	_, empty := database(t)
	server := logtest.Server(t)
	_, other := installation(t, server.URL(), empty, "secrets of another")
	if code, _, stderr := ops(t, "restore", dir, "--shop", other); code != exitFailed || !strings.Contains(stderr, "other secrets already") || !strings.Contains(stderr, "move it away") {
		t.Errorf("restore over other secrets: got exit code %d and %q", code, stderr)
	}
	if err := os.Truncate(filepath.Join(dir, backup.Log), 10); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{dir: "damaged backup: log.jsonl.zst", t.TempDir(): "no backup", filepath.Join(dir, "nowhere"): "nowhere"} {
		if code, _, stderr := ops(t, "restore", arg, "--nats", "nats://127.0.0.1:1"); code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("restore %s: got exit code %d and %q, want %q", arg, code, stderr, want)
		}
	}
	_, lost := installation(t, b.url, uri, "")
	if code, _, stderr := ops(t, "backup", filepath.Join(t.TempDir(), "x"), "--shop", lost); code != exitFailed || !strings.Contains(stderr, "--data names") {
		t.Errorf("backup of a data directory without secrets: got exit code %d and %q", code, stderr)
	}
}
