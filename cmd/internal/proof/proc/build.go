package proc

import (
	"context"
	"encoding/json"
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

// Edit replaces a text that occurs once in a file of this module.
type Edit struct {
	File string // below the module's directory, with slashes
	From string
	To   string
}

// BuildEdited is like [Build], but builds the source with edits. The files of the module stay as they are.
func BuildEdited(ctx context.Context, dir string, edits []Edit, packages ...string) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("%w: find the source of this module: %w", ErrBuild, err)
	}
	scratch, err := os.MkdirTemp("", "tillstream-edits-")
	if err != nil {
		return fmt.Errorf("make a directory for edited source: %w", err)
	}
	overlay, err := writeOverlay(strings.TrimSpace(string(root)), scratch, edits)
	if err == nil {
		err = Build(ctx, dir, []string{"-overlay", overlay}, packages...)
	}
	return errors.Join(err, os.RemoveAll(scratch))
}

// writeOverlay writes the edited files, and the file by which the go command finds them.
func writeOverlay(root, scratch string, edits []Edit) (overlay string, err error) {
	sources := map[string]string{}
	for _, e := range edits {
		path := filepath.Join(root, filepath.FromSlash(e.File))
		if _, ok := sources[path]; !ok {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", fmt.Errorf("edit source: %w", err)
			}
			sources[path] = string(data)
		}
		if n := strings.Count(sources[path], e.From); n != 1 {
			return "", fmt.Errorf("edit %s: got %q %d times, want once: update the edit", e.File, e.From, n)
		}
		sources[path] = strings.Replace(sources[path], e.From, e.To, 1)
	}
	replace := map[string]string{}
	for path, text := range sources {
		replace[path] = filepath.Join(scratch, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write edited source: %w", err)
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("encode overlay: %w", err)
	}
	overlay = filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(overlay, data, 0o600); err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	return overlay, nil
}

// built holds the executables of this test binary. Linking takes seconds, so each program is built once.
var built struct {
	sync.Mutex
	dir      string
	packages []string
}

// programs is the environment variable that holds the directory of the programs that the test binary has built. A test binary that
// is started by another one, to run a test in a namespace of its own, builds into the same directory: the go command does not link
// there what is current.
const programs = "TILLSTREAM_TEST_PROGRAMS"

// Main runs the tests of a package, removes the programs that they built, and returns the exit code.
func Main(m *testing.M) int {
	if built.dir = os.Getenv(programs); built.dir != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "tillstream-programs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for programs:", err)
		return 1
	}
	built.dir = dir
	if err := os.Setenv(programs, dir); err != nil {
		fmt.Fprintln(os.Stderr, "pass on the directory for programs:", err)
		return 1
	}
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
