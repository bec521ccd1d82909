package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// destination is something in the world that can be broken.
type destination struct {
	mu      sync.Mutex
	broken  error // what it answers while it is
	calls   int
	running int
	peak    int // at a time, since it was last asked
	took    map[string][]int
}

func (d *destination) call(ctx context.Context, id string) error {
	d.mu.Lock()
	d.calls++
	d.running++
	d.peak = max(d.peak, d.running)
	err := d.broken
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running--
	}()
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.took == nil {
			d.took = map[string][]int{}
		}
		d.took[id] = append(d.took[id], worker.Attempt(ctx))
	}
	return err
}

func (d *destination) set(broken error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = broken
}

func (d *destination) called() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// forgetPeak returns how many calls there were at a time since this was last asked.
func (d *destination) forgetPeak() (peak int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	peak, d.peak = d.peak, d.running
	return peak
}

func (d *destination) taken() (ids int, attempts map[int]int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	attempts = map[int]int{}
	for _, tries := range d.took {
		for _, attempt := range tries {
			attempts[attempt]++
		}
	}
	return len(d.took), attempts
}

// Row 71 of the fault matrix: a destination that refuses the shop, whatever it is asked, puts its lane on hold at once. One
// act at a time looks whether it is whole again, ever more seldom; then everything goes out, once.
func TestADestinationThatRefusesTheShopPutsItsLaneOnHold(t *testing.T) {
	t.Parallel()
	const all = 300
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.by)
	errRefused := errors.New("relay access denied")
	var d destination
	d.set(worker.OpenCircuit(errRefused))
	config := only(acting(4, d.call))
	config.Registerer = registry
	p := start(t, l, config)
	p.holds(t, "actor")
	placeMany(t, l, "o", all)
	held := func() bool {
		err := p.Degraded()
		return errors.Is(err, worker.ErrCircuitOpen) && errors.Is(err, errRefused) && strings.Contains(err.Error(), "actor")
	}
	until(t, "the lane is on hold", held)
	until(t, "what had begun has ended", func() bool { return failures(t, registry) == d.called() })
	if p.Ready() != nil || metric(t, registry, "tillstream_lane_circuit_open", "actor") != 1 {
		t.Errorf("ready: %v; the metric of held lanes shows %v", p.Ready(), metric(t, registry, "tillstream_lane_circuit_open", "actor"))
	}
	calls := d.called()
	if calls > 4 {
		t.Errorf("called %d times, want no more than run at a time", calls)
	}
	d.forgetPeak()
	for i, seconds := range []int{1, 2, 4, 8, 16, 30, 30, 30} {
		wait := time.Duration(seconds) * time.Second
		now.move(wait - time.Millisecond)
		place(t, l, fmt.Sprintf("wake%d", i)) // the lane looks whether it may try
		now.move(time.Millisecond)
		failed(t, registry, calls+i+1)
	}
	if n, peak := d.called(), d.forgetPeak(); n != calls+8 || peak > 1 {
		t.Errorf("called %d times, %d at a time; want %d, one at a time", n, peak, calls+8)
	}
	if lane := p.lane(t, "actor"); lane.Open > 4+8/2 || lane.Position > 4+8/2 { // every other time the next event is tried
		t.Errorf("the lane goes on: %+v", lane)
	}
	hold := func() string {
		c, err := l.LoadCheckpoint(t.Context(), "actor")
		if err != nil {
			t.Fatal(err)
		}
		return c.CircuitOpen
	}
	until(t, "the checkpoint says why", func() bool { return strings.Contains(hold(), errRefused.Error()) })
	d.set(nil)
	now.move(30 * time.Second)
	p.caughtUp(t, "actor")
	if n, attempts := d.taken(); n != all+8 || attempts[1] != all+8 {
		t.Errorf("it took %d, in attempts %v; want %d, each in the first", n, attempts, all+8)
	}
	if p.Degraded() != nil || metric(t, registry, "tillstream_lane_circuit_open", "actor") != 0 {
		t.Errorf("degraded: %v", p.Degraded())
	}
	if p.stop(); hold() != "" {
		t.Errorf("the checkpoint says that the lane is on hold: %s", hold())
	}
	if n := countIn(t, l, events.StreamDeadLetters, events.PrefixDeadLetter); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func failures(t testing.TB, registry *prometheus.Registry) int {
	t.Helper()
	return int(metric(t, registry, "tillstream_lane_retries_total", "actor"))
}

// A destination that fails twenty times in a row, whatever it says, is broken too: its lane waits instead of filling up.
func TestTwentyFailuresInARowPutALaneOnHold(t *testing.T) {
	t.Parallel()
	const all, concurrency, probes = 200, 4, 6
	for name, broken := range map[string]error{
		"Error":   errors.New("connection refused"),
		"Timeout": context.DeadlineExceeded,
		"Busy":    worker.RetryAfter(time.Minute, errors.New("503")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, registry := newClock(), prometheus.NewRegistry()
			l := logtest.Open(t, now.by)
			var d destination
			d.set(broken)
			config := only(acting(concurrency, d.call))
			config.Registerer = registry
			p := start(t, l, config)
			p.holds(t, "actor")
			placeMany(t, l, "o", all)
			until(t, "the lane is on hold", func() bool { return errors.Is(p.Degraded(), worker.ErrCircuitOpen) })
			until(t, "what had begun has ended", func() bool { return failures(t, registry) == d.called() })
			calls := d.called()
			if calls < 20 || calls >= 20+concurrency {
				t.Errorf("called %d times, want 20 and what ran beside the last", calls)
			}
			d.forgetPeak()
			for i := range probes {
				now.move(30 * time.Second)
				failed(t, registry, calls+i+1)
			}
			if n, peak := d.called(), d.forgetPeak(); n != calls+probes || peak > 1 {
				t.Errorf("called %d times, %d at a time; want %d, one at a time", n, peak, calls+probes)
			}
			d.set(nil)
			now.move(30 * time.Second)
			p.caughtUp(t, "actor")
			if n, attempts := d.taken(); n != all || attempts[1] != all-calls-probes/2 {
				t.Errorf("it took %d, in attempts %v; want %d, all in the first but %d and what it was tried with", n, attempts, all, calls)
			}
		})
	}
}

