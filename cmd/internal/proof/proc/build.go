package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// ErrBuild is returned when programs cannot be built.
var ErrBuild = errors.New("cannot build the programs")

// Build builds the executables of main packages into a directory, with one go command. Each is named after the last element
// of its package's path that is not a version. Build returns [ErrBuild] where the go command does not find this module.
func Build(ctx context.Context, dir string, flags []string, packages ...string) error {
	args := append([]string{"build", "-ldflags=-w", "-o", dir + string(filepath.Separator)}, flags...)
	if out, err := exec.CommandContext(ctx, "go", append(args, packages...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w %s: %w\n%s", ErrBuild, strings.Join(packages, ", "), err, out)
	}
	return nil
}

// built holds the executables of this test binary. Linking takes seconds, so each program is built once.
var built struct {
	sync.Mutex
	dir      string
	packages []string
}

// Main runs the tests of a package, removes the programs that they built, and returns the exit code.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tillstream-programs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for programs:", err)
		return 1
	}
	built.dir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "remove programs:", err)
		return 1
	}
	return code
}

// MustBuild builds the executables of main packages, unless this test binary has built them before, and returns their
// directory. See [Build] for their names.
func MustBuild(t testing.TB, packages ...string) (dir string) {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		t.Fatal("the package's TestMain does not call proc.Main")
	}
	missing := slices.DeleteFunc(slices.Clone(packages), func(p string) bool { return slices.Contains(built.packages, p) })
	if len(missing) == 0 {
		return built.dir
	}
	var flags []string
	if Raced {
		flags = []string{"-race"}
	}
	if err := Build(t.Context(), built.dir, flags, missing...); err != nil {
		t.Fatal(err)
	}
	built.packages = append(built.packages, missing...)
	return built.dir
}
