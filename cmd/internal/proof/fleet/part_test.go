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

	"tillstream/cmd/internal/proof/child"
)

// witness keeps what parts say and what becomes of them.
type witness struct {
	mu    sync.Mutex
	lines []string
}

func (w *witness) hear(name, line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, name+": "+line)
}

func (w *witness) heard(text string) (times int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.lines {
		if strings.Contains(line, text) {
			times++
		}
	}
	return times
}

// waitFor polls for a fact.
func waitFor(t *testing.T, what string, fact func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !fact() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func part(t *testing.T, script string) (*Part, *witness) {
	t.Helper()
	var w witness
	p := newPart(child.Command{Name: "part", Path: "/bin/sh", Args: []string{"-c", script}}, w.hear)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Kill(), p.finish()); err != nil {
			t.Error(err)
		}
	})
	return p, &w
}

func TestPartThatFallsIsStartedAgain(t *testing.T) {
	t.Parallel()
	p, w := part(t, "echo born; exit 7")
	waitFor(t, "it fell twice", func() bool { return p.Falls() >= 2 })
	if w.heard("born") < 2 || w.heard("ended by itself: exit status 7") < 2 {
		t.Errorf("heard %q", w.lines)
	}
}

func TestPartThatIsKilledStaysDownUntilItIsStarted(t *testing.T) {
	t.Parallel()
	p, w := part(t, "trap 'exit 0' TERM; echo born; while :; do sleep 0.01; done")
	waitFor(t, "it is born", func() bool { return w.heard("born") == 1 })
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	p.watch.Wait() // its supervisor has seen the end and left it alone
	if p.Falls() != 0 || w.heard("born") != 1 {
		t.Errorf("fell %d times, heard %q", p.Falls(), w.lines)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is born again", func() bool { return w.heard("born") == 2 })
	if err := p.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestMissingProgramsAreNamed(t *testing.T) {
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
		t.Errorf("got %v", err)
	}
	if len(Names()) != len(Packages()) {
		t.Errorf("%d programs of %d packages", len(Names()), len(Packages()))
	}
}
