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

// A cascade through the domains of one process is one transaction and one commit, and no step is decided again when its
// event is read.
func TestCascadeIsOneCommit(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	registry := prometheus.NewRegistry()
	l := logtest.OpenOn(t, server, func(c *eventlog.Config) { c.Registerer = registry })
	s := newShop()
	p := start(t, l, s.all(l))
	p.waitLeased(t, lanes...)
	place(t, logtest.OpenOn(t, server), "a")
	p.caughtUp(t, lanes...)
	facts := readEvents(t, l, "")
	var types []string
	for i, e := range facts[1:] {
		types = append(types, e.Type)
		if e.Sequence != uint64(2+i) || !e.Time.Equal(facts[1].Time) || e.CausationID == "" {
			t.Errorf("%s: got sequence %d, time %s, cause %q; want %d, %s and a cause", e.Type, e.Sequence, e.Time, e.CausationID, 2+i, facts[1].Time)
		}
	}
	if diff := cmp.Diff(chain, types); diff != "" {
		t.Errorf("cascade (-want +got):\n%s", diff)
	}
	if commits, sum := commits(t, registry); commits != 1 || sum != float64(len(chain)) {
		t.Errorf("got %d commits of %v facts, want 1 of %d", commits, sum, len(chain))
	}
	for call, n := range s.counted() {
		if n != 1 {
			t.Errorf("%s: got %d calls, want 1", call, n)
		}
	}
	if len(s.counted()) != 8 {
		t.Errorf("calls: got %v, want 8 handlers", s.counted())
	}
}

// commits returns how many commits a log has made, and how many facts they held in all.
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

// The same domains end in the same state in one process and in three.
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
				running = append(running, start(t, l, configOf(domain(l))))
			}
		} else {
			running = append(running, start(t, l, s.all(l)))
		}
		placeMany(t, l, "after", 30)
		waitEvents(t, l, events.PrefixReservation, 120)
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
		t.Errorf("states (-one process +three processes):\n%s", diff)
	}
	if len(states[0]) != 60*4 {
		t.Errorf("got %d entities, want %d", len(states[0]), 60*4)
	}
}

// A step that fails is rolled back alone: the event that led to it is stored, and handled when it is read.
func TestFailedStepIsDecidedWhenItsEventIsRead(t *testing.T) {
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
			p.waitLeased(t, lanes...)
			place(t, l, "a")
			p.caughtUp(t, lanes...)
			waitEvents(t, l, events.PrefixReservation+"a", 2)
			p.caughtUp(t, lanes...)
			facts := readEvents(t, l, "")
			var types []string
			for _, e := range facts[1:] {
				types = append(types, e.Type)
			}
			if diff := cmp.Diff(chain, types); diff != "" {
				t.Errorf("cascade (-want +got):\n%s", diff)
			}
			held, awaiting := facts[2], facts[3]
			if held.Time.Equal(awaiting.Time) || awaiting.CausationID != held.ID {
				t.Errorf("second decision: got time %s, cause %s; want later than %s, cause %s", awaiting.Time, awaiting.CausationID, held.Time, held.ID)
			}
			if n := s.counted()["orders inventory.reservation_held"]; n != 2 {
				t.Errorf("the step: got %d calls, want 2", n)
			}
		})
	}
}

// A step that always fails makes its event a dead letter. The decisions before it are stored, and later events are
// handled.
func TestStepThatAlwaysFailsBecomesADeadLetter(t *testing.T) {
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
	p.waitLeased(t, lanes...)
	place(t, l, "worse", "good")
	waitEvents(t, l, events.PrefixReservation+"good", 2)
	dead := deadLetters(t, l, "orders", 1)[0]
	p.caughtUp(t, lanes...)
	want := map[string][]string{
		"orders.worse":                 {"test orders.placed"},
		"inventory.stock.main.worse":   {"inventory inventory.stock_held"},
		"inventory.reservations.worse": {"inventory inventory.reservation_held"},
	}
	stored := histories(t, l)
	for subject, types := range want {
		if !slices.Equal(stored[subject], types) {
			t.Errorf("events of %s: got %v, want %v", subject, stored[subject], types)
		}
	}
	if dead.Subject != "inventory.reservations.worse" || dead.Error != "impossible" || dead.Type != "inventory.reservation_held" {
		t.Errorf("dead letter: got %+v, want the reservation of order worse with its error", dead)
	}
}

