package proc

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
	// ErrExited is returned when a process exits before it prints the line that is awaited.
	ErrExited = errors.New("process has exited")
	// ErrStillRunning is returned when a process does not exit in time.
	ErrStillRunning = errors.New("process did not exit in time")
)

// startTimeout bounds the time until a process prints where it listens. Ten processes that start on two busy cores need
// much of it.
const startTimeout = 60 * time.Second

// Command describes a process to start. The process inherits only HOME, PATH and TMPDIR from its parent's environment, so
// that no setting of the machine changes its behaviour.
type Command struct {
	Name   string // in messages
	Path   string
	Args   []string
	Env    []string          // NAME=value
	Output func(line string) // receives each line of both outputs, from two goroutines; default: lines are discarded
}

// Process is a process that was started.
type Process struct {
	Name string

	cmd    *exec.Cmd
	output func(line string)
	done   chan struct{} // closed when the process has exited and its output is read

	mu     sync.Mutex
	stdout []string // lines
	err    error    // from reading the output and from waiting
}

// Start starts a process.
func Start(c Command) (*Process, error) {
	p := &Process{Name: c.Name, output: c.Output, cmd: exec.Command(c.Path, c.Args...), done: make(chan struct{})} //nolint:noctx // it is stopped or killed explicitly
	if p.output == nil {
		p.output = func(string) {}
	}
	p.cmd.Env = append(inherited(), c.Env...)
	killWithParent(p.cmd)
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return p, nil
}

func inherited() (env []string) {
	for _, name := range []string{"HOME", "PATH", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// run starts the process and returns when it has exited. It locks its thread: Linux kills the process when the thread that
// started it ends, not when the parent process ends.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		started <- err
		return
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		started <- err
		return
	}
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	var reading sync.WaitGroup
	reading.Go(func() { p.read(stdout, p.keep) })
	reading.Go(func() { p.read(stderr, func(string) {}) })
	reading.Wait()
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		p.fail(fmt.Errorf("wait for %s: %w", p.Name, err))
	}
}

// read passes each line of an output to keep and to the command's Output function.
func (p *Process) read(from io.Reader, keep func(line string)) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		keep(lines.Text())
		p.output(lines.Text())
	}
	if err := lines.Err(); err != nil {
		p.fail(fmt.Errorf("read output of %s: %w", p.Name, err))
	}
}

func (p *Process) keep(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stdout = append(p.stdout, line)
}

func (p *Process) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = errors.Join(p.err, err)
}

// Err returns the errors from reading the process's output and from waiting for its exit. It is complete once the process
// has exited.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// AwaitLine waits up to a minute for a line on standard output and returns what the expression's first group matched. It
// returns [ErrExited] when the process exits first.
func (p *Process) AwaitLine(ctx context.Context, line *regexp.Regexp) (group string, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		exited := p.Exited() // before the search, so that the last lines are searched too
		if group, ok := p.find(line); ok {
			return group, nil
		}
		if exited {
			return "", fmt.Errorf("wait for %s to print %q: %w: %s", p.Name, line, ErrExited, p.ExitStatus())
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for %s to print %q: %w", p.Name, line, ctx.Err())
		case <-ticker.C:
		}
	}
}

var listensOn = regexp.MustCompile(`listens on (https?://\S+)$`)

// AwaitURL waits up to a minute until a program of this module has printed the address on which it serves HTTP or HTTPS.
func (p *Process) AwaitURL(ctx context.Context) (url string, err error) {
	return p.AwaitLine(ctx, listensOn)
}

func (p *Process) find(line *regexp.Regexp) (group string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, printed := range p.stdout {
		if match := line.FindStringSubmatch(printed); match != nil {
			return match[1], true
		}
	}
	return "", false
}

// Signal sends a signal to a running process.
func (p *Process) Signal(signal os.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("send %s to %s: %w", signal, p.Name, err)
	}
	return nil
}

// Kill ends the process with SIGKILL and returns when it has exited. It does nothing if the process has already exited.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.Name, err)
	}
	<-p.done
	return nil
}

// Stop sends SIGTERM, as a supervisor does, and waits as [Process.Wait] does.
func (p *Process) Stop(within time.Duration) error {
	return errors.Join(p.Signal(syscall.SIGTERM), p.Wait(within))
}

// Wait waits for a process that was told to stop. It returns [ErrStillRunning], or an error with the exit status if that
// is not 0.
func (p *Process) Wait(within time.Duration) error {
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	select {
	case <-p.done:
		if !p.cmd.ProcessState.Success() {
			return fmt.Errorf("%s ended with %s, want exit status 0", p.Name, p.ExitStatus())
		}
		return nil
	case <-timeout.C:
		return fmt.Errorf("stop %s within %s: %w", p.Name, within, ErrStillRunning)
	}
}

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done returns a channel that is closed when the process has exited.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exited reports whether the process has exited.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// ExitStatus returns how the process exited, such as "exit status 1". It must be called only after the exit.
func (p *Process) ExitStatus() string { return p.cmd.ProcessState.String() }
