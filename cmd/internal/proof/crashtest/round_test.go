//go:build unix

package crashtest_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events/replay"
)

// reaching is how long shoppers come before a point counts as one that nobody gets to. An order that is not paid takes
// the hold's 30 s to get to the last of them.
const reaching = 75 * time.Second

// endure is one round: somebody is hurt at a moment while shoppers come, and the shop gets over it.
func endure(t *testing.T, c *crowd, trap site) {
	began := time.Now()
	before := len(c.shoppers)
	hurt := c.spring(t, trap)
	if hurt == nil {
		t.Errorf("%s: nobody got there in %s", trap, reaching)
		return
	}
	c.world.recover(t, hurt, trap)
	c.waitFor(t, payers(c.shoppers[before:]))
	c.waitFor(t, []*shopper{c.enter(pays)}) // business goes on
	c.world.alive(t)
	c.verify(t)
	t.Logf("%s: %s got over it in %s, with %d shoppers", trap, hurt.child.Name, time.Since(began).Round(100*time.Millisecond), len(c.shoppers)-before)
}

// spring lays a trap and sends shoppers until somebody has got to it. It returns who, or nil.
func (c *crowd) spring(t *testing.T, trap site) *member {
	t.Helper()
	var hurt *member
	c.world.lay(t, trap)
	c.streamIn(func() bool {
		hurt = c.world.sprung(t)
		return hurt != nil
	}, reaching)
	if hurt == nil && !c.world.lift(t) {
		hurt = c.world.sprung(t) // at the last moment
	}
	return hurt
}

// recover does what a supervisor does for one that has died. One that stands still is left so for twice as long as it
// takes a standby to step in, and then goes on with what it had in hand.
func (w *world) recover(t *testing.T, hurt *member, trap site) {
	t.Helper()
	if !trap.Stop {
		dead(t, hurt)
		hurt.start(t)
		return
	}
	<-time.After(2 * w.lease(t, hurt)) // the time is the point here: there is no fact to wait for
	proc.Check(t, hurt.child.Signal(syscall.SIGCONT))
	hurt.open(t, hurt.child)
}

// defaultLease is how long a lease lasts where the broker itself stands still and cannot be asked.
const defaultLease = 5 * time.Second

// lease is how long a lane stays with a process that is silent.
func (w *world) lease(t *testing.T, hurt *member) time.Duration {
	t.Helper()
	if w.kind == "single" {
		return defaultLease
	}
	reader, done, err := w.shop.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	lanes, err := reader.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(lanes, func(l replay.Lane) bool { return l.Holder != "" }) {
		t.Fatalf("nobody has a lease; who takes over from %s?", hurt.child.Name)
	}
	return reader.Log().LeaseTTL()
}

// alive expects that nobody has ended who was not hurt, and starts anew who has.
func (w *world) alive(t *testing.T) {
	t.Helper()
	for _, m := range w.members {
		select {
		case <-m.child.Done():
			t.Errorf("%s has ended by itself", m.child.Name)
			m.start(t)
		default:
		}
	}
}

// verify runs the invariant checker until it has nothing to object to, for a minute at most: that is how long an order
// may take to its end. Nothing is excused for being young, but an order may wait for its shopper until its time is up.
func (c *crowd) verify(t *testing.T) invariants.Report {
	t.Helper()
	var report invariants.Report
	var err error
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(time.Minute); !report.OK && time.Now().Before(deadline); <-again.C {
		report, err = c.check(t)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range report.Findings {
		t.Errorf("%s %s %s", finding.Invariant, finding.Subject, finding.Detail)
	}
	for _, check := range report.Checks {
		if check.Skipped != "" {
			t.Errorf("%s was not checked: %s", check.Invariant, check.Skipped)
		}
	}
	return report
}

// check looks at the shop once. It may be too busy to be looked at.
func (c *crowd) check(t *testing.T) (invariants.Report, error) {
	t.Helper()
	options, done, err := invariants.Attach(t.Context(), c.world.shop)
	if err != nil {
		return invariants.Report{}, err
	}
	defer done()
	options.Acknowledged = c.acknowledged()
	options.Settle, options.Patience, options.ArchivePatience = time.Nanosecond, time.Nanosecond, 10*time.Second
	return invariants.Check(t.Context(), options)
}

// close waits until everybody has left and has a mail, and expects that the books say the same as the shoppers.
func (c *crowd) close(t *testing.T) {
	t.Helper()
	c.waitFor(t, c.shoppers)
	c.mailed(t)
	report := c.verify(t)
	ends := map[string]int{}
	for _, s := range c.shoppers {
		ends[s.end]++
	}
	for status, n := range ends {
		if report.Counts.ByStatus[status] != n {
			t.Errorf("%d shoppers saw their order %q, the log has %d", n, status, report.Counts.ByStatus[status])
		}
	}
	if report.Counts.Orders != len(c.shoppers) {
		t.Errorf("%d shoppers have placed %d orders", len(c.shoppers), report.Counts.Orders)
	}
	t.Logf("%s: %d orders, %v", c.world.kind, report.Counts.Orders, ends)
}
