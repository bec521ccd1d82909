package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tillstream/events"
	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
)

// Kind is what a lane does with its events.
type Kind string

// The kinds of lanes that run once in the whole shop.
const (
	KindDecide  Kind = "decide"
	KindAct     Kind = "act"
	KindTimer   Kind = "timer"
	KindProject Kind = "project"
	KindArchive Kind = "archive"
)

// A changed checkpoint is written after checkpointEvery, or earlier when the lane has handled checkpointEvents events.
const (
	checkpointEvery  = time.Second
	checkpointEvents = 500
)

// checkpointTimeout bounds how long a lane waits for its checkpoint to be written. Without a checkpoint the lane works on.
const checkpointTimeout = 2 * time.Second

// ErrCircuitOpen is reported by an act lane whose destination refuses every act.
var ErrCircuitOpen = errors.New("circuit open")

// lane is the common part of all lanes with a lease and a checkpoint.
type lane struct {
	name    string
	kind    Kind
	log     *eventlog.Log
	reader  *reader
	metrics *laneMetrics
	wake    chan struct{} // holds one: a pause began or ended

	unreadable unreadable // used by the loop of the lane only

	mu          sync.Mutex
	leased      bool // this process runs the lane
	checkpoint  eventlog.Checkpoint
	position    uint64        // every event up to this sequence is handled, or listed in the state of the checkpoint
	reached     uint64        // the position without the held sequences
	held        []uint64      // requests whose batches are not replayed yet, in order; the position stays before the first
	restartAt   func() uint64 // position from which the next holder must read, if it is before the lane's position
	saved       uint64        // position in the last checkpoint that was written
	savedAt     time.Time
	saveAfter   time.Time // after a failure: when the checkpoint may be written again
	changed     bool      // the state of the checkpoint has changed since it was written
	paused      bool
	pausedUntil time.Time // zero: until the lane is resumed
	control     uint64    // sequence of the event that paused or resumed the lane
	err         error     // why the lane waits; nil: it does not wait
	circuit     error     // why the circuit of an act lane is open; nil: it is closed
	open        int       // acts that have begun and not ended
}

// begin loads the checkpoint of a lane whose lease this process has just acquired.
func (l *lane) begin(ctx context.Context) (eventlog.Checkpoint, error) {
	c, err := l.log.LoadCheckpoint(ctx, l.name)
	if err != nil {
		return c, err
	}
	var open []json.RawMessage
	_ = json.Unmarshal(c.State, &open) // the act lane reports a state that it cannot read
	l.unreadable = newUnreadable()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = len(open)
	l.reached, l.held = c.Position, nil
	l.leased, l.checkpoint, l.position, l.saved, l.savedAt, l.changed = true, c, c.Position, c.Position, l.log.Now(), c.CircuitOpen != ""
	return c, nil
}

// end records that this process no longer runs the lane.
func (l *lane) end() {
	l.log.ReportReader(l.name, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leased, l.err, l.circuit = false, nil, nil
}

// advance records that every event up to a sequence is handled.
func (l *lane) advance(position uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reached = max(l.reached, position)
	l.moveToReached()
}

// moveToReached moves the position as far as the held sequences allow.
func (l *lane) moveToReached() {
	end := l.reached
	if len(l.held) > 0 {
		end = min(end, l.held[0]-1)
	}
	l.position = max(l.position, end)
}

// hold keeps the position before a sequence until it is released, while the lane handles later events. After a crash the next
// holder reads that event again.
func (l *lane) hold(sequence uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = append(l.held, sequence)
}

// release ends the hold of a sequence.
func (l *lane) release(sequence uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = slices.DeleteFunc(l.held, func(held uint64) bool { return held == sequence })
	l.moveToReached()
}

// moveTo sets the position from which the lane continues, which may be before its checkpoint.
func (l *lane) moveTo(position uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.position, l.reached = position, position
}

// checkpointDue reports whether the checkpoint is to be written now.
func (l *lane) checkpointDue() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.log.Now()
	return !now.Before(l.saveAfter) && (l.position >= l.saved+checkpointEvents ||
		(l.position > l.saved || l.changed) && now.Sub(l.savedAt) >= checkpointEvery)
}

// change records that the state of the checkpoint has changed.
func (l *lane) change() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = true
}

// save writes the checkpoint, and before it the dead letters of the messages that it passes. A failure need not stop the lane: without a checkpoint, events are handled again after a crash,
// which has no second effect.
func (l *lane) save(ctx context.Context, state any) error {
	if err := l.putUnreadable(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	c, position := l.checkpoint, l.position
	c.CircuitOpen = ""
	if l.circuit != nil {
		c.CircuitOpen = l.circuit.Error()
	}
	l.mu.Unlock()
	c.Position, c.Read = position, position
	if l.restartAt != nil {
		c.Position = l.restartAt()
	}
	if state != nil {
		data, err := json.Marshal(state)
		if err != nil {
			return fmt.Errorf("write checkpoint of %s: %w", l.name, err)
		}
		c.State = data
	}
	failpoint.AtPlace(l.name, "checkpoint.before_save")
	if err := l.log.SaveCheckpoint(ctx, &c); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.checkpoint = c // remembers a write whose answer was lost
		return err
	}
	failpoint.AtPlace(l.name, "checkpoint.saved")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checkpoint, l.saved, l.savedAt, l.changed = c, position, l.log.Now(), false
	return nil
}

// saveIfDue writes the checkpoint of a running lane when it is due. The only error that it returns is
// [eventlog.ErrCheckpointConflict]: another process runs the lane.
func (l *lane) saveIfDue(ctx context.Context, state func() any) error {
	if !l.checkpointDue() {
		return nil
	}
	saving, cancel := context.WithTimeout(ctx, checkpointTimeout)
	defer cancel()
	err := l.save(saving, state())
	if err == nil || errors.Is(err, eventlog.ErrCheckpointConflict) {
		return err
	}
	l.log.Logger().Warn("checkpoint not written", "lane", l.name, "error", err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saveAfter = l.log.Now().Add(checkpointEvery)
	return nil
}

// saveLast writes the last checkpoint of this process. ctx may have ended.
func (l *lane) saveLast(ctx context.Context, state any) {
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkpointTimeout)
	defer cancel()
	if err := l.save(final, state); err != nil && !errors.Is(err, eventlog.ErrCheckpointConflict) {
		l.log.Logger().Warn("last checkpoint not written", "lane", l.name, "error", err)
	}
}

func noState() any { return nil }

// report records why the lane waits; nil: it does not wait.
func (l *lane) report(err error) {
	if err != nil {
		l.metrics.retries.Inc()
	}
	l.log.ReportReader(l.name, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// warnBegin logs that the lane could not begin. It tries again.
func (l *lane) warnBegin(err error) {
	l.log.Logger().Warn("lane cannot begin", "lane", l.name, "error", err)
}

// newer returns [events.ErrNewer] when only a newer release can read the next event. The lane then gives its
// lease up, so that a process of that release acquires it.
func (l *lane) newer() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.err, events.ErrNewer) {
		return l.err
	}
	return nil
}

func (l *lane) setOpen(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = n
}

// setCircuit opens the circuit for a reason, or closes it with nil.
func (l *lane) setCircuit(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.circuit, l.changed = reason, true
}
