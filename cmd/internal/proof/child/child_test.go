//go:build unix

package child_test

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

	"tillstream/cmd/internal/proof/child"
)

// ears keep what a child says.
type ears struct {
	mu    sync.Mutex
	heard []string
}

func (e *ears) hear(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, line)
}

// script runs a shell script, which is gone when the test ends.
func script(t *testing.T, text string, env ...string) (*child.Child, *ears) {
	t.Helper()
	var e ears
	c, err := child.Start(child.Command{Name: "script", Path: "/bin/sh", Args: []string{"-c", text}, Env: env, Hear: e.hear})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Kill(), c.Problem()); err != nil {
			t.Error(err)
		}
	})
	return c, &e
}

func says(t *testing.T, c *child.Child, line string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return c.Says(ctx, regexp.MustCompile(line))
}

func TestChildIsHeardAndEndsWhenAsked(t *testing.T) {
	t.Parallel()
	c, e := script(t, `echo "at $PLACE"; echo "a complaint" >&2; trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done`, "PLACE=home")
	if place, err := says(t, c, `^at (\w+)$`); err != nil || place != "home" {
		t.Fatalf("said %q, %v", place, err)
	}
	if _, err := says(t, c, `^(ready)$`); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Terminate(), c.Stopped(10*time.Second)); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"at home", "a complaint"} {
		if !slices.Contains(e.heard, want) {
			t.Errorf("heard %q, want %q too", e.heard, want)
		}
	}
}

func TestChildThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	c, _ := script(t, `trap '' TERM; echo ready; while :; do sleep 0.01; done`)
	if _, err := says(t, c, `^(ready)$`); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Terminate(), c.Stopped(50*time.Millisecond)); !errors.Is(err, child.ErrStillThere) {
		t.Errorf("got %v", err)
	}
	if err := c.Kill(); err != nil || !c.HasEnded() {
		t.Errorf("kill: %v", err)
	}
	if err := c.Kill(); err != nil {
		t.Errorf("kill once more: %v", err)
	}
}

func TestChildThatEndsTooEarlyOrInDisorder(t *testing.T) {
	t.Parallel()
	c, _ := script(t, `exit 3`)
	if _, err := says(t, c, `^(ready)$`); !errors.Is(err, child.ErrEnded) {
		t.Errorf("got %v", err)
	}
	if err := c.Stopped(time.Second); err == nil || c.Exit() != "exit status 3" {
		t.Errorf("exit status 3 passed for good order: %v, %s", err, c.Exit())
	}
}

func TestSuspendedChildStandsStill(t *testing.T) {
	t.Parallel()
	c, e := script(t, `while :; do echo tick; sleep 0.005; done`)
	if _, err := says(t, c, `^(tick)$`); err != nil {
		t.Fatal(err)
	}
	if err := c.Suspend(); err != nil {
		t.Fatal(err)
	}
	count := func() int {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.heard)
	}
	settled(t, count)
	before := count()
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(10 * time.Second); count() == before; {
		select {
		case <-deadline:
			t.Fatal("it did not go on")
		case <-time.After(time.Millisecond):
		}
	}
}

// settled waits until a number has stayed the same for twenty ticks of the script.
func settled(t *testing.T, number func() int) {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for last, tries := -1, 0; ; tries++ {
		now := number()
		if now == last {
			return
		}
		if tries == 100 {
			t.Fatal("it goes on though it is suspended")
		}
		last = now
		<-ticker.C
	}
}

// TestAFreeAddrCanBeListenedOn also while processes start, to which whatever is open just then is passed on.
func TestAFreeAddrCanBeListenedOn(t *testing.T) {
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
		addr, err := child.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}
}
