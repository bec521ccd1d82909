package worker

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrStarting is reported until the worker runs.
var ErrStarting = errors.New("starting")

// Ready returns nil when the reader follows the log and no decide, act or timer lane waits for the log, otherwise the reasons
// why not.
func (w *Worker) Ready() error {
	w.mu.Lock()
	started := w.started
	w.mu.Unlock()
	if !started {
		return ErrStarting
	}
	problems := []error{w.reader.problem(), w.log.Newer()}
	if problems[0] == nil { // else Gaps may repeat it
		problems[0] = w.log.Gaps()
	}
	for _, l := range w.lanes {
		if !l.writesDatabase() {
			problems = append(problems, l.waitError())
		}
	}
	return errors.Join(problems...)
}

// Degraded returns which lanes are paused, which circuits are open, which projections or archives wait for their database, which
// events are read from the archive because the log has lost them, and how far the log is verified; nil when there is nothing of
// that. The process serves requests meanwhile.
func (w *Worker) Degraded() error {
	problems := []error{w.log.Unrepaired(), w.verifier.progress()}
	for _, l := range w.lanes {
		problems = append(problems, l.pauseError(), l.circuitError())
		if l.writesDatabase() {
			problems = append(problems, l.waitError())
		}
	}
	return errors.Join(problems...)
}

func (l *lane) writesDatabase() bool { return l.kind == KindProject || l.kind == KindArchive }

// waitError returns why the lane waits, nil when it does not wait.
func (l *lane) waitError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", l.name, l.err)
}

// circuitError returns why the circuit is open, nil when it is closed.
func (l *lane) circuitError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.circuit == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", l.name, l.circuit)
}

// LaneStatus is the state of a lane as seen by this process.
type LaneStatus struct {
	Name     string
	Kind     Kind
	Leased   bool   // this process runs the lane
	Position uint64 // every event up to this sequence is handled
	Paused   bool
	Open     int   // acts that have begun and not ended
	Problem  error // why the lane waits, or why its circuit is open
	Dead     int   // dead letters of the lane that are open, in the whole shop
}

// End returns the sequence up to which this process has read the log.
func (w *Worker) End() uint64 { return w.reader.ring.next() - 1 }

// Lanes returns the status of every lane of the process.
func (w *Worker) Lanes() []LaneStatus {
	statuses := make([]LaneStatus, len(w.lanes))
	for i, l := range w.lanes {
		statuses[i] = l.status()
		statuses[i].Dead = w.deadLetters.count(l.name)
	}
	return statuses
}

func (l *lane) status() LaneStatus {
	paused := l.isPaused()
	l.mu.Lock()
	defer l.mu.Unlock()
	return LaneStatus{Name: l.name, Kind: l.kind, Leased: l.leased, Position: l.position, Paused: paused, Open: l.open,
		Problem: errors.Join(l.err, l.circuit)}
}

// laneMetrics are the counters of one lane.
type laneMetrics struct {
	retries     prometheus.Counter
	deadLetters prometheus.Counter
}

// newLaneMetrics creates the metrics of a lane, and registers them if there is a registerer.
func newLaneMetrics(l *lane, dead *openDeadLetters, registerer prometheus.Registerer) *laneMetrics {
	labels := prometheus.Labels{"lane": l.name}
	m := &laneMetrics{
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_lane_retries_total", Help: "Attempts of a lane that failed and are repeated.", ConstLabels: labels}),
		deadLetters: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_lane_dead_letters_total", Help: "Events that a lane could not handle, redeliveries included.", ConstLabels: labels})}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value)
	}
	if registerer != nil {
		registerer.MustRegister(m.retries, m.deadLetters,
			gauge("tillstream_lane_lag_events", "Events that this process has read and the lane has not handled; 0 in processes that do not run the lane.", l.lag),
			gauge("tillstream_lane_open_acts", "Acts that have begun and not ended, such as mails to be retried; 0 in processes that do not run the lane.", l.openActs),
			gauge("tillstream_lane_open_dead_letters", "Dead letters of the lane that are neither redriven nor discarded.", func() float64 { return float64(dead.count(l.name)) }),
			gauge("tillstream_lane_circuit_open", "1 while the circuit of the lane is open, because its destination refuses every act.", l.circuitOpen))
	}
	return m
}

func (l *lane) lag() float64 {
	s := l.status()
	end := l.reader.ring.next() - 1
	if !s.Leased || s.Position >= end {
		return 0
	}
	return float64(end - s.Position)
}

func (l *lane) openActs() float64 {
	s := l.status()
	if !s.Leased {
		return 0
	}
	return float64(s.Open)
}

func (l *lane) circuitOpen() float64 {
	if l.circuitError() != nil {
		return 1
	}
	return 0
}
