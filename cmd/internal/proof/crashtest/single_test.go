//go:build unix

package crashtest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"tillstream/cmd/internal/proof/proc"
)

var shopIsOpen = regexp.MustCompile(`^(The shop is open)`)

// openSingle starts cmd/shop in a directory of its own, always at the same addresses. settings (NAME=value)
// are counted before those that all worlds share.
func openSingle(t *testing.T, settings ...string) *world {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	w := newWorld(t, "single")
	args := []string{"--data", data}
	for _, flag := range []string{"--http", "--nats", "--mongo", "--stripe", "--smtp"} {
		args = append(args, flag, proc.MustFreeAddr(t))
	}
	env := append([]string{"HOLD_FOR=" + holdFor, "SWEEP_EVERY=" + sweepEvery, "SMTP_DEADLINE=" + smtpDeadline, "FAILPOINT_FILE=" + w.trapOf("shop")}, settings...)
	program := filepath.Join(proc.MustBuild(t, "tillstream/cmd/shop"), "shop")
	m := &member{program: "shop", command: proc.Command{Name: "shop", Path: program, Args: args, Env: env}}
	m.open = func(t *testing.T, child *proc.Process) {
		if _, err := child.AwaitLine(t.Context(), shopIsOpen); err != nil {
			t.Fatal(err)
		}
	}
	w.members = []*member{m}
	m.start(t)
	ready, err := os.ReadFile(filepath.Join(data, "ready.json"))
	if err == nil {
		err = json.Unmarshal(ready, &w.shop)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}
