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

// destination is what acts call. A test can break it.
type destination struct {
	mu      sync.Mutex
	broken  error // the answer while it is broken
	calls   int
	running int
	peak    int // most calls at a time since forgetPeak
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

// forgetPeak returns the most calls at a time since it was last called.
func (d *destination) forgetPeak() (peak int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	peak, d.peak = d.peak, d.running
	return peak
}

func (d *destination) taken() (orders int, attempts map[int]int) {
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

// Row 71 of the fault matrix: a destination that refuses every act opens the circuit at once. Single acts probe it at
// growing intervals; when it works again every act is made, once.
func TestDestinationThatRefusesTheShopOpensTheCircuit(t *testing.T) {
	t.Parallel()
	const all = 300
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.set)
	errRefused := errors.New("relay access denied")
	var d destination
	d.set(worker.OpenCircuit(errRefused))
	config := configOf(acting(4, d.call))
	config.Registerer = registry
	p := start(t, l, config)
	p.waitLeased(t, "actor")
	placeMany(t, l, "o", all)
	isOpen := func() bool {
		err := p.Degraded()
		return errors.Is(err, worker.ErrCircuitOpen) && errors.Is(err, errRefused) && strings.Contains(err.Error(), "actor")
	}
	waitUntil(t, "the circuit is open", isOpen)
	waitUntil(t, "the running acts have ended", func() bool { return failures(t, registry) == p.lane(t, "actor").Open })
	if p.Ready() != nil || metric(t, registry, "tillstream_lane_circuit_open", "actor") != 1 {
		t.Errorf("got ready %v and circuit metric %v, want nil and 1", p.Ready(), metric(t, registry, "tillstream_lane_circuit_open", "actor"))
	}
	calls := d.called()
	if calls > 4 {
		t.Errorf("got %d calls, want at most 4, which run at a time", calls)
	}
	d.forgetPeak()
	for i, seconds := range []int{1, 2, 4, 8, 16, 30, 30, 30} {
		wait := time.Duration(seconds) * time.Second
		now.move(wait - time.Millisecond)
		place(t, l, fmt.Sprintf("wake%d", i)) // makes the lane check whether a probe is due
		now.move(time.Millisecond)
		waitFailures(t, registry, calls+i+1)
	}
	if n, peak := d.called(), d.forgetPeak(); n != calls+8 || peak > 1 {
		t.Errorf("got %d calls, %d at a time; want %d, one at a time", n, peak, calls+8)
	}
	if lane := p.lane(t, "actor"); lane.Open > 4+8/2 || lane.Position > 4+8/2 { // every other probe takes the next event
		t.Errorf("got lane %+v, want 4 acts and every other probe at most", lane)
	}
	reason := func() string {
		c, err := l.LoadCheckpoint(t.Context(), "actor")
		if err != nil {
			t.Fatal(err)
		}
		return c.CircuitOpen
	}
	waitUntil(t, "the checkpoint has the reason", func() bool { return strings.Contains(reason(), errRefused.Error()) })
	d.set(nil)
	now.move(30 * time.Second)
	p.caughtUp(t, "actor")
	if n, attempts := d.taken(); n != all+8 || attempts[1] != all+8 {
		t.Errorf("got %d acts, attempts %v; want %d, each in its first attempt", n, attempts, all+8)
	}
	if p.Degraded() != nil || metric(t, registry, "tillstream_lane_circuit_open", "actor") != 0 {
		t.Errorf("degraded: got %v, want nil", p.Degraded())
	}
	if p.stop(); reason() != "" {
		t.Errorf("circuit in the checkpoint: got %q, want closed", reason())
	}
	if n := countIn(t, l, events.StreamDeadLetters, events.PrefixDeadLetter); n != 0 {
		t.Errorf("got %d dead letters, want none", n)
	}
}

func failures(t testing.TB, registry *prometheus.Registry) int {
	t.Helper()
	return int(metric(t, registry, "tillstream_lane_retries_total", "actor"))
}

// Twenty failures in a row, of any kind, open the circuit, so that the lane does not fill with waiting acts.
func TestTwentyFailuresInARowOpenTheCircuit(t *testing.T) {
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
			l := logtest.Open(t, now.set)
			var d destination
			d.set(broken)
			config := configOf(acting(concurrency, d.call))
			config.Registerer = registry
			p := start(t, l, config)
			p.waitLeased(t, "actor")
			placeMany(t, l, "o", all)
			waitUntil(t, "the circuit is open", func() bool { return errors.Is(p.Degraded(), worker.ErrCircuitOpen) })
			waitUntil(t, "the running acts have ended", func() bool { return failures(t, registry) == p.lane(t, "actor").Open })
			calls := d.called()
			if calls < 20 || calls >= 20+concurrency {
				t.Errorf("got %d calls, want 20 and those that ran beside the last", calls)
			}
			d.forgetPeak()
			for i := range probes {
				now.move(30 * time.Second)
				waitFailures(t, registry, calls+i+1)
			}
			if n, peak := d.called(), d.forgetPeak(); n != calls+probes || peak > 1 {
				t.Errorf("got %d calls, %d at a time; want %d, one at a time", n, peak, calls+probes)
			}
			d.set(nil)
			now.move(30 * time.Second)
			p.caughtUp(t, "actor")
			if n, attempts := d.taken(); n != all || attempts[1] != all-calls-probes/2 {
				t.Errorf("got %d acts, attempts %v; want %d, all first attempts except %d and the probes", n, attempts, all, calls)
			}
		})
	}
}

