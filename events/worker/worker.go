package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	"tillstream/events/failpoint"
	"tillstream/events/log"
)

// Periodic is a periodic guarantee behind something prompt. Every process runs its own.
type Periodic struct {
	Every time.Duration
	Name  string
	Run   func(ctx context.Context) error
}

// Domain is what one domain does in a process.
type Domain struct {
	Name      string // as in [events.OwnedPrefixes]; also the name of its decide lane
	Log       *log.Log
	Routes    []Route
	Actors    []Actor
	Timers    []Timer
	Batches   []Batch
	Watches   []Watch
	Periodics []Periodic
}

// Config is what one process does.
type Config struct {
	Domains []Domain
	Batches []Batch       // that belong to no domain: the archive
	Grace   time.Duration // how long work that has begun may take after the stop; default 20 s
	// Holder is in whose name leases are taken; default a random one. A process with the name of another one takes its
	// leases over at once, so only a process that is certain to be alone with its name may set it.
	Holder string
	// Missing returns messages that the log lacks, from the archive; optional.
	Missing    func(ctx context.Context, from, to uint64) ([]log.Message, error)
	Registerer prometheus.Registerer // default: none
}

// Worker runs the lanes of one process.
type Worker struct {
	log     *log.Log
	config  Config
	reader  *reader
	decider *decider
	leases  *leases
	letters *letters

	lanes    []*lane
	runners  []runner // lanes with a loop of their own
	watchers []*watcher

	mu      sync.Mutex
	started bool
}

type runner struct {
	*lane
	run func(ctx, work context.Context) error
}

