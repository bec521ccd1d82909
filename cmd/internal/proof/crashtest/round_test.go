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

// triggerTime is how long shoppers are added before a failpoint counts as unreachable. An unpaid order reaches the last ones only
// after its reservation of 30 s has expired.
const triggerTime = 75 * time.Second

// runRound runs one round: a process is killed or suspended while shoppers come, and the shop must recover.
func runRound(t *testing.T, c *crowd, where site) {
	began := time.Now()
	before := len(c.shoppers)
	var again *replayed
	if passesReplay(where) {
		again = c.requestReplay(t)
	}
	victim := c.trigger(t, where, again)
	if victim == nil {
		t.Errorf("%s: not reached in %s", where, triggerTime)
		return
	}
	c.deployment.recoverSlot(t, victim, where)
	if again != nil {
		again.finish(t, c, where)
	}
	c.waitFor(t, payers(c.shoppers[before:]))
	c.waitFor(t, []*shopper{c.add(pays)}) // the shop serves new shoppers
	c.deployment.checkAlive(t)
	c.verify(t)
	t.Logf("%s: %s; recovered in %s with %d shoppers", where, victim.child.Name, time.Since(began).Round(100*time.Millisecond), len(c.shoppers)-before)
}

// trigger arms a failpoint, begins the replay if there is one, and adds shoppers until a process reaches the failpoint. It returns its
// slot, or nil.
func (c *crowd) trigger(t *testing.T, where site, again *replayed) *slot {
	t.Helper()
	var victim *slot
	c.deployment.arm(t, where)
	if again != nil {
		again.begin(t, c)
	}
	c.addUntil(func() bool {
		victim = c.deployment.triggered(t)
		return victim != nil
	}, triggerTime)
	if victim == nil && !c.deployment.disarm(t) {
		victim = c.deployment.triggered(t) // reached between the timeout and disarm
	}
	return victim
}

// recoverSlot restarts a process that was killed. It resumes a suspended one after twice the time that a standby waits, so that it
// continues work that its standby has taken over.
func (d *deployment) recoverSlot(t *testing.T, victim *slot, where site) {
	t.Helper()
	if !where.Stop {
		awaitDeath(t, victim)
		victim.start(t)
		return
	}
	<-time.After(2 * d.leaseTTL(t, victim)) // the time itself is tested: there is no condition to wait for
	proc.Check(t, victim.child.Signal(syscall.SIGCONT))
	victim.open(t, victim.child)
}

// defaultLease is the duration of a lease in a single deployment, whose broker is suspended as well and cannot be asked.
const defaultLease = 5 * time.Second

// leaseTTL returns the duration of a lease.
func (d *deployment) leaseTTL(t *testing.T, victim *slot) time.Duration {
	t.Helper()
	if d.kind == "single" {
		return defaultLease
	}
	reader, done, err := d.shop.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	lanes, err := reader.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(lanes, func(l replay.Lane) bool { return l.Holder != "" }) {
		t.Fatalf("no process has a lease, so none can take over from %s", victim.child.Name)
	}
	return reader.Log().LeaseTTL()
}

// checkAlive expects that no process has exited except the victim, and restarts those that have.
func (d *deployment) checkAlive(t *testing.T) {
	t.Helper()
	for _, s := range d.slots {
		select {
		case <-s.child.Done():
			t.Errorf("%s exited unexpectedly", s.child.Name)
			s.start(t)
		default:
		}
	}
}

// verify runs the invariant checker until every invariant holds, for at most a minute, which is how long a recovering shop may
// need. It makes no exception for recent orders, except that an unpaid order may wait until it expires.
func (c *crowd) verify(t *testing.T) invariants.Report {
	t.Helper()
	var report invariants.Report
	var err error
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); !report.OK && time.Now().Before(deadline); <-ticker.C {
		report, err = c.check(t)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range report.Findings {
		t.Errorf("got finding %s %s: %s", finding.Invariant, finding.Subject, finding.Detail)
	}
	for _, check := range report.Checks {
		if check.Skipped != "" {
			t.Errorf("%s: not checked: %s", check.Invariant, check.Skipped)
		}
	}
	return report
}

// check runs the invariant checker once. It may fail while the shop is recovering.
func (c *crowd) check(t *testing.T) (invariants.Report, error) {
	t.Helper()
	options, done, err := invariants.Attach(t.Context(), c.deployment.shop)
	if err != nil {
		return invariants.Report{}, err
	}
	defer done()
	options.Acknowledged = c.acknowledged()
	options.Settle, options.Patience, options.ArchivePatience = time.Nanosecond, time.Nanosecond, 10*time.Second
	return invariants.Check(t.Context(), options)
}

// finish waits for all visits and mails, and expects the log to agree with the shoppers.
func (c *crowd) finish(t *testing.T) {
	t.Helper()
	c.waitFor(t, c.shoppers)
	c.checkMail(t)
	report := c.verify(t)
	ends := map[string]int{}
	for _, s := range c.shoppers {
		ends[s.end]++
	}
	for status, n := range ends {
		if report.Counts.ByStatus[status] != n {
			t.Errorf("status %s: %d shoppers saw it, the log has %d", status, n, report.Counts.ByStatus[status])
		}
	}
	if report.Counts.Orders != len(c.shoppers) {
		t.Errorf("got %d orders, want %d, one per shopper", report.Counts.Orders, len(c.shoppers))
	}
	t.Logf("%s: %d orders, %v", c.deployment.kind, report.Counts.Orders, ends)
}
