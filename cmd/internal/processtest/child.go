package processtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
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

	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended and everything that it said was heard

	mu   sync.Mutex
	said []string // lines of its standard output
}

// Start starts a process. It is killed when the test ends, unless it has ended before.
func Start(t testing.TB, c Command) *Child {
	t.Helper()
	child := &Child{Name: c.Name, cmd: exec.Command(c.Path, c.Args...), ended: make(chan struct{})} //nolint:noctx // it is told how to end, or killed
	for _, name := range []string{"HOME", "PATH", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			child.cmd.Env = append(child.cmd.Env, name+"="+value)
		}
	}
	child.cmd.Env = append(child.cmd.Env, c.Env...)
	dieWithParent(child.cmd)
	started := make(chan error, 1)
	go child.live(t, started)
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", c.Name, err)
	}
	t.Cleanup(func() { child.Kill(t) })
	return child
}

// live starts the process and stays until it has ended. The thread must stay too: Linux ends the child with the thread
// that started it, not with the process.
func (c *Child) live(t testing.TB, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.ended)
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		started <- err
		return
	}
	complaints, err := c.cmd.StderrPipe()
	if err != nil {
		started <- err
		return
	}
	if err := c.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	var listening sync.WaitGroup
	listening.Go(func() { c.hear(t, out, c.remember) })
	listening.Go(func() { c.hear(t, complaints, func(string) {}) })
	listening.Wait()
	var exit *exec.ExitError
	if err := c.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Errorf("wait for %s: %v", c.Name, err)
	}
}

// hear passes on what the process says, line by line, to the test's output and to whoever is interested.
func (c *Child) hear(t testing.TB, from io.Reader, interested func(line string)) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		interested(lines.Text())
		fmt.Fprintf(t.Output(), "[%s] %s\n", c.Name, lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Errorf("read what %s says: %v", c.Name, err)
	}
}

func (c *Child) remember(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, line)
}

// Says waits for a line on standard output and returns what the expression's first group matched.
func (c *Child) Says(t testing.TB, line *regexp.Regexp) (group string) {
	t.Helper()
	WaitFor(t, fmt.Sprintf("%s says %q", c.Name, line), starting, func() bool {
		select {
		case <-c.ended:
			t.Fatalf("%s ended (%s) before it said %q", c.Name, c.cmd.ProcessState, line)
		default:
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, said := range c.said {
			if match := line.FindStringSubmatch(said); match != nil {
				group = match[1]
				return true
			}
		}
		return false
	})
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
	if err := c.cmd.Process.Signal(signal); err != nil {
		t.Errorf("send %s to %s: %v", signal, c.Name, err)
	}
}

// Kill ends the process without a good-bye, as kill -9 does, and returns when it is gone. One that has ended stays so.
func (c *Child) Kill(t testing.TB) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill %s: %v", c.Name, err)
		return
	}
	<-c.ended
}

// Stop asks the process to end, as its supervisor would, and expects it to do so in time and in good order.
func (c *Child) Stop(t testing.TB, within time.Duration) {
	t.Helper()
	c.Signal(t, syscall.SIGTERM)
	c.Stopped(t, within)
}

// Stopped expects a process that was asked to end to do so in time and in good order.
func (c *Child) Stopped(t testing.TB, within time.Duration) {
	t.Helper()
	select {
	case <-c.ended:
		if state := c.cmd.ProcessState; !state.Success() {
			t.Errorf("%s ended with %s, want exit status 0", c.Name, state)
		}
	case <-time.After(within):
		t.Errorf("%s did not end within %s of SIGTERM", c.Name, within)
	}
}

// Pid is the process's id.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (c *Child) Ended() <-chan struct{} { return c.ended }

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
