package main

import (
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestMemoryLimitIsBytesWithAUnit: what is no amount of memory, or too little to work in, is refused at the start.
func TestMemoryLimitIsBytesWithAUnit(t *testing.T) {
	for text, want := range map[string]MemoryLimit{"0": 0, "600MiB": 600 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40, "102400KiB": 100 << 20,
		"104857600B": 100 << 20, "104857600": 100 << 20, "64MiB": 64 << 20} {
		t.Setenv("MEMORY_LIMIT", text)
		if got, err := parsed(t); err != nil || got.MemoryLimit != want {
			t.Errorf("MEMORY_LIMIT=%s is %d, %v, want %d", text, got.MemoryLimit, err, want)
		}
	}
	t.Setenv("MEMORY_LIMIT", "")
	for _, text := range []string{"", "much", "600MB", "600 MiB", "1.5GiB", "-1GiB", "MiB", "600mib", "600", "63MiB", "9000000TiB", "99999999999999999999"} {
		_, err := parsed(t, "--memory-limit="+text)
		if err == nil || !strings.Contains(err.Error(), "--memory-limit") || !strings.Contains(err.Error(), "MiB") {
			t.Errorf("a limit of %q: %v, want an error that names the flag and a good value", text, err)
		}
	}
}

func parsed(t *testing.T, args ...string) (config Config, err error) {
	t.Helper()
	parser, err := kong.New(&config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return config, err
}

// TestMemoryLimitGivesWayToTheEnvironment: GOMEMLIMIT is Go's own setting of the same thing.
func TestMemoryLimitGivesWayToTheEnvironment(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	t.Setenv("GOMAXPROCS", "as it is")
	t.Setenv("GOGC", "as it is")
	for _, c := range []struct {
		environment string
		limit       MemoryLimit
		want        int64
	}{{"", 0, math.MaxInt64}, {"", 700 << 20, 700 << 20}, {"1GiB", 700 << 20, math.MaxInt64}} {
		t.Setenv("GOMEMLIMIT", c.environment)
		debug.SetMemoryLimit(math.MaxInt64)
		tuneRuntime(c.limit)
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("GOMEMLIMIT=%q and a limit of %d: %d, want %d", c.environment, c.limit, got, c.want)
		}
	}
}
