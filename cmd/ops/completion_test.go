package main

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/target"
)

// TestMain makes the test binary a program that a shell can call: with asOps in its environment it is ops.
func TestMain(m *testing.M) {
	if os.Getenv(asOps) != "" {
		main()
	}
	setTestKey()
	os.Exit(m.Run())
}

const asOps = "TEST_AS_OPS"

// completions are what the shells must offer for a line.
var completions = map[string][]string{
	"ops dead":                  {"deadletters"},
	"ops deadletters re":        {"redrive"},
	"ops tail --type orders.pl": {"orders.placed"},
	"ops tail --domain inv":     {"inventory"},
	"ops orders --payment part": {"partly_refunded"},
	"ops rebuild orders.p":      {"orders.projection"},
	"ops completion ":           {"bash", "fish", "zsh"},
	"ops verify --settl":        {"--settle"},
}

// askers have for each shell a script that loads the completion of ops and answers $LINE. The bash one does what bash itself does with
// complete -C: it calls the command with the line in COMP_LINE.
var askers = map[string][]string{
	"bash": {"--norc", "--noprofile", "-c", `eval "$("$OPS" completion bash)"; command=$(complete -p ops | sed "s/^complete -C //; s/ ops\$//"); eval "command=$command"; COMP_LINE=$LINE COMP_POINT=${#LINE} eval "$command"`},
	"fish": {"--no-config", "-c", `$OPS completion fish | source; complete -C $LINE`},
}

func TestShellsCompleteCommandsFlagsAndValues(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, asker := range askers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shell, err := exec.LookPath(name)
			if err != nil {
				t.Skipf("no %s on this machine", name)
			}
			for line, want := range completions {
				command := exec.CommandContext(t.Context(), shell, asker...)
				command.Env = append(os.Environ(), asOps+"=1", "OPS="+program, "LINE="+line)
				out, err := command.CombinedOutput()
				got := strings.Fields(string(out))
				slices.Sort(got)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%q: got %q, %v, want %q", line, out, err, want)
				}
			}
		})
	}
}

// Each command explains itself with examples, and answers in JSON.
func TestEveryCommandHasExamplesAndJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	parser, err := kong.New(&commands{}, kong.Name("ops"), kong.Vars(target.Vars()), kong.Writers(&out, &out))
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(false) {
		name := strings.Fields(strings.TrimPrefix(leaf.FullPath(), "ops"))
		if leaf.Name == "status" {
			name = []string{"status"}
		}
		_, help, _ := ops(t, append(name, "--help")...)
		if !strings.Contains(help, "\nExample") || strings.Count(help, "  ops "+name[0]) == 0 && name[0] != "status" {
			t.Errorf("ops %s --help: got no examples:\n%s", strings.Join(name, " "), help)
		}
		if name[0] != "completion" && !strings.Contains(help, "--json") {
			t.Errorf("ops %s: got no --json", strings.Join(name, " "))
		}
	}
}

// A moment before now begins with a hyphen and is not a flag.
func TestMomentsBeforeNowAreNotFlags(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, want []string }{
		{[]string{"at", "o1", "-2h"}, []string{"at", "o1", "now-2h"}},
		{[]string{"verify", "--at", "-1d12h"}, []string{"verify", "--at", "now-1d12h"}},
		{[]string{"pause", "x", "--for", "-1s"}, []string{"pause", "x", "--for", "-1s"}},
		{[]string{"at", "-h"}, []string{"at", "-h"}},
		{nil, nil},
	} {
		if got := protectMoments(test.args); !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.args, got, test.want)
		}
	}
}
