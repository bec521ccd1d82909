package architecture

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Parts of documented test commands: the package, and -run or -bench with its pattern. In tables a | is escaped as \|.
var (
	testCommand  = regexp.MustCompile("go test \\./([a-z/]+) ([^`\n]*)")
	testChoice   = regexp.MustCompile(`-(run|bench) '?([^' ]+)'?`)
	testFunction = regexp.MustCompile(`(?m)^func ((Test|Benchmark)[A-Za-z0-9_]+)\(`)
)

// RunsNothing returns the test commands of a document whose pattern matches no test. go test reports success for them.
func RunsNothing(document []byte, tree Tree) (wrong []string, err error) {
	for _, command := range testCommand.FindAllSubmatch(document, -1) {
		for _, choice := range testChoice.FindAllSubmatch(command[2], -1) {
			text := strings.ReplaceAll(string(choice[2]), `\|`, "|")
			if text == "^$" {
				continue // no tests, as with -bench
			}
			pattern, err := regexp.Compile(text)
			if err != nil {
				return nil, fmt.Errorf("go test ./%s -%s %s: %w", command[1], choice[1], text, err)
			}
			kind := map[string]string{"run": "Test", "bench": "Benchmark"}[string(choice[1])]
			if !tree.hasTest(string(command[1]), kind, pattern) {
				wrong = append(wrong, fmt.Sprintf("go test ./%s -%s %s runs nothing", command[1], choice[1], text))
			}
		}
	}
	return wrong, nil
}

func (t Tree) hasTest(dir, kind string, pattern *regexp.Regexp) bool {
	for _, text := range t.Texts {
		if path.Dir(text.Path) != dir || !strings.HasSuffix(text.Path, "_test.go") {
			continue
		}
		for _, function := range testFunction.FindAllSubmatch(text.Content, -1) {
			if string(function[2]) == kind && pattern.Match(function[1]) {
				return true
			}
		}
	}
	return false
}
