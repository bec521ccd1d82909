package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

var (
	// ErrBuild is returned when the programs cannot be built.
	ErrBuild = errors.New("cannot build the programs")
	// ErrNoProgram is returned when a directory lacks a program.
	ErrNoProgram = errors.New("program not found")
)

// Workers are the worker programs, in the order that they are started.
var Workers = []string{"inventory", "orders", "payments", "notifications"}

// The packages of the programs that are no workers.
const (
	storefrontPackage = "tillstream/cmd/storefront"
	databasePackage   = "tillstream/cmd/internal/proof/fleet/database"
	brokerPackage     = "github.com/nats-io/nats-server/v2"
)

// Packages are what a fleet is built from.
func Packages() []string {
	packages := []string{storefrontPackage, databasePackage, brokerPackage}
	for _, name := range Workers {
		packages = append(packages, "tillstream/cmd/"+name)
	}
	return packages
}

// Names are the programs that a fleet is started from.
func Names() []string { return append([]string{"storefront", "database", "nats-server"}, Workers...) }

// Build makes the executables of main packages in a directory, all in one go. Each has the name of the last element of its
// package's path that is no version. It works where the go command finds this module, and returns [ErrBuild] elsewhere.
func Build(ctx context.Context, dir string, flags []string, packages ...string) error {
	args := append([]string{"build", "-ldflags=-w", "-o", dir + string(filepath.Separator)}, flags...)
	if out, err := exec.CommandContext(ctx, "go", append(args, packages...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w %s: %w\n%s", ErrBuild, strings.Join(packages, ", "), err, out)
	}
	return nil
}

// Check returns [ErrNoProgram] when a directory lacks one of a fleet's programs.
func Check(dir string) error {
	for _, name := range Names() {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("%w: %w", ErrNoProgram, err)
		}
	}
	return nil
}
