package architecture

import (
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
