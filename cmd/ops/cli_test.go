package main

import (
	"strings"
	"testing"
	"time"
)

var commandLines = []struct {
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
	{"diff o1", exitFailed, "see ops diff --help"},
	{"verify --at 3 --deep", exitFailed, "--deep"},
	{"completion ksh", exitFailed, "bash"},
	{"tail --count 0", exitFailed, "without --count"},
	{"tail --type orders.sold", exitFailed, "want one of orders.authorization_lost"},
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
	{"tail --since=-5m --nats nats://127.0.0.1:1", exitFailed, "--since"},
	{"tail --since tomorrow", exitFailed, "yesterday 14:05"},
	{"audit --since tomorrow", exitFailed, "yesterday 14:05"},
	{"orders --since tomorrow", exitFailed, "yesterday 14:05"},
	{"orders --until tomorrow", exitFailed, "--until"},
	{"redeliver --dry-run --since tomorrow", exitFailed, "yesterday 14:05"},
	{"redeliver --dry-run --until tomorrow", exitFailed, "--until"},
	{"redeliver --dry-run --max 0", exitFailed, "without --max"},
	{"redeliver --dry-run --max=-1", exitFailed, "without --max"},
	{"redeliver --dry-run --rate 0", exitFailed, "--rate"},
	{"redeliver --dry-run --seq 5x", exitFailed, "1200-1300"},
	{"redeliver --dry-run --seq 5-3", exitFailed, "1200-1300"},
	{"redeliver --dry-run --seq 5-0", exitFailed, "1200-1300"},
	{"redeliver --dry-run --seq 0-5", exitFailed, "1200-1300"},
	{"redeliver --dry-run --seq 5-99999999999999999999", exitFailed, "1200-1300"},
	{"redeliver", exitFailed, "see ops redeliver --help"},
	{"verify --settle=-1s --nats nats://127.0.0.1:1", exitFailed, "--settle -1s"},
	{"verify --wait=-1s --nats nats://127.0.0.1:1", exitFailed, "--wait -1s"},
	{"verify --nats nats://127.0.0.1:1 --acknowledged nowhere", exitFailed, "nowhere"},
	{"deadletters show x", exitFailed, "see ops deadletters show --help"},
	{"pause --help", exitOK, "outlives restarts"},
	{"pause", exitFailed, "see ops pause --help"},
	{"backup --help", exitOK, "manifest.json"},
	{"backup", exitFailed, "see ops backup --help"},
	{"backup x --nats nats://127.0.0.1:1", exitFailed, "is it running?"},
	{"restore --help", exitOK, "no process may run"},
	{"restore nowhere --nats nats://127.0.0.1:1", exitFailed, "nowhere"},
	{"pause x --for -1s --reason x --nats nats://127.0.0.1:1", exitFailed, "--for"},
	{"pause x --nats nats://127.0.0.1:1", exitFailed, "--reason"},
	{"resume x --nats nats://127.0.0.1:1", exitFailed, "--reason"},
}

func TestCommandLineErrorsNameTheFix(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"TILLSTREAM_SHOP", "NATS_URL", "OPS_KEY", "OPS_URL", "STOREFRONT_URL"} {
		t.Setenv(name, "")
	}
	for _, test := range commandLines {
		code, stdout, stderr := ops(t, strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(stdout+stderr, test.want) {
			t.Errorf("ops %s: got exit code %d, want %d and %q:\n%s%s", test.args, code, test.code, test.want, stdout, stderr)
		}
		if (code == exitOK) != (stderr == "") {
			t.Errorf("ops %s: got exit code %d and stderr %q; want stderr only with an error", test.args, code, stderr)
		}
	}
}

// Each command that takes a time takes what staff type.
func TestTimesAreReadAsStaffTypeThem(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"2h", "2h ago", "1d", "yesterday", "yesterday 14:00", "2026-11-30", "2026-11-30 14:05", "2026-11-30T14:05:00Z"} {
		for name, command := range map[string]interface{ Validate() error }{
			"tail":      &tailCommand{Since: typed},
			"redeliver": &redeliverCommand{Since: typed, Until: typed, DryRun: true, Rate: 1},
			"orders":    &ordersCommand{Since: typed, Until: typed, Limit: 1},
			"audit":     filterOnly{&auditCommand{Since: typed, Until: typed}},
		} {
			if err := command.Validate(); err != nil {
				t.Errorf("ops %s --since %q: got %v, want no error", name, typed, err)
			}
		}
	}
}

// filterOnly reads the times of ops audit.
type filterOnly struct{ *auditCommand }

func (f filterOnly) Validate() error {
	_, _, err := f.filter(time.Now())
	return err
}
