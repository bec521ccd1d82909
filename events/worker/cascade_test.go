package worker_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// What follows from an event in the domains of one process is decided in one transaction and stored in one commit, and
// nobody decides about it again when it is read.
func TestWhatFollowsIsOneCommit(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	registry := prometheus.NewRegistry()
	l := logtest.OpenOn(t, server, func(c *eventlog.Config) { c.Registerer = registry })
	s := newShop()
	p := start(t, l, s.all(l))
	p.holds(t, lanes...)
	place(t, logtest.OpenOn(t, server), "a")
	p.caughtUp(t, lanes...)
	facts := read(t, l, "")
	var types []string
	for i, e := range facts[1:] {
		types = append(types, e.Type)
		if e.Sequence != uint64(2+i) || !e.Time.Equal(facts[1].Time) || e.CausationID == "" {
			t.Errorf("%s is at %d, decided at %s because of %q; want %d, %s and a cause", e.Type, e.Sequence, e.Time, e.CausationID, 2+i, facts[1].Time)
		}
	}
	if diff := cmp.Diff(chain, types); diff != "" {
		t.Errorf("what followed, want -, got +:\n%s", diff)
	}
	if commits, sum := commits(t, registry); commits != 1 || sum != float64(len(chain)) {
		t.Errorf("%d commits of %v facts, want one of %d", commits, sum, len(chain))
	}
	for call, n := range s.counted() {
		if n != 1 {
			t.Errorf("%s was handled %d times", call, n)
		}
	}
	if len(s.counted()) != 8 {
		t.Errorf("handled %v, want each of 8 once", s.counted())
	}
}

// commits is how many commits a log has made, and of how many facts together.
func commits(t testing.TB, registry *prometheus.Registry) (n uint64, facts float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "tillstream_log_batch_facts" {
			return f.GetMetric()[0].GetHistogram().GetSampleCount(), f.GetMetric()[0].GetHistogram().GetSampleSum()
		}
	}
	t.Fatal("no metric of commits")
	return 0, 0
}

// The same domains in one process and in three end in the same state.
func TestOneProcessAndThreeEndInTheSameState(t *testing.T) {
	t.Parallel()
	var states []map[string][]string
	for _, apart := range []bool{false, true} {
		server := logtest.Server(t)
		l := logtest.OpenOn(t, server)
		placeMany(t, l, "before", 30)
		s := newShop()
		var running []*process
		if apart {
			for _, domain := range []func(*eventlog.Log) worker.Domain{s.inventory, s.orders, s.payments} {
				l := logtest.OpenOn(t, server)
				running = append(running, start(t, l, only(domain(l))))
			}
		} else {
			running = append(running, start(t, l, s.all(l)))
		}
		placeMany(t, l, "after", 30)
		expect(t, l, events.PrefixReservation, 120)
		for i, p := range running {
			if apart {
				p.caughtUp(t, lanes[i])
			} else {
				p.caughtUp(t, lanes...)
			}
		}
		states = append(states, histories(t, l))
	}
	if diff := cmp.Diff(states[0], states[1]); diff != "" {
		t.Errorf("one process -, three processes +:\n%s", diff)
	}
	if len(states[0]) != 60*4 {
		t.Errorf("%d entities, want %d", len(states[0]), 60*4)
	}
}