// Failures while the circuit is open say nothing about the events: none becomes a dead letter, however long it stays
// open.
func TestProbesDoNotLeadToDeadLetters(t *testing.T) {
	t.Parallel()
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.set)
	var d destination
	d.set(worker.RetryAfter(0, errors.New("503")))
	config := configOf(acting(1, d.call))
	config.Registerer = registry
	p := start(t, l, config)
	p.waitLeased(t, "actor")
	place(t, l, "a")
	waitFailures(t, registry, 20)
	waitUntil(t, "the circuit is open", func() bool { return errors.Is(p.Degraded(), worker.ErrCircuitOpen) })
	d.set(errors.New("connection refused"))
	for i := range 4 {
		now.move(30 * time.Second)
		waitFailures(t, registry, 21+i)
	}
	d.set(nil)
	now.move(30 * time.Second)
	p.caughtUp(t, "actor")
	n, attempts := d.taken()
	if dead := countIn(t, l, events.StreamDeadLetters, events.PrefixDeadLetter); n != 1 || dead != 0 || attempts[1] != 0 {
		t.Errorf("got %d acts, attempts %v, %d dead letters; want 1 act, not in its first attempt, and none", n, attempts, dead)
	}
}

// When the only waiting act becomes a dead letter, the next event probes the destination.
func TestOpenCircuitIsProbedWithTheNextEvent(t *testing.T) {
	t.Parallel()
	now := newClock()
	l := logtest.Open(t, now.set)
	var made acts
	p := start(t, l, configOf(acting(1, func(ctx context.Context, id string) error {
		made.add(ctx, id)
		switch {
		case id == "first" && len(made.of(id)) == 1:
			return worker.OpenCircuit(errors.New("relay access denied"))
		case id == "first":
			return worker.DeadLetter(errors.New("no such recipient"))
		}
		return nil
	})))
	p.waitLeased(t, "actor")
	place(t, l, "first")
	waitUntil(t, "the circuit is open", func() bool { return p.Degraded() != nil })
	now.move(time.Minute)
	deadLetters(t, l, "actor", 1)
	place(t, l, "second", "third")
	p.caughtUp(t, "actor")
	if got, want := made.String(), "map[first:[1 1] second:[1] third:[1]]"; got != want {
		t.Errorf("attempts: got %s, want %s", got, want)
	}
	if p.Degraded() != nil {
		t.Errorf("degraded: got %v, want nil", p.Degraded())
	}
}

// An unavailable log says nothing about the destination, so it does not open the circuit.
func TestUnavailableLogDoesNotOpenTheCircuit(t *testing.T) {
	t.Parallel()
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.set)
	var d destination
	d.set(eventlog.ErrUnavailable)
	config := configOf(acting(8, d.call))
	config.Registerer = registry
	p := start(t, l, config)
	p.waitLeased(t, "actor")
	placeMany(t, l, "o", 40)
	waitFailures(t, registry, 40)
	if p.Degraded() != nil {
		t.Errorf("degraded: got %v, want nil", p.Degraded())
	}
	d.set(nil)
	now.move(time.Minute)
	p.caughtUp(t, "actor")
}

// A deferred act shows that the destination works. It ends a row of failures and closes an open circuit, and stays
// deferred while the acts that wait for the destination are tried at once.
func TestDeferredActClosesTheCircuit(t *testing.T) {
	t.Parallel()
	now, registry := newClock(), prometheus.NewRegistry()
	l := logtest.Open(t, now.set)
	var made acts
	var works atomic.Bool
	config := configOf(acting(1, func(ctx context.Context, id string) error {
		made.add(ctx, id)
		switch {
		case strings.HasPrefix(id, "waits"):
			works.Store(id == "waits-last")
			return worker.Defer(30*time.Minute, errors.New("greylisted")) // due before the acts that wait
		case !works.Load():
			return worker.RetryAfter(time.Hour, errors.New("503"))
		}
		return nil
	}))
	config.Registerer = registry
	p := start(t, l, config)
	p.waitLeased(t, "actor")
	placeMany(t, l, "a", 19)
	place(t, l, "waits-first")
	placeMany(t, l, "b", 19)
	waitFailures(t, registry, 19+1+19)
	if p.Degraded() != nil {
		t.Errorf("degraded after 19 failures in a row, twice: got %v, want nil", p.Degraded())
	}
	place(t, l, "c")
	waitUntil(t, "the circuit is open", func() bool { return errors.Is(p.Degraded(), worker.ErrCircuitOpen) })
	place(t, l, "waits-last")
	now.move(time.Second)
	waitFailures(t, registry, 40+1) // the first probe was a waiting act; the second one is the next event
	now.move(2 * time.Second)
	waitUntil(t, "only the deferred acts wait", func() bool { return works.Load() && p.lane(t, "actor").Open == 2 })
	if p.Degraded() != nil {
		t.Errorf("degraded: got %v, want nil", p.Degraded())
	}
	if first, last := made.of("waits-first"), made.of("waits-last"); len(first) != 1 || len(last) != 1 {
		t.Errorf("deferred acts: got attempts %v and %v, want one of each", first, last)
	}
}
