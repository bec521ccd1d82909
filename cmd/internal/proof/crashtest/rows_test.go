//go:build unix

package crashtest_test

import (
	"net/http"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/failpoint"
)

// patiently is a hold that outlasts anything that is done to the shop, so that everybody who wants to pay can.
const patiently = "HOLD_FOR=10m"

// at is a trap for whoever gets to a moment first, of one program where the text names it: "point/program".
func at(t *testing.T, text string) site {
	t.Helper()
	moment, program, _ := strings.Cut(text, "/")
	trap, err := failpoint.Parse(moment)
	if err != nil {
		t.Fatal(err)
	}
	return site{trap, program}
}

// Row 1 of the fault matrix: a process that is killed before an order is stored leaves nothing of it but an error. The
// same request again makes one order.
func TestKilledBeforeTheOrderIsStored(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"http.order_received", "append.gathered"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			c := openDoors(t, openSingle(t, patiently), "ada")
			ada := c.unanswered(t, at(t, moment))
			if n := len(c.facts(t, events.PrefixOrder)); n != 0 {
				t.Errorf("%d facts about orders are stored", n)
			}
			if first := c.retry(t, ada); first.replayed {
				t.Error("the first order of a key is said to be a repetition")
			}
			if second := c.retry(t, ada); !second.replayed {
				t.Error("the second order of a key is not said to be a repetition")
			}
			c.oneOrder(t, ada)
		})
	}
}

// Row 2 of the fault matrix: an order that is stored when the process is killed exists although its shopper was not told,
// and the same request again finds it.
func TestKilledBeforeTheOrderIsAnswered(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"http.order_stored", "append.stored"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			c := openDoors(t, openSingle(t, patiently), "bob")
			bob := c.unanswered(t, at(t, moment))
			stored := c.facts(t, events.PrefixOrder)
			if len(stored) == 0 || stored[0].Type != "orders.placed" {
				t.Fatalf("stored is %+v, want an order", stored)
			}
			if again := c.retry(t, bob); !again.replayed || stored[0].CorrelationID != bob.id {
				t.Errorf("the retry gets order %s (replayed: %t), stored is %s", bob.id, again.replayed, stored[0].CorrelationID)
			}
			c.oneOrder(t, bob)
		})
	}
}

// unanswered orders something and has the shop die of it at a moment. When it returns the shop is open again.
func (c *crowd) unanswered(t *testing.T, trap site) *shopper {
	t.Helper()
	s := c.newShopper(pays)
	request, err := s.wanted()
	if err != nil {
		t.Fatal(err)
	}
	c.world.lay(t, trap)
	if a, err := s.once(t.Context(), request); err == nil {
		t.Errorf("the shop died and answered %d: %.300s", a.status, a.body)
	}
	hurt := c.world.sprung(t)
	if hurt == nil {
		t.Fatalf("%s: nobody got there", trap)
	}
	dead(t, hurt)
	hurt.start(t)
	return s
}

// retry sends the order once more.
func (c *crowd) retry(t *testing.T, s *shopper) answer {
	t.Helper()
	request, err := s.wanted()
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.ask(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	before := s.id
	if err := s.placed(a); err != nil {
		t.Fatal(err)
	}
	if before != "" && before != s.id {
		t.Errorf("one key made the orders %s and %s", before, s.id)
	}
	return a
}

// oneOrder has a shopper go on to the end, as the only one there is.
func (c *crowd) oneOrder(t *testing.T, s *shopper) {
	t.Helper()
	c.shoppers = append(c.shoppers, s)
	go s.visit(c.ctx) // orders once more, first
	c.close(t)
	c.saidOnce(t)
}

// Rows 18 and 27 of the fault matrix: whether a decider is killed before or after what it decided is stored, it is done
// once; a projection or an archive that is killed in the middle of a batch leaves no gap and writes nothing older over
// something newer. The broker lives on here: one that dies too forgets what was acknowledged last, and would forgive who
// says too soon how far it has come.
func TestDecidersAndViewsAreKilled(t *testing.T) {
	t.Parallel()
	c := openDoors(t, openFleet(t), "shopper")
	for _, moment := range []string{"decide.decided/inventory", "decide.committed/inventory", "archive.written@archive", "project.written@orders.projection"} {
		endure(t, c, at(t, moment))
	}
	c.saidOnce(t)
	c.remembered(t)
}

// Row 19 of the fault matrix: the active decider stands still between deciding and storing for twice as long as its
// standby waits. The standby has stepped in when it wakes, its append is refused, and everything is said once.
func TestADeciderSleepsWhileItsStandbyStepsIn(t *testing.T) {
	t.Parallel()
	c := openDoors(t, openFleet(t), "sleeper")
	trap := at(t, "append.gathered/inventory")
	trap.Stop = true
	c.world.lay(t, trap)
	first := c.enter(pays)
	hurt := c.world.awaitSprung(t)
	c.waitFor(t, []*shopper{first}) // while it sleeps
	c.world.recover(t, hurt, trap)
	c.waitFor(t, []*shopper{c.enter(pays)}) // now that it is awake
	c.refused(t, "inventory")
	c.saidOnce(t)
	c.close(t)
}

// refused expects that a worker handed facts to the broker which it did not take. All replicas of the worker must have
// lived on: they are asked how many they handed over.
func (c *crowd) refused(t *testing.T, worker string) {
	t.Helper()
	handed := 0.0
	for _, m := range c.world.members {
		if m.program == worker {
			handed += m.metric(t, "tillstream_log_facts_total")
		}
	}
	if taken := float64(len(c.facts(t, worker+"."))); handed <= taken {
		t.Errorf("%.0f facts were handed over by %s and the log has %.0f: none was refused", handed, worker, taken)
	}
}

// metric reads a number of a process's own.
func (m *member) metric(t *testing.T, name string) float64 {
	t.Helper()
	response, err := http.Get("http://" + m.addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return valueOf(t, response.Body, name)
}
