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

// Wrong usage ends with 1 like all that is wrong, as scripts were told.
func TestWrongUsageEndsWithOne(t *testing.T) {
	t.Parallel()
	load := exec.CommandContext(t.Context(), filepath.Join(proc.MustBuild(t, "tillstream/cmd/load"), "load"), "--bogus")
	var ended *exec.ExitError
	said, err := load.CombinedOutput()
	if !errors.As(err, &ended) || ended.ExitCode() != 1 || !strings.Contains(string(said), "--bogus") {
		t.Errorf("ended with %v: %s", err, said)
	}
}