// A cascade does not enter a paused lane; it continues when the lane is resumed.
func TestCascadeStopsAtAPausedLane(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	s := newShop()
	pause(t, l, time.Time{}, "orders")
	p := start(t, l, s.all(l))
	p.waitLeased(t, lanes...)
	place(t, l, "a")
	p.caughtUp(t, "inventory", "payments")
	if n := count(t, l, "orders."); n != 1 || s.counted()["orders inventory.reservation_held"] != 0 {
		t.Errorf("got %d events of orders, calls %v; want 1 event, and no call of the paused lane", n, s.counted())
	}
	if lane := p.lane(t, "orders"); !lane.Paused || !errors.Is(p.Degraded(), worker.ErrPaused) || p.Ready() != nil {
		t.Errorf("got lane %+v, degraded %v, ready %v; want a paused lane, ErrPaused and nil", lane, p.Degraded(), p.Ready())
	}
	resume(t, l, "orders")
	waitEvents(t, l, events.PrefixReservation+"a", 2)
	if p.Degraded() != nil {
		t.Errorf("degraded: got %v, want nil", p.Degraded())
	}
}

// A cascade enters only lanes whose lease this process has.
func TestCascadeStopsAtALaneOfAnotherProcess(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	first, second := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	s1, s2 := newShop(), newShop()
	elsewhere := start(t, first, configOf(s1.orders(first)))
	elsewhere.waitLeased(t, "orders")
	p := start(t, second, s2.all(second))
	p.waitLeased(t, "inventory", "payments")
	place(t, second, "a", "b")
	waitEvents(t, second, events.PrefixReservation, 4)
	p.caughtUp(t, "inventory", "payments")
	elsewhere.caughtUp(t, "orders")
	for call, n := range s2.counted() {
		if call[:6] == "orders" {
			t.Errorf("%s: got %d calls in the process without the lease, want none", call, n)
		}
	}
	for _, entity := range []string{"a", "b"} {
		if n := count(t, second, "orders."+entity); n != 4 {
			t.Errorf("got %d events of order %s, want 4", n, entity)
		}
	}
}

// Two domains that answer each other do so 200 times in one transaction at most; then they decide when the events are
// read.
func TestCascadeStopsAt200Facts(t *testing.T) {
	t.Parallel()
	const most, all = 200, 450
	l := logtest.Open(t)
	pong := func(tx *eventlog.Tx, entity eventlog.Entity[[]string], id string, fact events.Payload) error {
		stored, err := entity.Load(tx, id)
		if err != nil || len(stored) >= all/2 {
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
	p := start(t, l, configOf(inventory, sales))
	p.waitLeased(t, "inventory", "orders")
	place(t, l, "a")
	waitEvents(t, l, events.PrefixReservation, all/2)
	p.caughtUp(t, "inventory", "orders")
	facts := readEvents(t, l, "")
	if len(facts) != all {
		t.Errorf("got %d events, want %d", len(facts), all)
	}
	var sizes []int // of the transactions; the facts of each have the same time
	for i, e := range facts[1:] {
		if i == 0 || !e.Time.Equal(facts[i].Time) {
			sizes = append(sizes, 0)
		}
		sizes[len(sizes)-1]++
	}
	if !slices.Equal(sizes, []int{most, most, all - 1 - 2*most}) {
		t.Errorf("transactions: got %v facts, want at most %d in each", sizes, most)
	}
}

// A domain sees the events of an entity in order, even when a cascade could show it the latest one before it has read
// the earlier ones: here orders is ahead of inventory.
func TestCascadeDoesNotOvertakeTheLog(t *testing.T) {
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
	handled := &ids{}
	sales := worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentFailed) error {
			return once(tx, orders, p.OrderID, events.OrderRejected{})
		})}}
	inventory := worker.Domain{Name: "inventory", Log: l.ForDomain("inventory"), Routes: []worker.Route{
		worker.On(func(_ *eventlog.Tx, e events.Event, _ events.OrderPlaced) error {
			handled.add(e.Subject + " placed")
			return nil
		}),
		worker.On(func(_ *eventlog.Tx, e events.Event, _ events.OrderRejected) error {
			handled.add(e.Subject + " rejected")
			return nil
		}),
	}}
	p := start(t, l, configOf(sales, inventory))
	p.waitLeased(t, "orders", "inventory")
	p.inOneRound(t, func() { resume(t, l, "orders", "inventory") }, func() bool { return !p.lane(t, "orders").Paused && !p.lane(t, "inventory").Paused })
	p.caughtUp(t, "orders")
	p.caughtUp(t, "inventory")
	first := map[string]int{}
	for i, call := range handled.all() {
		if _, ok := first[call]; !ok {
			first[call] = i
		}
	}
	for _, id := range placed {
		placed, ok := first["orders."+id+" placed"]
		rejected, too := first["orders."+id+" rejected"]
		if !ok || !too || rejected < placed {
			t.Fatalf("%s: placed was event %d of inventory, rejected %d; want placed first", id, placed, rejected)
		}
	}
}
