package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"
)

var (
	// ErrEnded is returned when a process ended before it said what was waited for.
	ErrEnded = errors.New("the process has ended")
	// ErrStillThere is returned when a process did not end in time.
	ErrStillThere = errors.New("the process did not end in time")
)

// Command is a process to start. Of the parent's own environment it gets only what every program needs, so that settings
// of the machine do not leak in.
type Command struct {
	Name string // in messages
	Path string
	Args []string
	Env  []string          // NAME=value
	Hear func(line string) // hears what it says on both outputs, from two goroutines; default: nobody does
}

// Child is a process that was started.
type Child struct {
	Name string

	cmd   *exec.Cmd
	hear  func(line string)
	ended chan struct{} // closed when it has ended and everything that it said was heard

	mu      sync.Mutex
	said    []string // lines of its standard output
	problem error    // what kept us from listening or waiting
}

// Start starts a process.
func Start(c Command) (*Child, error) {
	child := &Child{Name: c.Name, hear: c.Hear, cmd: exec.Command(c.Path, c.Args...), ended: make(chan struct{})} //nolint:noctx // it is told how to end, or killed
	if child.hear == nil {
		child.hear = func(string) {}
	}
	child.cmd.Env = append(inherited(), c.Env...)
	dieWithParent(child.cmd)
	started := make(chan error, 1)
	go child.live(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return child, nil
}

func inherited() (env []string) {
	for _, name := range []string{"HOME", "PATH", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// live starts the process and stays until it has ended. The thread must stay too: Linux ends the child with the thread
// that started it, not with the process.
func (c *Child) live(started chan<- error) {
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
	listening.Go(func() { c.listen(out, c.remember) })
	listening.Go(func() { c.listen(complaints, func(string) {}) })
	listening.Wait()
	var exit *exec.ExitError
	if err := c.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		c.report(fmt.Errorf("wait for %s: %w", c.Name, err))
	}
}

// listen passes on what the process says, line by line, to whoever is interested.
func (c *Child) listen(from io.Reader, interested func(line string)) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		interested(lines.Text())
		c.hear(lines.Text())
	}
	if err := lines.Err(); err != nil {
		c.report(fmt.Errorf("read what %s says: %w", c.Name, err))
	}
}

func (c *Child) remember(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, line)
}

func (c *Child) report(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problem = errors.Join(c.problem, err)
}

// Problem is what kept us from hearing it out; nil when nothing did. It is complete once the process has ended.
func (c *Child) Problem() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problem
}

// Says waits for a line on standard output and returns what the expression's first group matched. It returns [ErrEnded]
// when the process ends before.
func (c *Child) Says(ctx context.Context, line *regexp.Regexp) (group string, err error) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		ended := c.HasEnded() // asked first, so that its last words count
		if group, ok := c.hasSaid(line); ok {
			return group, nil
		}
		if ended {
			return "", fmt.Errorf("wait until %s says %q: %w: %s", c.Name, line, ErrEnded, c.cmd.ProcessState)
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait until %s says %q: %w", c.Name, line, ctx.Err())
		case <-ticker.C:
		}
	}
}

func (c *Child) hasSaid(line *regexp.Regexp) (group string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, said := range c.said {
		if match := line.FindStringSubmatch(said); match != nil {
			return match[1], true
		}
	}
	return "", false
}

// Signal sends a signal to a process that runs.
func (c *Child) Signal(signal os.Signal) error {
	if err := c.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("send %s to %s: %w", signal, c.Name, err)
	}
	return nil
}

// Kill ends the process without a good-bye, as kill -9 does, and returns when it is gone. One that has ended stays so.
func (c *Child) Kill() error {
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", c.Name, err)
	}
	<-c.ended
	return nil
}

// Terminate asks the process to end, as its supervisor would.
func (c *Child) Terminate() error { return c.Signal(syscall.SIGTERM) }

// Stopped waits for a process that was asked to end, and expects it to do so in time and in good order. It returns
// [ErrStillThere], or how it ended otherwise.
func (c *Child) Stopped(within time.Duration) error {
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-c.ended:
		if state := c.cmd.ProcessState; !state.Success() {
			return fmt.Errorf("%s ended with %s, want exit status 0", c.Name, state)
		}
		return nil
	case <-late.C:
		return fmt.Errorf("stop %s within %s: %w", c.Name, within, ErrStillThere)
	}
}

// Pid is the process's id.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// HasEnded reports whether the process has ended.
func (c *Child) HasEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// Exit says how the process ended. It may be asked only after it has.
func (c *Child) Exit() string { return c.cmd.ProcessState.String() }