// A step that fails is rolled back alone: what caused it is stored, and the event is handled when it is read.
func TestAStepThatFailsIsDecidedWhenItsEventIsRead(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"Error": func() error { return errors.New("not in this transaction") },
		"Panic": func() error { panic("not in this transaction") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := logtest.Open(t)
			s := newShop()
			failed := false
			s.fail = func(lane string, e events.Event) error {
				if e.Type != "inventory.reservation_held" || failed {
					return nil
				}
				failed = true
				return fail()
			}
			p := start(t, l, s.all(l))
			p.holds(t, lanes...)
			place(t, l, "a")
			p.caughtUp(t, lanes...)
			expect(t, l, events.PrefixReservation+"a", 2)
			p.caughtUp(t, lanes...)
			facts := read(t, l, "")
			var types []string
			for _, e := range facts[1:] {
				types = append(types, e.Type)
			}
			if diff := cmp.Diff(chain, types); diff != "" {
				t.Errorf("what followed, want -, got +:\n%s", diff)
			}
			held, awaiting := facts[2], facts[3]
			if held.Time.Equal(awaiting.Time) || awaiting.CausationID != held.ID {
				t.Errorf("decided at %s because of %s; want after %s, because of %s", awaiting.Time, awaiting.CausationID, held.Time, held.ID)
			}
			if n := s.counted()["orders inventory.reservation_held"]; n != 2 {
				t.Errorf("the step was tried %d times, want 2", n)
			}
		})
	}
}

// A step that always fails makes its event a dead letter, and neither what caused it nor what comes after it suffers.
func TestAStepThatAlwaysFailsMakesADeadLetter(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	s := newShop()
	s.fail = func(lane string, e events.Event) error {
		if id, _ := idOf(e); id == "worse" && lane == "orders" {
			return errors.New("impossible")
		}
		return nil
	}
	p := start(t, l, s.all(l))
	p.holds(t, lanes...)
	place(t, l, "worse", "good")
	expect(t, l, events.PrefixReservation+"good", 2)
	dead := deadLetters(t, l, "orders", 1)[0]
	p.caughtUp(t, lanes...)
	want := map[string][]string{
		"orders.worse":                 {"test orders.placed"},
		"inventory.stock.main.worse":   {"inventory inventory.stock_held"},
		"inventory.reservations.worse": {"inventory inventory.reservation_held"},
	}
	said := histories(t, l)
	for subject, types := range want {
		if !slices.Equal(said[subject], types) {
			t.Errorf("%s said %v, want %v", subject, said[subject], types)
		}
	}
	if dead.Subject != "inventory.reservations.worse" || dead.Error != "impossible" || dead.Type != "inventory.reservation_held" {
		t.Errorf("dead letter %+v", dead)
	}
}

// A cascade goes on only in lanes that operators have not paused, and where it stops it is taken up when they go on.
func TestACascadeStopsAtAPausedLane(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	s := newShop()
	if err := worker.PauseLane(t.Context(), l.ForDomain("ops"), "orders", time.Time{}); err != nil {
		t.Fatal(err)
	}
	p := start(t, l, s.all(l))
	p.holds(t, lanes...)
	place(t, l, "a")
	p.caughtUp(t, "inventory", "payments")
	if n := count(t, l, "orders."); n != 1 || s.counted()["orders inventory.reservation_held"] != 0 {
		t.Errorf("%d events of orders, calls %v: the paused lane decided", n, s.counted())
	}
	if lane := p.lane(t, "orders"); !lane.Paused || !errors.Is(p.Degraded(), worker.ErrPaused) || p.Ready() != nil {
		t.Errorf("lane %+v, degraded %v, ready %v", lane, p.Degraded(), p.Ready())
	}
	if err := worker.ResumeLane(t.Context(), l.ForDomain("ops"), "orders"); err != nil {
		t.Fatal(err)
	}
	expect(t, l, events.PrefixReservation+"a", 2)
	if p.Degraded() != nil {
		t.Errorf("degraded: %v", p.Degraded())
	}
}

// A cascade goes on only in lanes whose lease this process has.
func TestACascadeStopsWhereTheLeaseIsElsewhere(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	first, second := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	s1, s2 := newShop(), newShop()
	elsewhere := start(t, first, only(s1.orders(first)))
	elsewhere.holds(t, "orders")
	p := start(t, second, s2.all(second))
	p.holds(t, "inventory", "payments")
	place(t, second, "a", "b")
	expect(t, second, events.PrefixReservation, 4)
	p.caughtUp(t, "inventory", "payments")
	elsewhere.caughtUp(t, "orders")
	for call, n := range s2.counted() {
		if call[:6] == "orders" {
			t.Errorf("%s was handled %d times where the lease is not", call, n)
		}
	}
	for _, entity := range []string{"a", "b"} {
		if n := count(t, second, "orders."+entity); n != 4 {
			t.Errorf("%d events of order %s, want 4", n, entity)
		}
	}
}

