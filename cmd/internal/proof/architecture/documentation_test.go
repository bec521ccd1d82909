package architecture

import (
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every row of the fault table and of the OWASP table names tests, and their comments name the row.
func TestTablesNameTheirTests(t *testing.T) {
	t.Parallel()
	tree := loadRepository(t)
	reliability, ok := tree.text("deploy/RELIABILITY.md")
	if !ok {
		t.Fatal("got no deploy/RELIABILITY.md")
	}
	for name, c := range map[string]struct {
		table Table
		rows  int // at least
	}{"fault matrix": {FaultMatrix, 30}, "OWASP API Top 10": {OWASPRisks, 10}} {
		shown, err := c.table.Shown(tree)
		if err != nil {
			t.Fatal(err)
		}
		claims := c.table.Claimed(reliability)
		if len(claims) < c.rows {
			t.Errorf("deploy/RELIABILITY.md: got %d rows of the %s, want at least %d", len(claims), name, c.rows)
		}
		for _, wrong := range claims.Differences(shown) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}

func TestDifferencesNameRowsAndTests(t *testing.T) {
	t.Parallel()
	tree := Tree{Texts: []Text{
		{Path: "a/b_test.go", Content: []byte("package a\n\n// Rows 1, 2\n// and 30 of the fault matrix: things break.\nfunc TestBreaks(t *testing.T) {}\n\n// Row 4 of something else.\nfunc TestOther(t *testing.T) {}\n")},
		{Path: "a/c.go", Content: []byte("package a\n\n// Row 5 of the fault matrix.\nfunc TestNot() {}\n")},
	}}
	shown, err := FaultMatrix.Shown(tree)
	if err != nil {
		t.Fatal(err)
	}
	by := []string{"a TestBreaks"}
	if diff := cmp.Diff(Shown{1: by, 2: by, 30: by}, shown); diff != "" {
		t.Errorf("rows shown (-want +got):\n%s", diff)
	}
	risks, err := OWASPRisks.Shown(Tree{Texts: []Text{{Path: "a/b_test.go", Content: []byte("package a\n\n// Breaks.\n//\n// API1, API4 and API10 of the\n// OWASP API Top 10.\nfunc TestBreaks(t *testing.T) {}\n")}}})
	if diff := cmp.Diff(Shown{1: by, 4: by, 10: by}, risks); diff != "" || err != nil {
		t.Errorf("risks shown (-want +got):\n%s%v", diff, err)
	}
	claims := FaultMatrix.Claimed([]byte("| 1 | fault | holds | `a TestBreaks` |\n| 2 | fault | holds | none |\n| 5 | fault | holds | `a TestNot`, `a TestBreaks` |\nrow 30\n"))
	want := []string{"row 2 names no test",
		"row 5 names a TestBreaks, whose comment does not name the row",
		"row 5 names a TestNot, whose comment does not name the row"}
	if diff := cmp.Diff(want, claims.Differences(shown)); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
}

func TestDocumentedTestCommandsRunTests(t *testing.T) {
	t.Parallel()
	tree := loadRepository(t)
	for _, text := range tree.Texts {
		if path.Ext(text.Path) != ".md" {
			continue
		}
		wrong, err := RunsNothing(text.Content, tree)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range wrong {
			t.Errorf("%s: %s", text.Path, w)
		}
	}
}

func TestRunsNothingFindsCommands(t *testing.T) {
	t.Parallel()
	tree := Tree{Texts: []Text{{Path: "a/b/c_test.go", Content: []byte("package b\n\nfunc TestBreaks(t *testing.T) {}\n\nfunc BenchmarkSpeed(b *testing.B) {}\n")}}}
	wrong, err := RunsNothing([]byte("`go test ./a/b -run Breaks`, `go test ./a/b -run 'TestNone\\|TestBreaks' -v`, `go test ./a/b -run '^$' -bench Speed`\n"+
		"`go test ./a/b -run Speed`, `go test ./a/b -bench Breaks`, `go test ./a -run Breaks` and `go test ./...`\n"), tree)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"go test ./a/b -run Speed runs nothing", "go test ./a/b -bench Breaks runs nothing", "go test ./a -run Breaks runs nothing"}
	if diff := cmp.Diff(want, wrong); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}
