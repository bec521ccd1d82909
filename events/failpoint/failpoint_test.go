//go:build unix

package failpoint_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tillstream/events/failpoint"
)

// The test binary is also the process with failpoints: these variables configure it.
const (
	envKill, envStop, envFile = "TEST_FAILPOINT_KILL", "TEST_FAILPOINT_STOP", "TEST_FAILPOINT_FILE"
	envChild                  = "TEST_FAILPOINT_CHILD"
)

func TestMain(m *testing.M) {
	if os.Getenv(envChild) == "" {
		os.Exit(m.Run())
	}
	if err := failpoint.Arm(failpoint.Config{Kill: os.Getenv(envKill), Stop: os.Getenv(envStop), File: os.Getenv(envFile)}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	passPoints(os.Stdin, os.Stdout)
}

// passPoints passes one point per line of its input and then prints the line.
func passPoints(in io.Reader, out io.Writer) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		point, place, placed := strings.Cut(lines.Text(), "@")
		if placed {
			failpoint.AtPlace(place, point)
		} else {
			failpoint.At(point)
		}
		fmt.Fprintln(out, "passed", lines.Text())
	}
}

// child is a process with failpoints.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, env ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &child{cmd: exec.CommandContext(t.Context(), self)}
	p.cmd.Env = append(env, envChild+"=1")
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have exited
		_ = p.cmd.Wait()         // the test has checked the exit status
	})
	return p
}

// send makes the process pass a point.
func (p *child) send(t *testing.T, point string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, point); err != nil {
		t.Fatal(err)
	}
}

// passes checks that the process runs on after a point.
func (p *child) passes(t *testing.T, point string) {
	t.Helper()
	p.send(t, point)
	if !p.out.Scan() || p.out.Text() != "passed "+point {
		t.Fatalf("at %s: got output %q, want it passed", point, p.out.Text())
	}
}

// dies checks that the process is killed at a point.
func (p *child) dies(t *testing.T, point string) {
	t.Helper()
	p.send(t, point)
	if p.out.Scan() {
		t.Fatalf("at %s: got output %q, want none", point, p.out.Text())
	}
	if err := p.cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("at %s: got %v, want signal: killed", point, err)
	}
}

// stops checks that the process stops at a point, and continues after SIGCONT.
func (p *child) stops(t *testing.T, point string) {
	t.Helper()
	p.send(t, point)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("at %s: got status %v, %v; want stopped", point, status, err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !p.out.Scan() || p.out.Text() != "passed "+point {
		t.Fatalf("after %s: got output %q, want it passed", point, p.out.Text())
	}
}

func TestKillTriggerCountsThePassesOfItsPlace(t *testing.T) {
	t.Parallel()
	p := start(t, envKill+"=act.done@payments.stripe:2")
	p.passes(t, "act.done@payments.stripe")
	p.passes(t, "act.done@notifications.mail")
	p.passes(t, "act.begun@payments.stripe")
	p.dies(t, "act.done@payments.stripe")
}

func TestKillTriggerWithoutPlaceCountsEveryPlace(t *testing.T) {
	t.Parallel()
	p := start(t, envKill+"=act.done:2")
	p.passes(t, "act.done@payments.stripe")
	p.dies(t, "act.done@notifications.mail")
}

func TestStopTriggerStopsTheProcessOnce(t *testing.T) {
	t.Parallel()
	p := start(t, envStop+"=http.order_stored")
	p.passes(t, "http.order_received")
	p.stops(t, "http.order_stored")
	p.passes(t, "http.order_stored")
}

// Of two processes, the first that reaches the point is killed, and the file then has its process id.
func TestTriggerInAFileAffectsOneProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "trap")
	first, second := start(t, envFile+"="+file), start(t, envFile+"="+file)
	first.passes(t, "checkpoint.saved@orders")
	writeTrigger(t, file, failpoint.Trigger{Point: "checkpoint.saved", Pass: 2})
	for _, p := range []*child{first, second} {
		p.passes(t, "checkpoint.saved@orders") // each process counts on its own, from when the file exists
	}
	first.dies(t, "checkpoint.saved@inventory")
	second.passes(t, "checkpoint.saved@orders")
	if _, err := os.Stat(fmt.Sprintf("%s.%d", file, first.cmd.Process.Pid)); err != nil {
		t.Error(err)
	}
	writeTrigger(t, file, failpoint.Trigger{Point: "checkpoint.saved", Pass: 1, Stop: true})
	second.stops(t, "checkpoint.saved@orders")
	second.passes(t, "checkpoint.saved@orders")
}

// writeTrigger creates the file in one step.
func writeTrigger(t *testing.T, file string, trigger failpoint.Trigger) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(trigger.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}