// What goes back and forth between two domains does not go on for ever in one transaction: after 200 facts it is decided
// when its events are read.
func TestACascadeStopsAt200Facts(t *testing.T) {
	t.Parallel()
	const most, all = 200, 450
	l := logtest.Open(t)
	pong := func(tx *eventlog.Tx, entity eventlog.Entity[[]string], id string, fact events.Payload) error {
		said, err := entity.Load(tx, id)
		if err != nil || len(said) >= all/2 {
			return err
		}
		return entity.Append(tx, id, fact)
	}
	inventory := worker.Domain{Name: "inventory", Log: l.ForDomain("inventory"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error {
			return pong(tx, marks, p.OrderID, events.ReservationReleased{OrderID: p.OrderID})
		})}}
	sales := worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.ReservationReleased) error {
			return pong(tx, orders, p.OrderID, events.OrderPlaced{OrderID: p.OrderID})
		})}}
	p := start(t, l, only(inventory, sales))
	p.holds(t, "inventory", "orders")
	place(t, l, "a")
	expect(t, l, events.PrefixReservation, all/2)
	p.caughtUp(t, "inventory", "orders")
	facts := read(t, l, "")
	if len(facts) != all {
		t.Errorf("%d facts, want %d", len(facts), all)
	}
	var sizes []int // of the transactions: each has one time
	for i, e := range facts[1:] {
		if i == 0 || !e.Time.Equal(facts[i].Time) {
			sizes = append(sizes, 0)
		}
		sizes[len(sizes)-1]++
	}
	if !slices.Equal(sizes, []int{most, most, all - 1 - 2*most}) {
		t.Errorf("transactions of %v facts, want of %d", sizes, most)
	}
}

// A domain hears what happened to an entity in the order in which it happened, also where a cascade could tell it of the
// latest before it has come to what stands in the log: orders, here, is ahead of inventory.
func TestACascadeDoesNotOvertakeTheLog(t *testing.T) {
	t.Parallel()
	const n = 700 // more than a lane takes at once
	l := logtest.Open(t)
	pause(t, l, time.Time{}, "orders", "inventory")
	placed := placeMany(t, l, "o", n)
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		for _, id := range slices.Backward(placed) {
			if _, err := payments.LoadNew(tx, id); err != nil {
				return err
			}
			if err := payments.Append(tx, id, events.PaymentFailed{OrderID: id}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	heard := &ids{}
	sales := worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentFailed) error {
			return once(tx, orders, p.OrderID, events.OrderRejected{})
		})}}
	inventory := worker.Domain{Name: "inventory", Log: l.ForDomain("inventory"), Routes: []worker.Route{
		worker.On(func(_ *eventlog.Tx, e events.Event, _ events.OrderPlaced) error {
			heard.add(e.Subject + " placed")
			return nil
		}),
		worker.On(func(_ *eventlog.Tx, e events.Event, _ events.OrderRejected) error {
			heard.add(e.Subject + " rejected")
			return nil
		}),
	}}
	p := start(t, l, only(sales, inventory))
	p.holds(t, "orders", "inventory")
	p.together(t, func() { resume(t, l, "orders", "inventory") }, func() bool { return !p.lane(t, "orders").Paused && !p.lane(t, "inventory").Paused })
	p.caughtUp(t, "orders")
	p.caughtUp(t, "inventory")
	first := map[string]int{}
	for i, what := range heard.all() {
		if _, ok := first[what]; !ok {
			first[what] = i
		}
	}
	for _, id := range placed {
		placed, ok := first["orders."+id+" placed"]
		rejected, too := first["orders."+id+" rejected"]
		if !ok || !too || rejected < placed {
			t.Fatalf("%s: heard that it was placed as number %d, that it was rejected as number %d", id, placed, rejected)
		}
	}
}