// While a lane is on hold what it tries tells something about its destination, and nothing about the events: however long
// that lasts, none of them becomes a dead letter for it.
func TestNothingBecomesADeadLetterOfAHeldLane(t *testing.T) {
	t.Parallel()
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.by)
	var d destination
	d.set(worker.RetryAfter(0, errors.New("503")))
	config := only(acting(1, d.call))
	config.Registerer = registry
	p := start(t, l, config)
	p.holds(t, "actor")
	place(t, l, "a")
	failed(t, registry, 20)
	until(t, "the lane is on hold", func() bool { return errors.Is(p.Degraded(), worker.ErrCircuitOpen) })
	d.set(errors.New("connection refused"))
	for i := range 4 {
		now.move(30 * time.Second)
		failed(t, registry, 21+i)
	}
	d.set(nil)
	now.move(30 * time.Second)
	p.caughtUp(t, "actor")
	n, attempts := d.taken()
	if dead := countIn(t, l, events.StreamDeadLetters, events.PrefixDeadLetter); n != 1 || dead != 0 || attempts[1] != 0 {
		t.Errorf("it took %d, in attempts %v, and there are %d dead letters; want 1, not in the first, and none", n, attempts, dead)
	}
}

// When the one act that waits turns out to be hopeless the lane looks with the next event whether its destination is whole.
func TestAHeldLaneLooksWithTheNextEvent(t *testing.T) {
	t.Parallel()
	now := newClock()
	l := logtest.Open(t, now.by)
	var made acts
	p := start(t, l, only(acting(1, func(ctx context.Context, id string) error {
		made.add(ctx, id)
		switch {
		case id == "first" && len(made.of(id)) == 1:
			return worker.OpenCircuit(errors.New("relay access denied"))
		case id == "first":
			return worker.DeadLetter(errors.New("no such recipient"))
		}
		return nil
	})))
	p.holds(t, "actor")
	place(t, l, "first")
	until(t, "the lane is on hold", func() bool { return p.Degraded() != nil })
	now.move(time.Minute)
	deadLetters(t, l, "actor", 1)
	place(t, l, "second", "third")
	p.caughtUp(t, "actor")
	if got, want := made.String(), "map[first:[1 1] second:[1] third:[1]]"; got != want {
		t.Errorf("acted in attempts %s, want %s", got, want)
	}
	if p.Degraded() != nil {
		t.Errorf("degraded: %v", p.Degraded())
	}
}

// That the log is away says nothing about a destination: its lane is not put on hold for it.
func TestALogThatIsAwayPutsNoLaneOnHold(t *testing.T) {
	t.Parallel()
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.by)
	var d destination
	d.set(eventlog.ErrUnavailable)
	config := only(acting(8, d.call))
	config.Registerer = registry
	p := start(t, l, config)
	p.holds(t, "actor")
	placeMany(t, l, "o", 40)
	failed(t, registry, 40)
	if p.Degraded() != nil {
		t.Errorf("degraded: %v", p.Degraded())
	}
	d.set(nil)
	now.move(time.Minute)
	p.caughtUp(t, "actor")
}

// An act that is put off for its own sake says that the destination works. It ends a row of failures and it ends a hold, and
// waits on while what waited for the destination is tried at once.
func TestAnActThatIsPutOffShowsThatTheDestinationWorks(t *testing.T) {
	t.Parallel()
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.by)
	var made acts
	var whole atomic.Bool
	config := only(acting(1, func(ctx context.Context, id string) error {
		made.add(ctx, id)
		switch {
		case strings.HasPrefix(id, "waits"):
			whole.Store(id == "waits-last")
			return worker.Defer(time.Hour, errors.New("greylisted"))
		case !whole.Load():
			return worker.RetryAfter(time.Hour, errors.New("503"))
		}
		return nil
	}))
	config.Registerer = registry
	p := start(t, l, config)
	p.holds(t, "actor")
	placeMany(t, l, "a", 19)
	place(t, l, "waits-first")
	placeMany(t, l, "b", 19)
	failed(t, registry, 19+1+19)
	if p.Degraded() != nil {
		t.Errorf("after 19 failures in a row, twice: %v", p.Degraded())
	}
	place(t, l, "c")
	until(t, "the lane is on hold", func() bool { return errors.Is(p.Degraded(), worker.ErrCircuitOpen) })
	place(t, l, "waits-last")
	now.move(time.Second)
	failed(t, registry, 40+1) // one that waits was tried; the next event is next
	now.move(2 * time.Second)
	until(t, "only what was put off waits", func() bool { return whole.Load() && p.lane(t, "actor").Open == 2 })
	if p.Degraded() != nil {
		t.Errorf("degraded: %v", p.Degraded())
	}
	if first, last := made.of("waits-first"), made.of("waits-last"); len(first) != 1 || len(last) != 1 {
		t.Errorf("what was put off for an hour was tried in attempts %v and %v, want one of each", first, last)
	}
}
