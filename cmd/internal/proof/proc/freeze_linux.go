package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Freeze stops a process as a power failure does: it returns when no thread of the process runs any more. Threads that wait
// for the disk may still do so.
func Freeze(t testing.TB, p *Process) {
	t.Helper()
	Check(t, p.Signal(syscall.SIGSTOP))
	WaitFor(t, "no thread of "+p.Name+" runs", startTimeout, func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid()))
		if err != nil || len(threads) == 0 {
			t.Fatalf("list threads of %s: got %d, %v", p.Name, len(threads), err)
		}
		for _, thread := range threads {
			stat, err := os.ReadFile(thread)
			if err == nil && strings.ContainsAny(state(string(stat)), "RS") {
				return false
			}
		}
		return true
	})
}

// state returns the state letter of a stat file. It follows the program's name, which is in brackets and may contain any
// character.
func state(stat string) string {
	_, after, _ := strings.Cut(stat[strings.LastIndexByte(stat, ')'):], " ")
	return after[:1]
}
