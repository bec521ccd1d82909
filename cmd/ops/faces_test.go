package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/target"
)

// faces is a row of the table in the guide that says where a command is in the console.
var faces = regexp.MustCompile("(?m)^\\| `ops ([a-z -]+)` \\| (.+) \\|$")

// leaves returns the names of all commands without subcommands.
func leaves(node *kong.Node, path string) (names []string) {
	for _, child := range node.Children {
		name := strings.TrimSpace(path + " " + child.Name)
		if len(child.Children) > 0 {
			names = append(names, leaves(child, name)...)
			continue
		}
		names = append(names, name)
	}
	return names
}

// Staff can do in the console what they can do in the terminal, except what the guide says why they cannot. A new command needs a row
// there; cmd/internal/console checks that the pages exist.
func TestEveryCommandIsInTheConsoleOrTheGuideSaysWhyNot(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../deploy/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range faces.FindAllStringSubmatch(string(guide), -1) {
		rows[row[1]] = row[2]
	}
	parser, err := kong.New(&commands{}, kong.Vars(target.Vars()))
	if err != nil {
		t.Fatal(err)
	}
	commands := leaves(parser.Model.Node, "")
	if len(commands) < 40 {
		t.Fatalf("got %d commands, want at least 40: are they still found?", len(commands))
	}
	for _, command := range commands {
		where, ok := rows[command]
		reason, terminal := strings.CutPrefix(where, "terminal only: ")
		switch {
		case !ok:
			t.Errorf("ops %s: the table in deploy/OPERATING.md does not say where it is in the console, or why it is in the terminal only", command)
		case !terminal && !strings.Contains(where, "`/ops"):
			t.Errorf("ops %s: got %q, want the address of a page", command, where)
		case terminal && len(strings.Fields(reason)) < 5:
			t.Errorf("ops %s: got the reason %q, want one that staff understand", command, reason)
		}
	}
	for _, command := range slices.Sorted(maps.Keys(rows)) {
		if !slices.Contains(commands, command) {
			t.Errorf("the table in deploy/OPERATING.md has ops %s, which is no command", command)
		}
	}
}
