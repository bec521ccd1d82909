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
	eventlog "tillstream/events/log"
)

// Periodic is a periodic job: a check at intervals for what a timer or a webhook has missed. It runs in every process.
type Periodic struct {
	Every time.Duration
	Name  string
	Run   func(ctx context.Context) error
}

// Domain lists the handlers and jobs of one domain in a process.
type Domain struct {
	Name      string // as in [events.OwnedPrefixes]; also the name of its decide lane
	Log       *eventlog.Log
	Routes    []Route
	Actors    []Actor
	Timers    []Timer
	Batches   []Batch
	Watches   []Watch
	Periodics []Periodic
}

// Config lists the domains that a process runs, and its settings.
type Config struct {
	Domains []Domain
	Batches []Batch       // that belong to no domain: the archive
	Grace   time.Duration // how long running work may take after a stop; default 20 s
	// Holder is the name under which leases are acquired; default: a random one. A process takes the leases over at once
	// from a process with the same name, so no two running processes may share a name.
	Holder string
	// Missing returns messages that the log lacks, from the archive; optional.
	Missing    func(ctx context.Context, from, to uint64) ([]eventlog.Message, error)
	Registerer prometheus.Registerer // default: none
	// VerifyFirst is how many of the newest events are read to find gaps before the first append; default 100,000, a third of a
	// second. The older ones are read in the background.
	VerifyFirst uint64
}

// Worker runs the lanes of one process.
type Worker struct {
	log         *eventlog.Log
	config      Config
	reader      *reader
	decider     *decider
	leases      *leases
	deadLetters *openDeadLetters
	pacer       *pacer
	verifier    *verifier

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

// New prepares a worker: it verifies the end of the log and reads which lanes are paused. Nothing else is read before Run. l is
// the log of the process. It returns [eventlog.ErrTruncated] when a lane has read further than the log reaches.
func New(ctx context.Context, l *eventlog.Log, config Config) (*Worker, error) {
	config.Grace = cmp.Or(config.Grace, 20*time.Second)
	config.Holder = cmp.Or(config.Holder, uuid.NewString())
	config.VerifyFirst = cmp.Or(config.VerifyFirst, 100_000)
	r, err := startReader(ctx, l)
	if err != nil {
		return nil, err
	}
	w := &Worker{log: l, config: config, reader: r, decider: newDecider(l, r), leases: newLeases(l, config.Holder),
		deadLetters: &openDeadLetters{log: l}, pacer: newPacer()}
	r.missing, r.observe = config.Missing, w.applyControl
	end, err := l.End(ctx, 0)
	if err != nil {
		return nil, err
	}
	if w.verifier, err = startVerifier(ctx, l, r, config.VerifyFirst); err != nil {
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
		lane := newDecideLane(w.addLane(d.Name, KindDecide), d.Log, d.Routes)
		lane.replayer = newReplayer(lane.lane, w.deadLetters, w.pacer)
		lane.replayer.again = lane.decideAgain
		w.decider.decides = append(w.decider.decides, lane)
	}
	for _, a := range d.Actors {
		lane := newActLane(w.addLane(a.Name, KindAct), a, w.decider.Dispatcher, w.deadLetters, w.pacer)
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
	l.metrics = newLaneMetrics(l, w.deadLetters, w.config.Registerer)
	if kind == KindDecide || kind == KindAct {
		w.deadLetters.lanes = append(w.deadLetters.lanes, name)
	}
	w.lanes = append(w.lanes, l)
	return l
}

// loadControls reads which lanes operators have paused.
func (w *Worker) loadControls(ctx context.Context) error {
	for _, l := range w.lanes {
		c, sequence, err := Controls.Read(ctx, w.log, l.name)
		if errors.Is(err, eventlog.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		l.setControl(c, sequence)
	}
	return nil
}

// applyControl pauses or resumes a lane when the reader reads such an event, before any lane takes the event.
func (w *Worker) applyControl(item *Item) {
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
		w.lanes[i].setControl(c, item.Sequence)
		w.decider.wake()
	}
}

// Run works until ctx ends, then finishes running work and returns nil. It returns an error when a lane can never continue,
// because the log has lost events that its archive holds ([eventlog.ErrTruncated]).
func (w *Worker) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop := context.AfterFunc(running, func() { time.AfterFunc(w.config.Grace, cancel) })
	defer stop()
	reading, stopReading := context.WithCancel(work)
	defer stopReading()

	var background, lanes, deciding sync.WaitGroup
	background.Go(func() { w.reader.run(reading) })
	background.Go(func() { w.verifier.run(reading) })
	background.Go(func() { w.leases.watch(reading) })
	if len(w.deadLetters.lanes) > 0 {
		background.Go(func() { w.deadLetters.watch(reading) })
	}
	for _, watcher := range w.watchers {
		background.Go(func() { watcher.run(reading) })
	}
	lanesEnded := make(chan struct{})
	deciding.Go(func() { w.decider.run(running, work, lanesEnded) })
	if len(w.decider.decides) > 0 {
		w.log.SetCascade(w.decider.submitAndWait)
		defer w.log.SetCascade(nil)
	}
	w.setStarted(true)
	defer w.setStarted(false)
	w.startLanes(running, work, &lanes, fail)
	<-running.Done() // a process without lanes may have watches
	// The order of stopping: lanes end between two rounds of the decider, and read until they have ended.
	lanes.Wait()
	close(lanesEnded)
	deciding.Wait()
	stopReading()
	background.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(running)
}

// startLanes starts the lanes and the periodic jobs. A lane that fails stops the others.
func (w *Worker) startLanes(ctx, work context.Context, lanes *sync.WaitGroup, fail context.CancelCauseFunc) {
	start := func(l *lane, run func(context.Context) error) {
		lanes.Go(func() {
			if err := w.leases.run(ctx, l.name, run); err != nil {
				fail(fmt.Errorf("%s: %w", l.name, err))
			}
		})
	}
	for _, l := range w.decider.decides {
		start(l.lane, func(ctx context.Context) error { return w.decider.runLane(ctx, l) })
	}
	for _, r := range w.runners {
		start(r.lane, func(ctx context.Context) error { return r.run(ctx, work) })
	}
	for _, d := range w.config.Domains {
		for _, p := range d.Periodics {
			lanes.Go(func() { w.runPeriodic(ctx, p) })
		}
	}
}

func (w *Worker) runPeriodic(ctx context.Context, p Periodic) {
	for Sleep(ctx, p.Every) {
		failpoint.AtPlace(p.Name, "periodic.begun")
		if err := safely(func() error { return p.Run(ctx) }); err != nil && ctx.Err() == nil {
			w.log.Logger().Warn("periodic job failed", "name", p.Name, "error", err)
		}
		failpoint.AtPlace(p.Name, "periodic.done")
	}
}

func (w *Worker) setStarted(started bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started = started
}
