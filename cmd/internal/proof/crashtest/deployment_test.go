//go:build unix

package crashtest_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
)

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == parallel })
	deployments := "6" // concurrent ones unless -parallel is given: most of the time they wait
	if proc.Raced {
		deployments = "2"
	}
	if !given {
		if err := flag.Set(parallel, deployments); err != nil {
			fmt.Fprintln(os.Stderr, "set -parallel:", err)
			os.Exit(1)
		}
	}
	os.Exit(proc.Main(m))
}

const parallel = "test.parallel"

// Settings of both deployments. A reservation outlasts a lease (5 s), after which another process takes over from a dead one,
// so that every shopper has time to pay.
const (
	holdFor      = "30s"
	sweepEvery   = "3s"
	smtpDeadline = "2s"
)

// deployment is a running shop of one or several processes. It keeps its addresses when processes are restarted.
type deployment struct {
	kind  string      // "single" or "fleet"
	shop  target.Shop // Ops has the items and, in one process, the orders
	ops   string      // where the orders of a fleet are; "" for one process
	dir   string      // directory of the failpoint files; see selectProgram
	slots []*slot
}

func newDeployment(t *testing.T, kind string) *deployment {
	t.Helper()
	d := &deployment{kind: kind, dir: t.TempDir()}
	if err := os.Mkdir(filepath.Dir(d.armedFile()), 0o755); err != nil {
		t.Fatal(err)
	}
	return d
}

// armedFile is the file with the armed failpoint, if there is one.
func (d *deployment) armedFile() string { return filepath.Join(d.dir, "armed", "failpoint") }

// failpointFile is the FAILPOINT_FILE of the processes of one program.
func (d *deployment) failpointFile(program string) string {
	return filepath.Join(d.dir, program, "failpoint")
}

// selectProgram chooses the program whose processes see the armed failpoint, or all for "". The processes of each program look
// for the file through a link of their own, which leads to it or to nowhere. The first process that takes the file is the
// victim.
func (d *deployment) selectProgram(t *testing.T, program string) {
	t.Helper()
	for _, s := range d.slots {
		link, to := filepath.Dir(d.failpointFile(s.program)), "armed"
		if program != "" && s.program != program {
			to = "nowhere"
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
}

// slot is a place for a process, with one process after another.
type slot struct {
	program string // that runs in it
	addr    string // of its API, in a fleet
	command proc.Command
	open    func(t *testing.T, child *proc.Process) // waits until the process is ready
	starts  int
	child   *proc.Process
}

// start starts the next process and waits until it is ready.
func (s *slot) start(t *testing.T) {
	t.Helper()
	s.launch(t)
	s.open(t, s.child)
}

// launch starts the next process.
func (s *slot) launch(t *testing.T) {
	t.Helper()
	s.starts++
	command := s.command
	command.Name = fmt.Sprintf("%s #%d", command.Name, s.starts)
	s.child = proc.MustStart(t, command)
}

// arm arms a failpoint for all processes of its program, atomically.
func (d *deployment) arm(t *testing.T, where site) {
	t.Helper()
	d.selectProgram(t, where.program)
	draft := filepath.Join(d.dir, "draft")
	if err := os.WriteFile(draft, []byte(where.Trigger.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(draft, d.armedFile()); err != nil {
		t.Fatal(err)
	}
}

// disarm removes the armed failpoint. It reports whether no process had reached it.
func (d *deployment) disarm(t *testing.T) bool {
	t.Helper()
	err := os.Remove(d.armedFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// triggered returns the slot of the process that has reached the failpoint, or nil.
func (d *deployment) triggered(t *testing.T) *slot {
	t.Helper()
	files, err := filepath.Glob(d.armedFile() + ".*")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Ext(files[0]), "."))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	for _, s := range d.slots {
		if s.child.Pid() == pid {
			return s
		}
	}
	t.Fatalf("process %d has reached the failpoint and is not part of the deployment", pid)
	return nil
}

// awaitTriggered waits until a process has reached the failpoint.
func (d *deployment) awaitTriggered(t *testing.T) (victim *slot) {
	t.Helper()
	proc.WaitFor(t, "a process reaches the failpoint", triggerTime, func() bool {
		victim = d.triggered(t)
		return victim != nil
	})
	return victim
}

// awaitDeath waits until a process that has killed itself has ended.
func awaitDeath(t *testing.T, s *slot) {
	t.Helper()
	select {
	case <-s.child.Done():
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: still running 10s after it reached the failpoint", s.child.Name)
	}
}
