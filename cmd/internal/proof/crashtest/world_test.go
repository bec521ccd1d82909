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
	worlds := "6" // are hurt at a time unless -parallel says otherwise: most of the time they wait
	if proc.Raced {
		worlds = "2"
	}
	if !given {
		if err := flag.Set(parallel, worlds); err != nil {
			fmt.Fprintln(os.Stderr, "set how many worlds there are at a time:", err)
			os.Exit(1)
		}
	}
	os.Exit(proc.Main(m))
}

const parallel = "test.parallel"

// The settings that both worlds share. A hold outlasts the time after which another process takes up what a dead one had
// in hand (5 s, which is how long its leases last), so that whoever wants to pay can.
const (
	holdFor      = "30s"
	sweepEvery   = "3s"
	smtpDeadline = "2s"
)

// world is a shop that runs, in one process or in many, and that keeps its addresses whoever is killed.
type world struct {
	kind    string // of two: "single" or "fleet"
	shop    target.Shop
	traps   string // the directory in which all processes look for a trap; see aim
	members []*member
}

func newWorld(t *testing.T, kind string) *world {
	t.Helper()
	w := &world{kind: kind, traps: t.TempDir()}
	if err := os.Mkdir(filepath.Dir(w.armed()), 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

// armed is the file that holds the trap when one is laid.
func (w *world) armed() string { return filepath.Join(w.traps, "armed", "trap") }

// trapOf is where the processes of one program look for a trap.
func (w *world) trapOf(program string) string { return filepath.Join(w.traps, program, "trap") }

// aim chooses for whom a trap is laid, "" for all. The processes of each program look for it through a link of their own,
// which leads to the trap or to nowhere, so that of those who find it one is hurt.
func (w *world) aim(t *testing.T, program string) {
	t.Helper()
	for _, m := range w.members {
		link, to := filepath.Dir(w.trapOf(m.program)), "armed"
		if program != "" && m.program != program {
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

// member is a place for a process. When one has died there comes the next.
type member struct {
	program string // what runs there
	addr    string // of its API, in a fleet
	command proc.Command
	open    func(t *testing.T, child *proc.Process) // waits until it can work
	starts  int
	child   *proc.Process
}

// start starts the next process of a place and waits until it can work.
func (m *member) start(t *testing.T) {
	t.Helper()
	m.begin(t)
	m.open(t, m.child)
}

// begin starts the next process of a place.
func (m *member) begin(t *testing.T) {
	t.Helper()
	m.starts++
	command := m.command
	command.Name = fmt.Sprintf("%s #%d", command.Name, m.starts)
	m.child = proc.MustStart(t, command)
}

// lay lays a trap for all processes of its program, in one step.
func (w *world) lay(t *testing.T, trap site) {
	t.Helper()
	w.aim(t, trap.program)
	draft := filepath.Join(w.traps, "draft")
	if err := os.WriteFile(draft, []byte(trap.Trigger.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(draft, w.armed()); err != nil {
		t.Fatal(err)
	}
}

// lift takes a trap away that nobody has got to. It reports whether it was still there.
func (w *world) lift(t *testing.T) bool {
	t.Helper()
	err := os.Remove(w.armed())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// sprung returns the member that has got to the trap, nil as long as nobody has.
func (w *world) sprung(t *testing.T) *member {
	t.Helper()
	files, err := filepath.Glob(w.armed() + ".*")
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
	for _, m := range w.members {
		if m.child.Pid() == pid {
			return m
		}
	}
	t.Fatalf("process %d was hurt, and is none of ours", pid)
	return nil
}

// awaitSprung waits until somebody has got to the trap.
func (w *world) awaitSprung(t *testing.T) (hurt *member) {
	t.Helper()
	proc.WaitFor(t, "somebody has got to the trap", reaching, func() bool {
		hurt = w.sprung(t)
		return hurt != nil
	})
	return hurt
}

// dead waits until a process that has killed itself is gone.
func dead(t *testing.T, m *member) {
	t.Helper()
	select {
	case <-m.child.Done():
	case <-time.After(10 * time.Second):
		t.Fatalf("%s has got to the trap and lives", m.child.Name)
	}
}
