package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/target"
)

// Documented command lines are in code spans, in indented lines and in fenced blocks, up to what is not part of the command.
var (
	fence       = regexp.MustCompile("(?m)^```.*$")
	codeSpan    = regexp.MustCompile("`([^`]+)`")
	codeLine    = regexp.MustCompile(`(?m)^    (.*)$`)
	anyLine     = regexp.MustCompile(`(?m)^(.*)$`)
	opsCommand  = regexp.MustCompile("\\bops ([a-z][a-z-]*(?:$|[ \n][^|;#…()'&>`]*))")
	placeholder = map[string]string{"NUMBER": "7", "SEQ": "7", "DURATION": "1h", "COUNT": "7", "DIR": "."}
)

// documentedCommands returns the arguments of every ops command in a document.
func documentedCommands(text string) (commands [][]string) {
	var code []string
	for n, part := range fence.Split(text, -1) {
		patterns := []*regexp.Regexp{codeSpan, codeLine}
		if n%2 == 1 {
			patterns = []*regexp.Regexp{anyLine}
		}
		for _, pattern := range patterns {
			for _, found := range pattern.FindAllStringSubmatch(part, -1) {
				code = append(code, found[1])
			}
		}
	}
	for _, span := range code {
		for _, found := range opsCommand.FindAllStringSubmatch(span, -1) {
			commands = append(commands, typedWords(strings.NewReplacer("\n", " ", "[", "", "]", "").Replace(found[1])))
		}
	}
	return commands
}

// typedWords splits a command line at spaces outside quotation marks, and fills in numbers for placeholders.
func typedWords(line string) (args []string) {
	quoted := false
	for _, word := range strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	}) {
		word = strings.Trim(word, `"`)
		if number, ok := placeholder[word]; ok {
			word = number
		}
		if strings.HasSuffix(word, ".csv") {
			word = "../../" + word // documents name files as seen from the root
		}
		args = append(args, word)
	}
	return args
}

// Every ops command in the documents exists with its flags and arguments. A command without any may lack required ones: it is a name.
func TestDocumentedCommandsExist(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("../../deploy/*.md")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, path := range append(documents, "../../README.md", "../../deploy/prometheus/alerts.yaml", "../../deploy/compose.yaml", "../../deploy/kubernetes.yaml") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range documentedCommands(string(text)) {
			total++
			if err := parses(args); err != nil {
				t.Errorf("%s: ops %s: %v", filepath.Base(path), strings.Join(args, " "), err)
			}
		}
	}
	if total < 50 {
		t.Errorf("got %d commands, want at least 50: are they still found?", total)
	}
}

// parses checks a command line without carrying it out.
func parses(args []string) error {
	parser, err := kong.New(&commands{}, kong.Vars(target.Vars()), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}))
	if err != nil {
		return err
	}
	if _, err = parser.Parse(protectMoments(args)); err != nil && isName(parser.Model.Node, args) {
		return nil
	}
	return err
}

// isName reports whether the arguments are the name of a command and nothing else.
func isName(node *kong.Node, args []string) bool {
	for _, arg := range args {
		found := false
		for _, child := range node.Children {
			if child.Name == arg {
				node, found = child, true
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func TestDocumentedCommandsAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Run `ops lag` now": "lag",
		"`docker compose run --rm ops orders --status confirmed`":          "orders --status confirmed",
		"Type\n\n    sudo tillstream-ops deadletters show NUMBER | less\n": "deadletters show 7",
		"`ops void SEQ --reason \"by hand\"`":                              "void 7 --reason by hand",
	} {
		got := documentedCommands(text)
		if len(got) != 1 || strings.Join(got[0], " ") != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	for _, wrong := range []string{"lagg", "lag --loud", "deadletters redrive 7 --because x", "verify 12 13"} {
		if parses(strings.Fields(wrong)) == nil {
			t.Errorf("ops %s: got no error, want one", wrong)
		}
	}
}
