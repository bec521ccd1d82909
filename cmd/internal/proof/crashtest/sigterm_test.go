//go:build unix

package crashtest_test

import (
	"syscall"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// stopTimeout is how long a process may take to end after SIGTERM.
const stopTimeout = 30 * time.Second

// Row 59 of the fault matrix: every process gets SIGTERM under load. Each ends in time with status 0, no acknowledged order is
// lost, and redelivered events have no effect.
func TestSIGTERMUnderLoad(t *testing.T) {
	t.Parallel()
	for kind, open := range map[string]func(*testing.T) *deployment{
		"single": func(t *testing.T) *deployment { t.Helper(); return openSingle(t, longHold) },
		"fleet":  openFleet,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, open(t), "hurried")
			c.rush(40)
			proc.WaitFor(t, "5 orders are acknowledged", time.Minute, func() bool { return c.accepted.Load() >= 5 })
			began := time.Now()
			c.deployment.terminate(t)
			c.rush(20) // during the shutdown
			c.deployment.checkStopped(t, began.Add(stopTimeout))
			t.Logf("stopped after %s with %d of %d orders acknowledged", time.Since(began).Round(time.Millisecond), c.accepted.Load(), len(c.shoppers))
			c.deployment.restart(t)
			c.waitFor(t, c.shoppers)
			c.checkNoDuplicates(t)
			c.finish(t)
		})
	}
}

// rush adds many paying shoppers at once.
func (c *crowd) rush(shoppers int) {
	for range shoppers {
		c.add(pays)
	}
}

// terminate sends SIGTERM to all processes at once, as a machine does that shuts down.
func (d *deployment) terminate(t *testing.T) {
	t.Helper()
	for _, s := range d.slots {
		proc.Check(t, s.child.Signal(syscall.SIGTERM))
	}
}

// checkStopped expects all processes to end in time with status 0.
func (d *deployment) checkStopped(t *testing.T, deadline time.Time) {
	t.Helper()
	for _, s := range d.slots {
		proc.Check(t, s.child.Wait(time.Until(deadline)))
	}
}

// restart starts a process in every slot.
func (d *deployment) restart(t *testing.T) {
	t.Helper()
	for _, s := range d.slots {
		s.launch(t)
	}
	for _, s := range d.slots {
		s.open(t, s.child)
	}
}
