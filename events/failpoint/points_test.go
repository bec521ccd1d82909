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
	passes = regexp.MustCompile(`\bfailpoint\.(At|AtPlace)\(`)
	placed = regexp.MustCompile(`\bfailpoint\.AtPlace\([a-zA-Z.]+, "([a-z_.]+)"\)`)
	single = regexp.MustCompile(`\bfailpoint\.At\("([a-z_.]+)"\)`)
)

// The table and the code name the same points, and each is placed in the code as the table says.
func TestTheTableHasEveryPoint(t *testing.T) {
	t.Parallel()
	inCode := map[string]bool{} // and whether they are placed
	for path, text := range sources(t) {
		for _, match := range placed.FindAllStringSubmatch(text, -1) {
			inCode[match[1]] = true
		}
		for _, match := range single.FindAllStringSubmatch(text, -1) {
			inCode[match[1]] = false
		}
		calls := len(passes.FindAllString(text, -1))
		if read := len(placed.FindAllString(text, -1)) + len(single.FindAllString(text, -1)); read != calls {
			t.Errorf("%s passes %d points, of which %d are written so that they can be found", path, calls, read)
		}
	}
	inTable := map[string]bool{}
	for _, p := range failpoint.Points() {
		if _, twice := inTable[p.Name]; twice {
			t.Errorf("%s stands in the table twice", p.Name)
		}
		if p.Moment == "" {
			t.Errorf("nobody knows what %s means", p.Name)
		}
		inTable[p.Name] = p.Placed
	}
	if diff := cmp.Diff(inTable, inCode); diff != "" {
		t.Errorf("points, and whether they are placed (-table +code):\n%s", diff)
	}
}

// sources reads all Go files of the shop that are no tests, but for this package's.
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
		t.Fatalf("only %d files were found: %v", len(texts), slices.Sorted(maps.Keys(texts)))
	}
	return texts
}
