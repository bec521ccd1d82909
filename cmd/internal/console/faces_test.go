package console

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	commandRow  = regexp.MustCompile("(?m)^\\| `ops ([a-z -]+)` \\| (.+) \\|$")
	pageAddress = regexp.MustCompile("`(/ops[^`]*)`")
	route       = regexp.MustCompile(`\.Handle(?:Func)?\("(GET|POST) (/ops[^"]*)"`)
)

// commandsOf has, for each action of the console, the command of ops that does the same, or after a hyphen why there is none.
var commandsOf = map[string]string{
	"/ops/account/password": "- a person's own password", "/ops/account/totp": "- a person's own device", "/ops/join": "- a person's first sign-in",
	"/ops/signin": "- an API key says who it is", "/ops/signout": "- an API key has no session",
	"/ops/deadletters/discard": "deadletters discard", "/ops/deadletters/redrive": "deadletters redrive", "/ops/events/{sequence}/void": "void",
	"/ops/items/{sku}": "item", "/ops/new-item": "item", "/ops/keys": "keys add", "/ops/keys/{name}/revoke": "keys revoke",
	"/ops/lanes/{lane}/pause": "pause", "/ops/lanes/{lane}/resume": "resume", "/ops/orders/{id}/cancel": "cancel", "/ops/payments/check": "verify",
	"/ops/replay": "redeliver", "/ops/replay/{id}/approve": "replays approve", "/ops/replay/{id}/resume": "redeliver", "/ops/replay/{id}/stop": "replays stop",
	"/ops/staff": "staff add", "/ops/staff/{name}/link": "staff link", "/ops/staff/{name}/remove": "staff remove", "/ops/staff/{name}/role": "staff role",
	"/ops/staff/{name}/signout": "staff signout", "/ops/staff/{name}/totp": "staff totp", "/ops/stock/{sku}/adjust": "adjust",
	"/ops/system/copies/backup": "backup", "/ops/system/copies/state": "at", "/ops/system/lists/compare": "rebuild", "/ops/system/lists/rebuild": "rebuild",
	"/ops/system/repair/compare": "repair", "/ops/system/repair/restore": "repair", "/ops/system/topology": "topology", "/ops/system/verify": "verify",
}

// registered returns the addresses of the console by method, as its source registers them.
func registered(t *testing.T) map[string][]string {
	t.Helper()
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range route.FindAllStringSubmatch(string(source), -1) {
			found[match[1]] = append(found[match[1]], match[2])
		}
	}
	return found
}

// The guide says for each command where it is in the console, and every action of the console is a command too. cmd/ops checks that
// the guide has every command.
func TestTheConsoleCanDoWhatOpsCanAndTheReverse(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../deploy/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	routes, commands := registered(t), map[string]bool{}
	for _, row := range commandRow.FindAllStringSubmatch(string(guide), -1) {
		commands[row[1]] = true
		for _, address := range pageAddress.FindAllStringSubmatch(row[2], -1) {
			if !slices.Contains(routes["GET"], address[1]) {
				t.Errorf("the guide says that ops %s is at %s, where the console has no page", row[1], address[1])
			}
		}
	}
	if len(routes["POST"]) < 30 || len(commands) < 40 {
		t.Fatalf("got %d actions and %d commands, want at least 30 and 40: are they still found?", len(routes["POST"]), len(commands))
	}
	for _, action := range routes["POST"] {
		command, known := commandsOf[action]
		if !known || !strings.HasPrefix(command, "- ") && !commands[command] {
			t.Errorf("POST %s: got the command %q, want one that the guide has, or why there is none", action, command)
		}
	}
	for _, action := range slices.Sorted(maps.Keys(commandsOf)) {
		if !slices.Contains(routes["POST"], action) {
			t.Errorf("commandsOf has %s, which the console has not", action)
		}
	}
}
