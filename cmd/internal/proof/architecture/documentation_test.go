package architecture

import (
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every row of the fault table names tests, and their comments name the row.
func TestFaultTableNamesItsTests(t *testing.T) {
	t.Parallel()
	tree := loadRepository(t)
	shown, err := RowsShown(tree)
	if err != nil {
		t.Fatal(err)
	}
	reliability, ok := tree.text("deploy/RELIABILITY.md")
	if !ok {
		t.Fatal("got no deploy/RELIABILITY.md")
	}
	claims := RowsClaimed(reliability)
	if len(claims) < 30 {
		t.Errorf("deploy/RELIABILITY.md: got %d rows of the fault matrix, want at least 30", len(claims))
	}
	for _, wrong := range claims.Differences(shown) {
		t.Error(wrong)
	}
}

func TestDifferencesNameRowsAndTests(t *testing.T) {
	t.Parallel()
	tree := Tree{Texts: []Text{
		{Path: "a/b_test.go", Content: []byte("package a\n\n// Rows 1, 2\n// and 30 of the fault matrix: things break.\nfunc TestBreaks(t *testing.T) {}\n\n// Row 4 of something else.\nfunc TestOther(t *testing.T) {}\n")},
		{Path: "a/c.go", Content: []byte("package a\n\n// Row 5 of the fault matrix.\nfunc TestNot() {}\n")},
	}}
	shown, err := RowsShown(tree)
	if err != nil {
		t.Fatal(err)
	}
	by := []string{"a TestBreaks"}
	if diff := cmp.Diff(Shown{1: by, 2: by, 30: by}, shown); diff != "" {
		t.Errorf("rows shown (-want +got):\n%s", diff)
	}
	claims := RowsClaimed([]byte("| 1 | fault | holds | `a TestBreaks` |\n| 2 | fault | holds | none |\n| 5 | fault | holds | `a TestNot`, `a TestBreaks` |\nrow 30\n"))
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
