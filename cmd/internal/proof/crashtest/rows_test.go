//go:build unix

package crashtest_test

import (
	"net/http"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/failpoint"
)

// longHold is a reservation that outlasts every crash, so that every shopper has time to pay.
const longHold = "HOLD_FOR=10m"

// at parses a site: "point", "point@place" or "point/program".
func at(t *testing.T, text string) site {
	t.Helper()
	point, program, _ := strings.Cut(text, "/")
	where, err := failpoint.Parse(point)
	if err != nil {
		t.Fatal(err)
	}
	return site{where, program}
}

// Row 1 of the fault matrix: the process is killed before an order is committed. The client gets an error and no order exists;
// the same request again creates one order.
func TestKilledBeforeOrderIsCommitted(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"http.order_received", "append.gathered"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, openSingle(t, longHold), "ada")
			ada := c.placeUnanswered(t, at(t, point))
			if n := len(c.history(t, events.PrefixOrder)); n != 0 {
				t.Errorf("got %d order events, want none", n)
			}
			if first := c.retry(t, ada); first.replayed {
				t.Error("first order of a key: got Idempotent-Replayed, want a new order")
			}
			if second := c.retry(t, ada); !second.replayed {
				t.Error("second order of a key: got no Idempotent-Replayed")
			}
			c.oneOrder(t, ada)
		})
	}
}

// Row 2 of the fault matrix: the process is killed after an order is committed and before it is answered. The order exists, and
// the same request again returns it.
func TestKilledBeforeOrderIsAnswered(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"http.order_stored", "append.stored"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, openSingle(t, longHold), "bob")
			bob := c.placeUnanswered(t, at(t, point))
			stored := c.history(t, events.PrefixOrder)
			if len(stored) == 0 || stored[0].Type != "orders.placed" {
				t.Fatalf("got events %+v, want a placed order", stored)
			}
			if again := c.retry(t, bob); !again.replayed || stored[0].CorrelationID != bob.id {
				t.Errorf("retry: got order %s (replayed %t), want %s", bob.id, again.replayed, stored[0].CorrelationID)
			}
			c.oneOrder(t, bob)
		})
	}
}

// placeUnanswered places an order during which the shop is killed at a failpoint, and restarts the shop.
func (c *crowd) placeUnanswered(t *testing.T, where site) *shopper {
	t.Helper()
	s := c.newShopper(pays)
	request, err := s.placeRequest()
	if err != nil {
		t.Fatal(err)
	}
	c.deployment.arm(t, where)
	if a, err := s.sendOnce(t.Context(), request); err == nil {
		t.Errorf("got status %d from a killed shop, want no answer: %.300s", a.status, a.body)
	}
	victim := c.deployment.triggered(t)
	if victim == nil {
		t.Fatalf("%s: not reached", where)
	}
	awaitDeath(t, victim)
	victim.start(t)
	return s
}

// retry sends the order again.
func (c *crowd) retry(t *testing.T, s *shopper) answer {
	t.Helper()
	request, err := s.placeRequest()
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.send(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	before := s.id
	if err := s.placed(a); err != nil {
		t.Fatal(err)
	}
	if before != "" && before != s.id {
		t.Errorf("one key: got the orders %s and %s, want one", before, s.id)
	}
	return a
}

// oneOrder completes the visit of a shopper, who must be the only one.
func (c *crowd) oneOrder(t *testing.T, s *shopper) {
	t.Helper()
	c.shoppers = append(c.shoppers, s)
	go s.visit(c.ctx) // begins with another retry
	c.finish(t)
	c.checkNoDuplicates(t)
}

// Rows 18 and 27 of the fault matrix: a decide lane that is killed before or after its commit has one effect per event; a projection
// or archive that is killed during a batch has no gap and no older document over a newer one. The broker is not killed here:
// one that dies as well loses recent checkpoints, which would hide a checkpoint that is stored too early.
func TestDecideAndProjectLanesAreKilled(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, openFleet(t), "shopper")
	for _, point := range []string{"decide.decided/inventory", "decide.committed/inventory", "archive.written@archive", "project.written@orders.projection"} {
		runRound(t, c, at(t, point))
	}
	c.checkNoDuplicates(t)
	c.awaitProjection(t)
}

// Row 19 of the fault matrix: the active decide lane is suspended between decision and commit for twice the duration of a lease.
// Its standby takes over, its own append is refused when it resumes, and every event has one effect.
func TestSuspendedDecideLaneIsRefused(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, openFleet(t), "sleeper")
	where := at(t, "append.gathered/inventory")
	where.Stop = true
	c.deployment.arm(t, where)
	first := c.add(pays)
	victim := c.deployment.awaitTriggered(t)
	c.waitFor(t, []*shopper{first}) // while it is suspended
	c.deployment.recoverSlot(t, victim, where)
	c.waitFor(t, []*shopper{c.add(pays)}) // after it has resumed
	c.checkRefused(t, "inventory")
	c.checkNoDuplicates(t)
	c.finish(t)
}

// checkRefused expects that the broker refused events of a worker: its replicas have counted more appended events than the log
// has. All replicas must still run.
func (c *crowd) checkRefused(t *testing.T, worker string) {
	t.Helper()
	sent := 0.0
	for _, s := range c.deployment.slots {
		if s.program == worker {
			sent += s.metric(t, "tillstream_log_facts_total")
		}
	}
	if stored := float64(len(c.history(t, worker+"."))); sent <= stored {
		t.Errorf("%s: got %.0f sent and %.0f stored events, want some refused", worker, sent, stored)
	}
}

// metric reads a metric of the slot's process.
func (s *slot) metric(t *testing.T, name string) float64 {
	t.Helper()
	response, err := http.Get("http://" + s.addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return valueOf(t, response.Body, name)
}
