package failpoint_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/failpoint"
)

var (
	calls  = regexp.MustCompile(`\bfailpoint\.(At|AtPlace)\(`)
	placed = regexp.MustCompile(`\bfailpoint\.AtPlace\([a-zA-Z.]+, "([a-z_.]+)"\)`)
	single = regexp.MustCompile(`\bfailpoint\.At\("([a-z_.]+)"\)`)
)

// The points of the table are those of the code, and those with places are the same in both.
func TestPointsAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	inCode := map[string]bool{} // whether the point has places
	for path, text := range sources(t) {
		for _, match := range placed.FindAllStringSubmatch(text, -1) {
			inCode[match[1]] = true
		}
		for _, match := range single.FindAllStringSubmatch(text, -1) {
			inCode[match[1]] = false
		}
		total := len(calls.FindAllString(text, -1))
		if read := len(placed.FindAllString(text, -1)) + len(single.FindAllString(text, -1)); read != total {
			t.Errorf("%s: got %d calls with literal points, want all %d", path, read, total)
		}
	}
	inTable := map[string]bool{}
	for _, p := range failpoint.Points() {
		if _, twice := inTable[p.Name]; twice {
			t.Errorf("Points has %s twice", p.Name)
		}
		if p.State == "" {
			t.Errorf("%s has no description", p.Name)
		}
		inTable[p.Name] = p.Placed
	}
	if diff := cmp.Diff(inTable, inCode); diff != "" {
		t.Errorf("points, and whether they have places (-Points +code):\n%s", diff)
	}
}

// sources returns the text of every Go file of the module, except tests and this package, by path.
func sources(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join("..", "..")
	texts := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."), entry.IsDir() && path == filepath.Join(root, "events", "failpoint"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		data, err := os.ReadFile(path)
		texts[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(texts) < 100 {
		t.Fatalf("got %d files, want at least 100: %v", len(texts), slices.Sorted(maps.Keys(texts)))
	}
	return texts
}
