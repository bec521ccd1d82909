package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	eventlog "tillstream/events/log"
)

// When the circuit of an act lane opens, and how often it is probed while it is open.
const (
	failuresToOpen = 20 // in a row
	probeInitial   = time.Second
	probeMaximum   = 30 * time.Second
)

// probe tries one act while the circuit is open: an act that waits or, every other time, the next event. An act that waits may
// be refused for a reason of its own and would then keep the circuit open.
func (a *actLane) probe(ctx, work context.Context, workers *sync.WaitGroup) {
	if a.running > 0 || a.log.Now().Before(a.probeAt) {
		return
	}
	o := a.earliest()
	if o == nil || a.probes%2 == 0 && len(a.open) < maxOpenActs {
		taken, err := a.take(ctx)
		a.report(err)
		if taken != nil {
			o = taken
		}
	}
	if o != nil {
		o.probe = true
		a.start(work, workers, o)
	}
}

// countedAttempts is how many attempts at an act count for its retry schedule. A probe does not bring the event nearer to a
// dead letter.
func (a *actLane) countedAttempts(o *act) int {
	if o.probe {
		return min(o.Attempt, len(actSchedule))
	}
	return o.Attempt
}

// failed counts a failure of the destination. The circuit opens after failuresToOpen in a row, so that a broken destination
// does not fill the lane with acts that wait, or at once after an [OpenCircuit] error. Errors of the log are not counted.
func (a *actLane) failed(o *act, err error) {
	now := a.log.Now()
	if !isOpenCircuit(err) && (errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrContention)) {
		if o.probe {
			a.probeAt = now.Add(probeInitial)
		}
		return
	}
	a.failures++
	switch {
	case isOpenCircuit(err):
		o.Attempt-- // the act was not tried
		o.Due = now
	case o.probe && o.Attempt > 1:
		o.Attempt-- // but not to 0: the next attempt must know that it is not the first
	}
	if a.probes == 0 && !isOpenCircuit(err) && a.failures < failuresToOpen {
		return
	}
	if a.probes > 0 && !o.probe {
		return // begun before the circuit opened
	}
	if a.probes == 0 {
		a.log.Logger().Error("circuit opened", "lane", a.name, "error", err)
	}
	a.probes++
	a.probeAt = now.Add(min(probeMaximum, probeInitial<<min(a.probes-1, 10)))
	a.setCircuit(fmt.Errorf("%w: %w", ErrCircuitOpen, err))
}

// succeeded closes the circuit, because the destination has taken an act or is known to work. Every act that waits for the
// destination becomes due.
func (a *actLane) succeeded() {
	a.failures = 0
	if a.probes == 0 {
		return
	}
	a.log.Logger().Warn("circuit closed", "lane", a.name)
	a.probes = 0
	a.setCircuit(nil)
	for _, o := range a.open {
		if !o.running && !o.deferred {
			o.Due = a.log.Now()
		}
	}
}
