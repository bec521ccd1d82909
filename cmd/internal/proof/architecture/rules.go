package architecture

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Rule is a property of the repository. Check returns what breaks it, one line each.
type Rule struct {
	Name  string
	Check func(Tree) []string
}

// Rules returns all rules that are checked on the whole tree.
func Rules() []Rule {
	return []Rule{
		{"TopLevel", topLevel},
		{"LintNamesExistingFiles", lintNamesExistingFiles},
		{"NoTracesOfAMachine", noTracesOfAMachine},
		{"NoRetiredWords", noRetiredWords},
		{"DeployNamesWhatExists", deployNamesWhatExists},
	}
}

func topLevel(t Tree) []string {
	allowed := []string{"cmd/", "orders/", "payments/", "inventory/", "notifications/", "events/", "deploy/", "go.mod", "go.sum", "README.md"}
	var wrong []string
	for _, name := range t.Top {
		if !strings.HasPrefix(name, ".") && !slices.Contains(allowed, name) {
			wrong = append(wrong, name+": not allowed at the top level")
		}
	}
	return wrong
}

var lintedFile = regexp.MustCompile(`\$\{config-path\}/([a-z/_]+\.go)"`)

// lintNamesExistingFiles finds lint rules for files that do not exist: after a rename such a rule checks nothing.
func lintNamesExistingFiles(t Tree) []string {
	config, ok := t.text(".golangci.yml")
	if !ok {
		return []string{".golangci.yml: not found"}
	}
	var wrong []string
	for _, name := range captured(lintedFile, config) {
		if _, ok := t.text(name); !ok {
			wrong = append(wrong, ".golangci.yml: a rule names "+name+", which does not exist")
		}
	}
	return wrong
}

// traces matches paths of one machine and hosts of package registries.
var traces = regexp.MustCompile(`(?m)(^|[^A-Za-z0-9_.~)}\]>/-])/(work|root|home|Users)/[A-Za-z0-9_.]|[A-Z]:\\Users\\` +
	`|(proxy|sum)\.golang\.org|registry\.npmjs\.org|deb\.debian\.org|files\.pythonhosted\.org`)

func noTracesOfAMachine(t Tree) []string {
	return t.find(traces, func(string) bool { return true }, "exists on one machine only")
}

// retired matches names that were replaced by the standard terms of events/doc.go.
var retired = regexp.MustCompile(`Rememberer|LookElsewhere|\bEvolve|\bTraced|(?i:\bparked)`)

func noRetiredWords(t Tree) []string {
	own := func(path string) bool {
		return !strings.HasPrefix(path, "cmd/internal/proof/architecture/") && path != "go.sum"
	}
	return t.find(retired, own, "is a retired name: see the glossary in events/doc.go")
}

// find returns every match of a pattern, with its file and line.
func (t Tree) find(pattern *regexp.Regexp, include func(path string) bool, why string) []string {
	var wrong []string
	for _, text := range t.Texts {
		if !include(text.Path) {
			continue
		}
		for _, at := range pattern.FindAllIndex(text.Content, -1) {
			line := 1 + strings.Count(string(text.Content[:at[0]+1]), "\n")
			match := strings.TrimSpace(string(text.Content[at[0]:at[1]]))
			wrong = append(wrong, fmt.Sprintf("%s:%d: %q %s", text.Path, line, match, why))
		}
	}
	return wrong
}
