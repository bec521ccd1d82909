package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tillstream/events/log"
)

// How an act lane finds out that its destination is broken, and looks whether it is whole again.
const (
	failuresToHold = 20 // in a row
	probeFirst     = time.Second
	probeLongest   = 30 * time.Second
)

// probe tries one act while the lane is on hold: one that waits, and every other time the next event. What waits may be
// refused for reasons of its own, and must not keep the others waiting then.
func (a *actLane) probe(ctx, work context.Context, workers *sync.WaitGroup) {
	if a.running > 0 || a.log.Now().Before(a.probeAt) {
		return
	}
	o := a.earliest()
	if o == nil || a.probes%2 == 0 && len(a.open) < maxOpen {
		fresh, err := a.take(ctx)
		a.report(err)
		if fresh != nil {
			o = fresh
		}
	}
	if o != nil {
		o.probe = true
		a.start(work, workers, o)
	}
}

// counted is how many of an act's attempts say something about its event. One that was made to see whether the destination
// is whole again does not bring the event nearer to a dead letter.
func (a *actLane) counted(o *act) int {
	if o.probe {
		return min(o.Attempt, len(retrySchedule))
	}
	return o.Attempt
}

// failed counts failures in a row: a destination that is broken puts the lane on hold instead of filling it with acts that
// all wait. So does an error that says so. What the log caused says nothing about the destination.
func (a *actLane) failed(o *act, err error) {
	now := a.log.Now()
	if !isOpenCircuit(err) && (errors.Is(err, log.ErrUnavailable) || errors.Is(err, log.ErrContention)) {
		if o.probe {
			a.probeAt = now.Add(probeFirst)
		}
		return
	}
	a.failures++
	switch {
	case isOpenCircuit(err):
		o.Attempt-- // nothing was tried
		o.Due = now
	case o.probe && o.Attempt > 1:
		o.Attempt-- // the next one is still not the first
	}
	if a.probes == 0 && !isOpenCircuit(err) && a.failures < failuresToHold {
		return
	}
	if a.probes > 0 && !o.probe {
		return // begun before the hold
	}
	if a.probes == 0 {
		a.log.Logger().Error("lane is on hold: its destination takes nothing", "lane", a.name, "error", err)
	}
	a.probes++
	a.probeAt = now.Add(min(probeLongest, probeFirst<<min(a.probes-1, 10)))
	a.setHold(fmt.Errorf("%w: %w", ErrCircuitOpen, err))
}

// succeeded ends a hold, because the destination has taken an act or has shown that it works. Everything that waits for the
// destination is tried at once.
func (a *actLane) succeeded() {
	a.failures = 0
	if a.probes == 0 {
		return
	}
	a.log.Logger().Warn("lane goes on", "lane", a.name)
	a.probes = 0
	a.setHold(nil)
	for _, o := range a.open {
		if !o.running && !o.putOff {
			o.Due = a.log.Now()
		}
	}
}
