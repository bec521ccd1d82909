//go:build unix

package crashtest_test

import (
	"syscall"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// closing is how long a process may take to end after SIGTERM.
const closing = 30 * time.Second

// Row 59 of the fault matrix: every process is asked to end while shoppers come. Each does in time and in good order, no
// order that was answered is lost, and what is delivered again afterwards changes nothing.
func TestAskedToEndUnderLoad(t *testing.T) {
	t.Parallel()
	for kind, open := range map[string]func(*testing.T) *world{
		"single": func(t *testing.T) *world { t.Helper(); return openSingle(t, patiently) },
		"fleet":  openFleet,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := openDoors(t, open(t), "hurried")
			c.rush(40)
			proc.WaitFor(t, "some of them have their order", time.Minute, func() bool { return c.taken.Load() >= 5 })
			began := time.Now()
			c.world.askToEnd(t)
			c.rush(20) // they find the door closing
			c.world.ended(t, began.Add(closing))
			t.Logf("closed after %s, when %d of %d had their order", time.Since(began).Round(time.Millisecond), c.taken.Load(), len(c.shoppers))
			c.world.startAll(t)
			c.waitFor(t, c.shoppers)
			c.saidOnce(t)
			c.close(t)
		})
	}
}

// rush sends many at once who want to pay.
func (c *crowd) rush(shoppers int) {
	for range shoppers {
		c.enter(pays)
	}
}

// askToEnd sends SIGTERM to everything that runs, all at once, as a machine does that shuts down.
func (w *world) askToEnd(t *testing.T) {
	t.Helper()
	for _, m := range w.members {
		proc.Check(t, m.child.Signal(syscall.SIGTERM))
	}
}

// ended expects everybody to have ended well in time.
func (w *world) ended(t *testing.T, deadline time.Time) {
	t.Helper()
	for _, m := range w.members {
		proc.Check(t, m.child.Wait(time.Until(deadline)))
	}
}

// startAll starts a process in every place.
func (w *world) startAll(t *testing.T) {
	t.Helper()
	for _, m := range w.members {
		m.begin(t)
	}
	for _, m := range w.members {
		m.open(t, m.child)
	}
}
