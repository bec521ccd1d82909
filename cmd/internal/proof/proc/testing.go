package proc

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// MustStart starts a process, and kills it when the test ends. If the test fails, the last lines of its output are printed;
// with -v, every line is.
func MustStart(t testing.TB, c Command) *Process {
	t.Helper()
	out := &transcript{name: c.Name}
	c.Output = out.add
	if testing.Verbose() {
		c.Output = func(line string) { fmt.Fprintf(t.Output(), "[%s] %s\n", c.Name, line) }
	}
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		Check(t, p.Kill())
		Check(t, p.Err())
		if t.Failed() {
			out.print(t)
		}
	})
	return p
}

// transcriptLines is how many lines of a failed test's process are printed.
const transcriptLines = 15

// transcript is the output of a process. It is printed after the test has failed: a cluster of brokers prints hundreds of
// lines at its start, among which the test's own messages would be lost.
type transcript struct {
	name string

	mu    sync.Mutex
	lines []string
}

func (s *transcript) add(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *transcript) print(t testing.TB) {
	s.mu.Lock()
	defer s.mu.Unlock()
	omitted := max(0, len(s.lines)-transcriptLines)
	if omitted > 0 {
		fmt.Fprintf(t.Output(), "[%s] (%d earlier lines)\n", s.name, omitted)
	}
	for _, line := range s.lines[omitted:] {
		fmt.Fprintf(t.Output(), "[%s] %s\n", s.name, line)
	}
}

// MustFreeAddr is [FreeAddr] for tests.
func MustFreeAddr(t testing.TB) string {
	t.Helper()
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// MustAwaitURL is [Process.AwaitURL] for tests.
func MustAwaitURL(t testing.TB, p *Process) (url string) {
	t.Helper()
	url, err := p.AwaitURL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// Check fails the test on an error, and lets it continue: processes are also killed from goroutines of a test.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// WaitFor polls a condition until it holds, and ends the test when that takes too long.
func WaitFor(t testing.TB, condition string, within time.Duration, holds func() bool) {
	t.Helper()
	deadline := time.After(within)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not within %s: %s", within, condition)
		}
	}
}
