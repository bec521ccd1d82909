//go:build unix

package fleet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// recorder keeps the output of services and the reports about them.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) add(name, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, name+": "+line)
}

// count returns how many lines contain a text.
func (r *recorder) count(text string) (lines int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if strings.Contains(line, text) {
			lines++
		}
	}
	return lines
}

func startScript(t *testing.T, script string) (*Service, *recorder) {
	t.Helper()
	var r recorder
	s := newService(proc.Command{Name: "service", Path: "/bin/sh", Args: []string{"-c", script}}, r.add)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proc.Check(t, s.Kill())
		proc.Check(t, s.close())
	})
	return s, &r
}

func TestServiceThatExitsIsRestarted(t *testing.T) {
	t.Parallel()
	s, r := startScript(t, "echo started; exit 7")
	proc.WaitFor(t, "two crashes", 20*time.Second, func() bool { return s.Crashes() >= 2 })
	if r.count("started") < 2 || r.count("ended by itself: exit status 7") < 2 {
		t.Errorf("output: got %q, want two starts and two reports of exit status 7", r.lines)
	}
}

func TestKilledServiceStaysDownUntilStarted(t *testing.T) {
	t.Parallel()
	s, r := startScript(t, "trap 'exit 0' TERM; echo started; while :; do sleep 0.01; done")
	proc.WaitFor(t, "the service is started", 20*time.Second, func() bool { return r.count("started") == 1 })
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	s.supervision.Wait() // until the supervisor has seen the exit
	if s.Crashes() != 0 || r.count("started") != 1 {
		t.Errorf("after Kill: got %d crashes and output %q, want no crash and one start", s.Crashes(), r.lines)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	proc.WaitFor(t, "the service is started again", 20*time.Second, func() bool { return r.count("started") == 2 })
	if err := s.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestCheckNamesTheMissingProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range Names() {
		if name == "payments" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := Check(dir); !errors.Is(err, ErrNoProgram) || !strings.Contains(err.Error(), "payments") {
		t.Errorf("Check: got %v, want ErrNoProgram naming payments", err)
	}
	if len(Names()) != len(Packages()) {
		t.Errorf("got %d names of %d packages, want as many", len(Names()), len(Packages()))
	}
}
