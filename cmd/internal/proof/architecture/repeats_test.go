package architecture

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// allowedRepeats are the pairs of files that may repeat lines, with the reason. An entry that is no longer needed fails the test.
var allowedRepeats = []struct{ first, second, reason string }{
	{"events/log/errors.go", "events/worker/decide.go", "a receive that does not wait: an exported function would be no shorter"},
}

// No run of six equal lines occurs twice in the Go files: shared logic belongs in one function.
func TestNoSixLinesTwice(t *testing.T) {
	t.Parallel()
	repeats, err := Repeats(loadRepository(t))
	if err != nil {
		t.Fatal(err)
	}
	used := make([]bool, len(allowedRepeats))
	for _, r := range repeats {
		i := slices.IndexFunc(allowedRepeats, func(a struct{ first, second, reason string }) bool {
			return a.first == r.First.Path && a.second == r.Second.Path
		})
		if i < 0 {
			t.Error(r)
			continue
		}
		used[i] = true
	}
	for i, a := range allowedRepeats {
		if !used[i] || a.reason == "" {
			t.Errorf("allowedRepeats: %s and %s: got used %t and reason %q, want a repeat and a reason", a.first, a.second, used[i], a.reason)
		}
	}
}

func TestRepeatsAreFound(t *testing.T) {
	t.Parallel()
	lines := []string{"a := 1", "b := 2", "c := 3", "d := 4", "e := 5", "f := 6", "g := 7"}
	function := func(name string, body ...string) string {
		return "func " + name + "() {\n" + strings.Join(body, "\n") + "\n}\n"
	}
	imports := "import (\n\"a\"\n\"b\"\n\"c\"\n\"d\"\n\"e\"\n\"f\"\n)\n"
	tests := map[string]struct {
		first, second string
		want          []string
	}{
		"SixLines": {function("f", lines[:6]...), function("g", lines[:6]...), []string{"a.go:3: 6 lines to line 8 are repeated at b.go:3"}},
		"SevenLinesAreOneRun": {function("f", lines...), function("g", lines...),
			[]string{"a.go:3: 7 lines to line 9 are repeated at b.go:3"}},
		"FiveLines": {function("f", lines[:5]...), function("g", lines[:5]...), nil},
		"BlankCommentAndPunctuation": {function("f", lines[:6]...), function("g", "a  :=  1", "", "// x", "b := 2", "{", "c := 3", "}", "/* y", "z */", "d := 4", "e := 5", "f := 6"),
			[]string{"a.go:3: 6 lines to line 8 are repeated at b.go:3"}},
		"TrailingCommentCounts": {function("f", lines[:6]...), function("g", append(slices.Clone(lines[:5]), "f := 6 // x")...), nil},
		"Imports":               {imports, imports, nil},
		"SameFile":              {function("f", lines[:6]...) + function("g", lines[:6]...), "", []string{"a.go:3: 6 lines to line 8 are repeated at a.go:11"}},
		"AcrossFiles":           {function("f", lines[:3]...), function("f", lines[3:]...), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := Tree{Texts: []Text{{Path: "a.go", Content: []byte("package a\n" + test.first)}, {Path: "b.go", Content: []byte("package b\n" + test.second)}, {Path: "c.md", Content: []byte(test.first)}}}
			repeats, err := Repeats(tree)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range repeats {
				got = append(got, r.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("repeats (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := Repeats(Tree{Texts: []Text{{Path: "a.go", Content: []byte("{ not Go")}}}); err == nil {
		t.Error("file that is not Go: got no error")
	}
}
