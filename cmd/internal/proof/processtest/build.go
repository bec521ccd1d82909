package processtest

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"tillstream/cmd/internal/proof/fleet"
)

// programs are the executables of this test binary. Linking takes seconds, so no program is built twice.
var programs struct {
	sync.Mutex
	dir   string
	built []string
}

// Main runs the tests of a package and removes what they have built. It returns the code to exit with.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tillstream-programs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for programs:", err)
		return 1
	}
	programs.dir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "remove programs:", err)
		return 1
	}
	return code
}

// Build makes the executables of main packages, all in one go, and returns their directory. Each has the name of the last
// element of its package's path that is no version.
func Build(t testing.TB, packages ...string) (dir string) {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	if programs.dir == "" {
		t.Fatal("the package's TestMain does not call processtest.Main")
	}
	missing := slices.DeleteFunc(slices.Clone(packages), func(p string) bool { return slices.Contains(programs.built, p) })
	if len(missing) == 0 {
		return programs.dir
	}
	var flags []string
	if Raced {
		flags = []string{"-race"}
	}
	if err := fleet.Build(t.Context(), programs.dir, flags, missing...); err != nil {
		t.Fatal(err)
	}
	programs.built = append(programs.built, missing...)
	return programs.dir
}
