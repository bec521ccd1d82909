package fleet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNoProgram is returned when a directory lacks a program.
var ErrNoProgram = errors.New("program not found")

// Workers are the worker programs, in the order in which they are started.
var Workers = []string{"inventory", "orders", "payments", "notifications"}

// The packages of the other programs.
const (
	storefrontPackage = "tillstream/cmd/storefront"
	consolePackage    = "tillstream/cmd/console"
	databasePackage   = "tillstream/cmd/internal/proof/fleet/database"
	brokerPackage     = "github.com/nats-io/nats-server/v2"
)

// Packages returns the main packages of a fleet's programs.
func Packages() []string {
	packages := []string{storefrontPackage, consolePackage, databasePackage, brokerPackage}
	for _, name := range Workers {
		packages = append(packages, "tillstream/cmd/"+name)
	}
	return packages
}

// Names returns the file names of a fleet's programs.
func Names() []string {
	return append([]string{"storefront", "console", "database", "nats-server"}, Workers...)
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
