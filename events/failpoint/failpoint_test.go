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

// The test binary is also the process that is hurt: these variables arm it.
const (
	envKill, envStop, envFile = "TEST_FAILPOINT_KILL", "TEST_FAILPOINT_STOP", "TEST_FAILPOINT_FILE"
	envVictim                 = "TEST_FAILPOINT_VICTIM"
)

func TestMain(m *testing.M) {
	if os.Getenv(envVictim) == "" {
		os.Exit(m.Run())
	}
	if err := failpoint.Arm(failpoint.Config{Kill: os.Getenv(envKill), Stop: os.Getenv(envStop), File: os.Getenv(envFile)}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	victim(os.Stdin, os.Stdout)
}

// victim passes a point per line that it is told, and says so afterwards.
func victim(in io.Reader, out io.Writer) {
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

// process is a victim under observation.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(t.Context(), self)}
	p.cmd.Env = append(env, envVictim+"=1")
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
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()         // how is what the test has looked at
	})
	return p
}

// tell sends the process to a point.
func (p *process) tell(t *testing.T, point string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, point); err != nil {
		t.Fatal(err)
	}
}

// passes expects the process to live on after a point.
func (p *process) passes(t *testing.T, point string) {
	t.Helper()
	p.tell(t, point)
	if !p.out.Scan() || p.out.Text() != "passed "+point {
		t.Fatalf("at %s it said %q", point, p.out.Text())
	}
}

// dies expects the process to be killed without a word.
func (p *process) dies(t *testing.T, point string) {
	t.Helper()
	p.tell(t, point)
	if p.out.Scan() {
		t.Fatalf("at %s it said %q", point, p.out.Text())
	}
	if err := p.cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("at %s it ended with %v", point, err)
	}
}

// stands expects the process to stand still, and to go on when it is told to.
func (p *process) stands(t *testing.T, point string) {
	t.Helper()
	p.tell(t, point)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("at %s it is %v: %v", point, status, err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !p.out.Scan() || p.out.Text() != "passed "+point {
		t.Fatalf("after %s it said %q", point, p.out.Text())
	}
}

func TestAProcessDiesWhereItIsToldTo(t *testing.T) {
	t.Parallel()
	p := start(t, envKill+"=act.done@payments.stripe:2")
	p.passes(t, "act.done@payments.stripe")
	p.passes(t, "act.done@notifications.mail")
	p.passes(t, "act.begun@payments.stripe")
	p.dies(t, "act.done@payments.stripe")
}

func TestAPlacedPointIsMetAnywhere(t *testing.T) {
	t.Parallel()
	p := start(t, envKill+"=act.done:2")
	p.passes(t, "act.done@payments.stripe")
	p.dies(t, "act.done@notifications.mail")
}

func TestAProcessStandsStillOnce(t *testing.T) {
	t.Parallel()
	p := start(t, envStop+"=http.order_stored")
	p.passes(t, "http.order_received")
	p.stands(t, "http.order_stored")
	p.passes(t, "http.order_stored")
}

// Of two processes the first at the moment is hurt, and it leaves its name.
func TestATrapInAFileIsForOne(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "trap")
	first, second := start(t, envFile+"="+file), start(t, envFile+"="+file)
	first.passes(t, "checkpoint.saved@orders")
	lay(t, file, failpoint.Trigger{Point: "checkpoint.saved", Pass: 2})
	for _, p := range []*process{first, second} {
		p.passes(t, "checkpoint.saved@orders") // each counts for itself, from when the trap was laid
	}
	first.dies(t, "checkpoint.saved@inventory")
	second.passes(t, "checkpoint.saved@orders")
	if _, err := os.Stat(fmt.Sprintf("%s.%d", file, first.cmd.Process.Pid)); err != nil {
		t.Error(err)
	}
	lay(t, file, failpoint.Trigger{Point: "checkpoint.saved", Pass: 1, Stop: true})
	second.stands(t, "checkpoint.saved@orders")
	second.passes(t, "checkpoint.saved@orders")
}

// lay puts a trap in place in one step.
func lay(t *testing.T, file string, trap failpoint.Trigger) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(trap.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}
