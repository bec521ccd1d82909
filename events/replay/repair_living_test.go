package replay_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/replay"
)

// longEnough is how many messages the log holds that a repair tells somebody about while it reads.
const longEnough = 1000

// fill publishes so many messages that are no events.
func (s *shop) fill(subject string, n int) {
	s.t.Helper()
	for i := range n {
		if _, err := s.js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: fmt.Append(nil, i)}); err != nil {
			s.t.Fatal(err)
		}
	}
	<-s.js.PublishAsyncComplete()
}

// during runs a repair and does something, once, when it has come to a stage.
func (c *twoCopies) during(at string, dry bool, do func()) (replay.RepairReport, error) {
	c.t.Helper()
	done := false
	return replay.Repair{DB: c.db, DryRun: dry, Log: c.Reader, Progress: func(stage string, _, _ uint64) {
		if stage == at && !done {
			done = true
			do()
		}
	}}.Run(c.t.Context())
}

// Row 12 of the fault matrix: what the shop says, and its archive takes over, while the copies are compared is in both:
// nothing is lost.
func TestRepairWhileTheShopSells(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	c.fill(events.PrefixStock+"A", longEnough)
	c.archive()
	report, err := c.during("log", true, func() {
		c.move("new", "A", "", 1)
		c.archive()
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.HasFindings() || report.Archived != longEnough+1 {
		t.Errorf("a living shop has lost %v of its log: %+v", names(report.LogLost), report)
	}
}

// A log that lost something is not written to while somebody is at work on it: what they remember is of the time before.
func TestRepairOfALogThatSomebodyWorksOn(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	backup := filepath.Join(t.TempDir(), "backup")
	c.backup(backup)
	c.move("1", "A", "", 1)
	c.archive()
	c.putBack(backup)
	_, stop := c.watcher(nil)
	await(t, func() bool { return c.lane("watcher").Holder != "" })
	_, err := replay.Repair{DB: c.db, Log: c.Reader}.Run(t.Context())
	if last, err2 := c.Last(t.Context()); !errors.Is(err, replay.ErrRunning) || last != 0 || err2 != nil {
		t.Errorf("the log ends at %d: %v, %v", last, err, err2)
	}
	stop()
	await(t, func() bool { return c.lane("watcher").Holder == "" })
	if _, ok, err := c.log.Acquire(t.Context(), "orders", "a process that was killed"); err != nil || !ok {
		t.Fatal(ok, err)
	}
	c.repair(false)
	c.whole("1")
}
