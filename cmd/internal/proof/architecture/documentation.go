package architecture

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Shown are the tests whose comments name rows of a table, as "directory TestName" by row.
type Shown map[int][]string

// Table is a table of a document whose rows name tests. The comment of each test names the row.
type Table struct {
	inComment *regexp.Regexp // the rows that a comment names
	inTable   *regexp.Regexp // number and last cell of a row
}

// The tables of deploy/RELIABILITY.md.
var (
	FaultMatrix = Table{regexp.MustCompile(`[Rr]ows? ([0-9]+(?:(?:, | and |, and )[0-9]+)*) of the fault matrix`),
		regexp.MustCompile(`(?m)^\| ([0-9]+) \|.*\|([^|\n]*)\|$`)}
	OWASPRisks = Table{regexp.MustCompile(`(API[0-9]+(?:(?:, | and |, and )API[0-9]+)*) of the OWASP API Top 10`),
		regexp.MustCompile(`(?m)^\| API([0-9]+) .*\|([^|\n]*)\|$`)}
)

var number = regexp.MustCompile(`[0-9]+`)

// Shown reads the rows from the comments of all tests.
func (t Table) Shown(tree Tree) (Shown, error) {
	shown := Shown{}
	for _, text := range tree.Texts {
		if !strings.HasSuffix(text.Path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), text.Path, text.Content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", text.Path, err)
		}
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			for _, row := range t.rowsIn(f.Doc.Text()) {
				shown[row] = append(shown[row], path.Dir(text.Path)+" "+f.Name.Name)
			}
		}
	}
	return shown, nil
}

func (t Table) rowsIn(comment string) (rows []int) {
	comment = strings.Join(strings.Fields(comment), " ")
	for _, found := range t.inComment.FindAllStringSubmatch(comment, -1) {
		for _, digits := range number.FindAllString(found[1], -1) {
			if row, err := strconv.Atoi(digits); err == nil {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// Claims are the tests that a table names, by row.
type Claims map[int][]string

var namedTest = regexp.MustCompile("`([A-Za-z0-9_/.]+ Test[A-Za-z0-9_]+)`")

// Claimed reads the tests from the table of a document.
func (t Table) Claimed(document []byte) Claims {
	claims := Claims{}
	for _, line := range t.inTable.FindAllSubmatch(document, -1) {
		row, err := strconv.Atoi(string(line[1]))
		if err != nil {
			continue // too many digits for a number
		}
		claims[row] = []string{}
		for _, test := range namedTest.FindAllSubmatch(line[2], -1) {
			claims[row] = append(claims[row], string(test[1]))
		}
	}
	return claims
}

// Differences returns the rows without a test, and the tests whose comments do not name the row.
func (c Claims) Differences(shown Shown) (wrong []string) {
	for row, tests := range c {
		if len(tests) == 0 {
			wrong = append(wrong, fmt.Sprintf("row %d names no test", row))
		}
		for _, test := range tests {
			if !slices.Contains(shown[row], test) {
				wrong = append(wrong, fmt.Sprintf("row %d names %s, whose comment does not name the row", row, test))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

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
