package main

import (
	"strings"
	"testing"
)

func TestCommandLineErrorsNameTheFix(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"TILLSTREAM_SHOP", "NATS_URL", "OPS_KEY", "OPS_URL", "STOREFRONT_URL"} {
		t.Setenv(name, "")
	}
	tests := []struct {
		args string
		code int
		want string // on stdout for help, on stderr for errors
	}{
		{"--help", exitOK, "verify"},
		{"verify --help", exitOK, "Exit codes"},
		{"timeline --help", exitOK, "Causes come before their effects"},
		{"", exitFailed, "cmd/shop --ready-file shop.json"},
		{"status --help", exitOK, "Exit codes"},
		{"at --help", exitOK, "Exit codes"},
		{"at", exitFailed, "name an entity and a moment"},
		{"at o1 3 --out x", exitFailed, "--all MOMENT"},
		{"at --all 3", exitFailed, "--out DIR"},
		{"diff o1", exitFailed, "see ops --help"},
		{"verify --at 3 --deep", exitFailed, "--deep"},
		{"completion ksh", exitFailed, "bash"},
		{"tail --count 0", exitFailed, "without --count"},
		{"tail --type orders.sold", exitFailed, "want one of orders.awaiting_payment"},
		{"tail --type nothing.*", exitFailed, "payments.captured"},
		{"sell", exitFailed, "see ops --help"},
		{"void 1 --nats nats://127.0.0.1:1", exitFailed, "--reason"},
		{"verify", exitFailed, "cmd/shop --ready-file shop.json"},
		{"lag --shop nowhere.json", exitFailed, "nowhere.json"},
		{"lag --nats nats://127.0.0.1:1", exitFailed, "is it running?"},
		{"orders --nats nats://127.0.0.1:1", exitFailed, "pass --ops"},
		{"orders --ops http://127.0.0.1:1", exitFailed, "pass --ops-key"},
		{"orders --ops http://127.0.0.1:1 --ops-key x", exitFailed, "is the shop running?"},
		{"orders --limit 0", exitFailed, "want 1 or more"},
		{"orders --status settled --ops http://127.0.0.1:1 --ops-key x", exitFailed, "paid_late"},
		{"tail --domain nowhere", exitFailed, "orders, customers, inventory"},
		{"tail --type [", exitFailed, "--type"},
		{"tail --count=-1 --nats nats://127.0.0.1:1", exitFailed, "--count -1"},
		{"tail --since=-5m --nats nats://127.0.0.1:1", exitFailed, "--since -5m"},
		{"verify --settle=-1s --nats nats://127.0.0.1:1", exitFailed, "--settle -1s"},
		{"verify --wait=-1s --nats nats://127.0.0.1:1", exitFailed, "--wait -1s"},
		{"verify --nats nats://127.0.0.1:1 --acknowledged nowhere", exitFailed, "nowhere"},
		{"deadletters show x", exitFailed, "see ops --help"},
		{"pause --help", exitOK, "outlives restarts"},
		{"pause", exitFailed, "see ops --help"},
		{"backup --help", exitOK, "manifest.json"},
		{"backup", exitFailed, "see ops --help"},
		{"backup x --nats nats://127.0.0.1:1", exitFailed, "is it running?"},
		{"restore --help", exitOK, "no process may run"},
		{"restore nowhere --nats nats://127.0.0.1:1", exitFailed, "nowhere"},
		{"pause x --for -1s --nats nats://127.0.0.1:1", exitFailed, "--for"},
	}
	for _, test := range tests {
		code, stdout, stderr := ops(t, strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(stdout+stderr, test.want) {
			t.Errorf("ops %s: got exit code %d, want %d and %q:\n%s%s", test.args, code, test.code, test.want, stdout, stderr)
		}
		if (code == exitOK) != (stderr == "") {
			t.Errorf("ops %s: got exit code %d and stderr %q; want stderr only with an error", test.args, code, stderr)
		}
	}
}