// New prepares a worker: it finds the end of the log. Nothing is read before Run. l is the log of the process.
func New(ctx context.Context, l *log.Log, config Config) (*Worker, error) {
	config.Grace = cmp.Or(config.Grace, 20*time.Second)
	config.Holder = cmp.Or(config.Holder, uuid.NewString())
	r, err := startReader(ctx, l)
	if err != nil {
		return nil, err
	}
	w := &Worker{log: l, config: config, reader: r, decider: newDecider(l, r), leases: newLeases(l, config.Holder), letters: &letters{log: l}}
	r.missing, r.observe = config.Missing, w.observe
	end, err := l.End(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range config.Domains {
		w.addDomain(d, end)
	}
	for _, b := range config.Batches {
		w.addBatch(b)
	}
	return w, w.loadControls(ctx)
}

func (w *Worker) addDomain(d Domain, end uint64) {
	if len(d.Routes) > 0 {
		w.decider.add(&decideLane{lane: w.addLane(d.Name, KindDecide), domain: d.Log, owns: events.OwnedPrefixes(d.Name), routes: routesOf(d.Routes)})
	}
	for _, a := range d.Actors {
		lane := newActLane(w.addLane(a.Name, KindAct), a, w.decider.Dispatcher)
		w.runners = append(w.runners, runner{lane.lane, lane.run})
	}
	for _, t := range d.Timers {
		lane := newTimerLane(w.addLane(t.Name, KindTimer), t)
		w.runners = append(w.runners, runner{lane.lane, lane.run})
	}
	for _, b := range d.Batches {
		w.addBatch(b)
	}
	for _, watch := range d.Watches {
		w.watchers = append(w.watchers, &watcher{Watch: watch, log: w.log, reader: w.reader, first: end + 1})
	}
}

func (w *Worker) addBatch(b Batch) {
	lane := newBatchLane(w.addLane(b.Name, b.Kind), b)
	w.runners = append(w.runners, runner{lane.lane, lane.run})
}

func (w *Worker) addLane(name string, kind Kind) *lane {
	l := &lane{name: name, kind: kind, log: w.log, reader: w.reader, wake: make(chan struct{}, 1)}
	l.metrics = newLaneMetrics(l, w.letters, w.config.Registerer)
	if kind == KindDecide || kind == KindAct {
		w.letters.lanes = append(w.letters.lanes, name)
	}
	w.lanes = append(w.lanes, l)
	return l
}

// loadControls reads which lanes operators have paused.
func (w *Worker) loadControls(ctx context.Context) error {
	for _, l := range w.lanes {
		c, sequence, err := Controls.Read(ctx, w.log, l.name)
		if errors.Is(err, log.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		l.setPause(c, sequence)
	}
	return nil
}

// observe sees every message first.
func (w *Worker) observe(item *Item) {
	name, ok := events.ParseSubject(events.PrefixLane, item.Subject)
	if !ok {
		return
	}
	e, err := item.Event()
	if err != nil {
		return
	}
	i := slices.IndexFunc(w.lanes, func(l *lane) bool { return l.name == name })
	if c, err := Controls.Apply(Control{}, e); err == nil && i >= 0 {
		w.lanes[i].setPause(c, item.Sequence)
		w.decider.wake()
	}
}

// Run works until ctx ends, then finishes what has begun, and returns nil. It returns an error when a lane cannot go on at all:
// the log turns out to have lost what its archive holds ([log.ErrTruncated]).
func (w *Worker) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop := context.AfterFunc(running, func() { time.AfterFunc(w.config.Grace, cancel) })
	defer stop()
	reading, endReading := context.WithCancel(work)
	defer endReading()

	var background, lanes, deciding sync.WaitGroup
	background.Go(func() { w.reader.run(reading) })
	background.Go(func() { w.leases.watch(reading) })
	if len(w.letters.lanes) > 0 {
		background.Go(func() { w.letters.watch(reading) })
	}
	for _, watcher := range w.watchers {
		background.Go(func() { watcher.run(reading) })
	}
	left := make(chan struct{})
	deciding.Go(func() { w.decider.run(running, work, left) })
	if len(w.decider.decides) > 0 {
		w.log.SetCascade(w.decider.complete)
		defer w.log.SetCascade(nil)
	}
	w.setStarted(true)
	defer w.setStarted(false)
	w.runLanes(running, work, &lanes, fail)
	<-running.Done() // also a process without lanes has watches
	lanes.Wait()
	close(left)
	deciding.Wait()
	endReading()
	background.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(running)
}

// runLanes starts the lanes and the sweeps. One that fails ends the others.
func (w *Worker) runLanes(ctx, work context.Context, lanes *sync.WaitGroup, fail context.CancelCauseFunc) {
	hold := func(l *lane, run func(context.Context) error) {
		lanes.Go(func() {
			if err := w.leases.hold(ctx, l.name, run); err != nil {
				fail(fmt.Errorf("%s: %w", l.name, err))
			}
		})
	}
	for _, l := range w.decider.decides {
		hold(l.lane, func(ctx context.Context) error { return w.decider.runLane(ctx, l) })
	}
	for _, r := range w.runners {
		hold(r.lane, func(ctx context.Context) error { return r.run(ctx, work) })
	}
	for _, d := range w.config.Domains {
		for _, s := range d.Periodics {
			lanes.Go(func() { w.sweep(ctx, s) })
		}
	}
}

func (w *Worker) setStarted(started bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started = started
}

func (w *Worker) sweep(ctx context.Context, s Periodic) {
	for Sleep(ctx, s.Every) {
		failpoint.AtPlace(s.Name, "sweep.begun")
		if err := safely(func() error { return s.Run(ctx) }); err != nil && ctx.Err() == nil {
			w.log.Logger().Warn("sweep", "name", s.Name, "error", err)
		}
		failpoint.AtPlace(s.Name, "sweep.done")
	}
}

var errStarting = errors.New("starting")

// Ready returns nil when the log is read and no lane that decides or acts waits for it; else what is wrong.
func (w *Worker) Ready() error {
	w.mu.Lock()
	started := w.started
	w.mu.Unlock()
	if !started {
		return errStarting
	}
	problems := []error{w.reader.problem(), w.log.Newer()}
	for _, l := range w.lanes {
		if s := l.status(); s.Kind != KindProject && s.Kind != KindArchive {
			l.mu.Lock()
			if l.err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", l.name, l.err))
			}
			l.mu.Unlock()
		}
	}
	return errors.Join(problems...)
}

// Degraded says which lanes operators have paused, which are on hold, and which projections wait for their database; nil
// when none does. The others work on.
func (w *Worker) Degraded() error {
	var problems []error
	for _, l := range w.lanes {
		problems = append(problems, l.pauseError())
		l.mu.Lock()
		if l.hold != nil {
			problems = append(problems, fmt.Errorf("%s: %w", l.name, l.hold))
		}
		if l.err != nil && (l.kind == KindProject || l.kind == KindArchive) {
			problems = append(problems, fmt.Errorf("%s: %w", l.name, l.err))
		}
		l.mu.Unlock()
	}
	return errors.Join(problems...)
}

// Lanes returns how every lane stands.
func (w *Worker) Lanes() []LaneStatus {
	statuses := make([]LaneStatus, len(w.lanes))
	for i, l := range w.lanes {
		statuses[i] = l.status()
	}
	return statuses
}
