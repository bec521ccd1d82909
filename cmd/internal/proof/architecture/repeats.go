package architecture

import (
	"cmp"
	"fmt"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"unicode"
)

// minRun is how many equal lines make a repeat.
const minRun = 6

// Repeat is a run of equal lines in two places.
type Repeat struct {
	First, Second Place
	Lines         int // equal lines, without those that do not count
}

// Place is a range of lines in a file.
type Place struct {
	Path     string
	From, To int
}

// String has the form of a compiler message, so that editors can jump to it.
func (r Repeat) String() string {
	return fmt.Sprintf("%s:%d: %d lines to line %d are repeated at %s:%d", r.First.Path, r.First.From, r.Lines, r.First.To, r.Second.Path, r.Second.From)
}

// sourceLine is a line of code with folded white space.
type sourceLine struct {
	path   string
	number int
	text   string
}

// Repeats returns every run of at least six equal lines that occurs twice in the Go files of a tree. Blank lines, comments,
// imports, fields of JSON documents and lines without a letter or a digit do not count, and do not interrupt a run.
//
//	lines of all files ──► places of each window of six lines ──► pairs, extended to whole runs
func Repeats(tree Tree) ([]Repeat, error) {
	var all []sourceLine
	for _, text := range tree.Texts {
		if path.Ext(text.Path) != ".go" {
			continue
		}
		lines, err := codeLines(text)
		if err != nil {
			return nil, err
		}
		all = append(all, lines...)
	}
	windows := map[string][]int{}
	for i := range all {
		if i+minRun <= len(all) && all[i].path == all[i+minRun-1].path {
			texts := window(all[i : i+minRun])
			windows[texts] = append(windows[texts], i)
		}
	}
	var repeats []Repeat
	for _, starts := range windows {
		for i, first := range starts {
			for _, second := range starts[i+1:] {
				if second-first >= minRun && !continues(all, first, second) {
					repeats = append(repeats, repeatAt(all, first, second))
				}
			}
		}
	}
	slices.SortFunc(repeats, func(a, b Repeat) int {
		return cmp.Or(cmp.Compare(b.Lines, a.Lines), cmp.Compare(a.String(), b.String()))
	})
	return repeats, nil
}

func window(lines []sourceLine) string {
	texts := make([]string, len(lines))
	for i, line := range lines {
		texts[i] = line.text
	}
	return strings.Join(texts, "\n")
}

// continues reports whether the lines before two equal ones are equal as well: then the pair is part of a longer run.
func continues(all []sourceLine, first, second int) bool {
	return first > 0 && equal(all, first-1, second-1) && all[first-1].path == all[first].path && all[second-1].path == all[second].path
}

func equal(all []sourceLine, first, second int) bool { return all[first].text == all[second].text }

func repeatAt(all []sourceLine, first, second int) Repeat {
	n := minRun
	for second+n < len(all) && first+n < second && equal(all, first+n, second+n) && all[first+n].path == all[first].path && all[second+n].path == all[second].path {
		n++
	}
	place := func(start int) Place {
		return Place{Path: all[start].path, From: all[start].number, To: all[start+n-1].number}
	}
	return Repeat{First: place(first), Second: place(second), Lines: n}
}

// codeLines returns the lines of a Go file that count.
func codeLines(text Text) ([]sourceLine, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, text.Path, text.Content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", text.Path, err)
	}
	excluded := map[int]bool{}
	exclude := func(from, to token.Pos) {
		for n := files.Position(from).Line; n <= files.Position(to).Line; n++ {
			excluded[n] = true
		}
	}
	raw := strings.Split(string(text.Content), "\n")
	for _, group := range file.Comments {
		for _, c := range group.List {
			if at := files.Position(c.Pos()); strings.TrimSpace(raw[at.Line-1][:at.Column-1]) == "" { // not after code
				exclude(c.Pos(), c.End()-1)
			}
		}
	}
	for _, spec := range file.Imports {
		exclude(spec.Pos(), spec.End())
	}
	var lines []sourceLine
	for i, line := range raw {
		folded := strings.Join(strings.Fields(line), " ")
		hasWord := strings.ContainsFunc(folded, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
		if !excluded[i+1] && hasWord && folded != "import (" && !strings.Contains(folded, "`json:") {
			lines = append(lines, sourceLine{path: text.Path, number: i + 1, text: folded})
		}
	}
	return lines, nil
}
