package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"tillstream/events"
	"tillstream/events/failpoint"
	"tillstream/events/log"
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

// How often a checkpoint is written at most, by time and by events.
const (
	checkpointEvery  = time.Second
	checkpointEvents = 500
)

// checkpointPatience bounds how long a lane waits for its checkpoint to be written. It does its work without.
const checkpointPatience = 2 * time.Second

// ErrPaused is what a lane reports while operators have it paused.
var ErrPaused = errors.New("paused")

// ErrCircuitOpen is what an act lane reports while its destination takes nothing.
var ErrCircuitOpen = errors.New("on hold")

// lane is what all lanes share that have a lease and a checkpoint.
type lane struct {
	name    string
	kind    Kind
	log     *log.Log
	reader  *reader
	metrics *laneMetrics
	wake    chan struct{} // holds one: a pause began or ended

	mu         sync.Mutex
	held       bool // this process has the lease
	checkpoint log.Checkpoint
	position   uint64        // everything up to here is handled, or kept in mind
	floor      func() uint64 // where a successor must begin to read, if not behind the position
	saved      uint64        // the position when the checkpoint was written last
	savedAt    time.Time
	saveAfter  time.Time // what could not be written is not tried again before
	changed    bool      // what the checkpoint says besides the position is not true any more
	paused     bool
	until      time.Time // when the pause ends; zero: when it is resumed
	control    uint64    // sequence of the event that says so
	err        error     // what it waits for
	hold       error     // why an act lane is on hold
	open       int       // acts that have begun and not ended
}

// LaneStatus is how a lane stands, as this process knows it.
type LaneStatus struct {
	Name     string
	Kind     Kind
	Leased   bool   // this process runs it
	Position uint64 // everything up to here is handled
	Paused   bool
	Open     int   // acts that have begun and not ended
	Problem  error // what it waits for, or why it is on hold
}

func (l *lane) status() LaneStatus {
	paused := l.pausedNow()
	l.mu.Lock()
	defer l.mu.Unlock()
	return LaneStatus{Name: l.name, Kind: l.kind, Leased: l.held, Position: l.position, Paused: paused, Open: l.open, Problem: errors.Join(l.err, l.hold)}
}

// begin loads the checkpoint of a lane whose lease this process has just taken.
func (l *lane) begin(ctx context.Context) (log.Checkpoint, error) {
	c, err := l.log.LoadCheckpoint(ctx, l.name)
	if err != nil {
		return c, err
	}
	var open []json.RawMessage
	_ = json.Unmarshal(c.State, &open) // whoever restores the acts says what cannot be read
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = len(open)
	l.held, l.checkpoint, l.position, l.saved, l.savedAt, l.changed = true, c, c.Position, c.Position, l.log.Now(), c.CircuitOpen != ""
	return c, nil
}

func (l *lane) end() {
	l.log.ReportReader(l.name, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.err, l.hold = false, nil, nil
}

// advance notes that everything up to a sequence is handled.
func (l *lane) advance(position uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.position = max(l.position, position)
}

// due reports whether a checkpoint is to be written.
func (l *lane) due() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.log.Now()
	return !now.Before(l.saveAfter) && (l.position >= l.saved+checkpointEvents ||
		(l.position > l.saved || l.changed) && now.Sub(l.savedAt) >= checkpointEvery)
}

// change notes that the lane's checkpoint says something besides the position that is not true any more.
func (l *lane) change() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = true
}

// save writes the checkpoint. A failure is no reason to stop: what is not checkpointed is handled again after a crash, to
// no effect.
func (l *lane) save(ctx context.Context, state any) error {
	l.mu.Lock()
	c, position := l.checkpoint, l.position
	c.CircuitOpen = ""
	if l.hold != nil {
		c.CircuitOpen = l.hold.Error()
	}
	l.mu.Unlock()
	c.Position, c.Read = position, position
	if l.floor != nil {
		c.Position = l.floor()
	}
	if state != nil {
		data, err := json.Marshal(state)
		if err != nil {
			return fmt.Errorf("checkpoint of %s: %w", l.name, err)
		}
		c.State = data
	}
	failpoint.AtPlace(l.name, "checkpoint.before_save")
	if err := l.log.SaveCheckpoint(ctx, &c); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.checkpoint = c // it knows what went unanswered
		return err
	}
	failpoint.AtPlace(l.name, "checkpoint.saved")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checkpoint, l.saved, l.savedAt, l.changed = c, position, l.log.Now(), false
	return nil
}

// saveIfDue is save for a lane that is at work. It returns [log.ErrCheckpointConflict] alone: the lane is another process's.
func (l *lane) saveIfDue(ctx context.Context, state func() any) error {
	if !l.due() {
		return nil
	}
	saving, cancel := context.WithTimeout(ctx, checkpointPatience)
	defer cancel()
	err := l.save(saving, state())
	if err == nil || errors.Is(err, log.ErrCheckpointConflict) {
		return err
	}
	l.log.Logger().Warn("write checkpoint", "lane", l.name, "error", err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saveAfter = l.log.Now().Add(checkpointEvery)
	return nil
}

// saveLast is save for a lane that this process leaves, whose ctx has ended.
func (l *lane) saveLast(ctx context.Context, state any) {
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkpointPatience)
	defer cancel()
	if err := l.save(final, state); err != nil && !errors.Is(err, log.ErrCheckpointConflict) {
		l.log.Logger().Warn("write last checkpoint", "lane", l.name, "error", err)
	}
}

func noState() any { return nil }

// report notes what the lane waits for; nil: nothing.
func (l *lane) report(err error) {
	if err != nil {
		l.metrics.retries.Inc()
	}
	l.log.ReportReader(l.name, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// newer returns [events.ErrNewer] when the lane stands before an event that only a newer release understands. It gives its lease
// up then, so that a process of that release takes it.
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

func (l *lane) setHold(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold, l.changed = err, true
}

// setPause takes over what operators want, as an event at a sequence says it. The reader begins with events that are older
// than what was known at the start: those say nothing any more.
func (l *lane) setPause(c Control, sequence uint64) {
	l.mu.Lock()
	if sequence > l.control {
		l.paused, l.until, l.control = c.Paused, time.Time{}, sequence
		if c.Until != nil {
			l.until = *c.Until
		}
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// pausedNow reports whether operators have the lane paused at this moment.
func (l *lane) pausedNow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paused && (l.until.IsZero() || l.log.Now().Before(l.until))
}

// pauseError says until when the lane is paused; nil when it is not.
func (l *lane) pauseError() error {
	if !l.pausedNow() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until.IsZero() {
		return fmt.Errorf("%s: %w until it is resumed", l.name, ErrPaused)
	}
	return fmt.Errorf("%s: %w until %s", l.name, ErrPaused, l.until.UTC().Format(time.RFC3339))
}

// moveTo sets where the lane goes on, which may be before its checkpoint.
func (l *lane) moveTo(position uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.position = position
}
