//go:build unix

package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tillstream/cmd/internal/proof/proc"
)

// Wrong usage exits with 1, like every other error.
func TestWrongUsageExitsWithOne(t *testing.T) {
	t.Parallel()
	load := exec.CommandContext(t.Context(), filepath.Join(proc.MustBuild(t, "tillstream/cmd/load"), "load"), "--bogus")
	var ended *exec.ExitError
	output, err := load.CombinedOutput()
	if !errors.As(err, &ended) || ended.ExitCode() != 1 || !strings.Contains(string(output), "--bogus") {
		t.Errorf("got %v, want exit status 1 and the unknown flag: %s", err, output)
	}
}
