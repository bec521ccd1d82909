package processtest

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/child"
)

// starting is how long a process may take to say where it listens. Ten of them on two busy cores take their time.
const starting = 60 * time.Second

// Command is a process to start. Of the test's own environment it gets only what every program needs, so that settings
// of the machine do not leak in.
type Command struct {
	Name string // in the test's output
	Path string
	Args []string
	Env  []string // NAME=value
}

// Child is a process that was started.
type Child struct {
	Name string

	process *child.Child
}

// Start starts a process. It is killed when the test ends, unless it has ended before.
func Start(t testing.TB, c Command) *Child {
	t.Helper()
	said := &transcript{name: c.Name}
	hear := said.add
	if testing.Verbose() {
		hear = func(line string) { fmt.Fprintf(t.Output(), "[%s] %s\n", c.Name, line) }
	}
	process, err := child.Start(child.Command{Name: c.Name, Path: c.Path, Args: c.Args, Env: c.Env, Hear: hear})
	if err != nil {
		t.Fatal(err)
	}
	started := &Child{Name: c.Name, process: process}
	t.Cleanup(func() {
		started.Kill(t)
		if err := process.Problem(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			said.tell(t)
		}
	})
	return started
}

// told is how many of a process's last lines are told of it. The rest is seen with -v.
const told = 15

// transcript is what a process said. Its end is told after the test has failed, so that the test's own words come first
// and are not lost among those of others: a cluster of brokers says some hundred lines before anything happens.
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

func (s *transcript) tell(t testing.TB) {
	s.mu.Lock()
	defer s.mu.Unlock()
	untold := max(0, len(s.lines)-told)
	if untold > 0 {
		fmt.Fprintf(t.Output(), "[%s] (%d earlier lines)\n", s.name, untold)
	}
	for _, line := range s.lines[untold:] {
		fmt.Fprintf(t.Output(), "[%s] %s\n", s.name, line)
	}
}

// Says waits for a line on standard output and returns what the expression's first group matched.
func (c *Child) Says(t testing.TB, line *regexp.Regexp) (group string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), starting)
	defer cancel()
	group, err := c.process.Says(ctx, line)
	if err != nil {
		t.Fatal(err)
	}
	return group
}

var listens = regexp.MustCompile(`listens on (http://\S+)$`)

// Listens waits until one of our programs has said where it serves.
func (c *Child) Listens(t testing.TB) (url string) {
	t.Helper()
	return c.Says(t, listens)
}

// Signal sends a signal to a process that runs.
func (c *Child) Signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := c.process.Signal(signal); err != nil {
		t.Error(err)
	}
}

// Kill ends the process without a good-bye, as kill -9 does, and returns when it is gone. One that has ended stays so.
func (c *Child) Kill(t testing.TB) {
	t.Helper()
	if err := c.process.Kill(); err != nil {
		t.Error(err)
	}
}

// Stop asks the process to end, as its supervisor would, and expects it to do so in time and in good order.
func (c *Child) Stop(t testing.TB, within time.Duration) {
	t.Helper()
	if err := c.process.Terminate(); err != nil {
		t.Error(err)
	}
	c.Stopped(t, within)
}

// Stopped expects a process that was asked to end to do so in time and in good order.
func (c *Child) Stopped(t testing.TB, within time.Duration) {
	t.Helper()
	if err := c.process.Stopped(within); err != nil {
		t.Error(err)
	}
}

// Pid is the process's id.
func (c *Child) Pid() int { return c.process.Pid() }

// Ended is closed when the process has ended.
func (c *Child) Ended() <-chan struct{} { return c.process.Ended() }

// WaitFor polls for a fact.
func WaitFor(t testing.TB, what string, within time.Duration, fact func() bool) {
	t.Helper()
	deadline := time.After(within)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !fact() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited %s in vain until %s", within, what)
		}
	}
}
