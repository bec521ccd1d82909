package processtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Freeze stops a process as a machine stops that loses its power: it returns when no thread of it runs any more, nor will.
// Those that wait for a disk may do so still.
func (c *Child) Freeze(t testing.TB) {
	t.Helper()
	c.Signal(t, syscall.SIGSTOP)
	WaitFor(t, c.Name+" stands still", starting, func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", c.Pid()))
		if err != nil || len(threads) == 0 {
			t.Fatalf("look at the threads of %s: %d of them, %v", c.Name, len(threads), err)
		}
		for _, thread := range threads {
			data, err := os.ReadFile(thread)
			if err == nil && strings.ContainsAny(state(string(data)), "RS") {
				return false
			}
		}
		return true
	})
}

// state is the letter after the program's name, which stands in brackets and may hold anything.
func state(stat string) string {
	_, after, _ := strings.Cut(stat[strings.LastIndexByte(stat, ')'):], " ")
	return after[:1]
}
