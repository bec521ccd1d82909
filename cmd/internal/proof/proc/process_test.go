//go:build unix

package proc_test

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// recorder keeps the output of a process.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

// startScript starts a shell script, which is killed when the test ends.
func startScript(t *testing.T, text string, env ...string) (*proc.Process, *recorder) {
	t.Helper()
	var r recorder
	p, err := proc.Start(proc.Command{Name: "script", Path: "/bin/sh", Args: []string{"-c", text}, Env: env, Output: r.add})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proc.Check(t, p.Kill())
		proc.Check(t, p.Err())
	})
	return p, &r
}

func awaitLine(t *testing.T, p *proc.Process, line string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return p.AwaitLine(ctx, regexp.MustCompile(line))
}

func TestStopReturnsAfterCleanExitAndOutputIsComplete(t *testing.T) {
	t.Parallel()
	p, r := startScript(t, `echo "at $PLACE"; echo "a warning" >&2; trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done`, "PLACE=home")
	if place, err := awaitLine(t, p, `^at (\w+)$`); err != nil || place != "home" {
		t.Fatalf("first line: got %q, %v; want home", place, err)
	}
	if _, err := awaitLine(t, p, `^(ready)$`); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(10 * time.Second); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"at home", "a warning"} {
		if !slices.Contains(r.lines, want) {
			t.Errorf("output: got %q, want it to contain %q", r.lines, want)
		}
	}
}

func TestStopReportsProcessThatIgnoresSIGTERM(t *testing.T) {
	t.Parallel()
	p, _ := startScript(t, `trap '' TERM; echo ready; while :; do sleep 0.01; done`)
	if _, err := awaitLine(t, p, `^(ready)$`); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(50 * time.Millisecond); !errors.Is(err, proc.ErrStillRunning) {
		t.Errorf("Stop: got %v, want ErrStillRunning", err)
	}
	if err := p.Kill(); err != nil || !p.Exited() {
		t.Errorf("Kill: got %v, exited %t; want nil, true", err, p.Exited())
	}
	if err := p.Kill(); err != nil {
		t.Errorf("second Kill: got %v, want nil", err)
	}
}

func TestEarlyExitIsReportedWithItsStatus(t *testing.T) {
	t.Parallel()
	p, _ := startScript(t, `exit 3`)
	if _, err := awaitLine(t, p, `^(ready)$`); !errors.Is(err, proc.ErrExited) {
		t.Errorf("AwaitLine: got %v, want ErrExited", err)
	}
	if err := p.Wait(time.Second); err == nil || p.ExitStatus() != "exit status 3" {
		t.Errorf("Wait: got %v with %s, want an error with exit status 3", err, p.ExitStatus())
	}
}

func TestSuspendedProcessPrintsNothingUntilResumed(t *testing.T) {
	t.Parallel()
	p, r := startScript(t, `while :; do echo tick; sleep 0.005; done`)
	if _, err := awaitLine(t, p, `^(tick)$`); err != nil {
		t.Fatal(err)
	}
	if err := p.Suspend(); err != nil {
		t.Fatal(err)
	}
	before := -1
	proc.WaitFor(t, "no line for twenty ticks of the script", 10*time.Second, func() bool {
		last := before
		<-time.After(100 * time.Millisecond)
		before = r.count()
		return before == last
	})
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	proc.WaitFor(t, "the resumed process prints again", 10*time.Second, func() bool { return r.count() > before })
}

func TestFreeAddrReturnsEachAddressOnce(t *testing.T) {
	t.Parallel()
	var seen sync.Map
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 25 {
				addr, err := proc.FreeAddr()
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := seen.LoadOrStore(addr, true); twice {
					t.Errorf("FreeAddr: got %s twice", addr)
				}
			}
		})
	}
	callers.Wait()
}

// Processes start meanwhile: each inherits what is open in its parent at that moment, such as a listener.
func TestFreeAddrCanBeListenedOnWhileProcessesStart(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	var starts sync.WaitGroup
	defer starts.Wait()
	defer close(done)
	for range 4 {
		starts.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := exec.CommandContext(t.Context(), "true").Run(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 100 {
		listener, err := net.Listen("tcp", proc.MustFreeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}
}
