package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// ErrPaused is reported by a lane that operators have paused.
var ErrPaused = errors.New("paused")

// Control is the state of a lane that operators have set: paused or running.
type Control struct {
	Paused bool
	Until  *time.Time // when the pause ends; nil: when the lane is resumed
}

// Controls are the entities by which operators pause lanes. An entity's id is the name of its lane.
var Controls = eventlog.Entity[Control]{Prefix: events.PrefixLane, LastOnly: true, Apply: func(_ Control, e events.Event) (Control, error) {
	switch p := e.Payload.(type) {
	case events.LanePaused:
		return Control{Paused: true, Until: p.Until}, nil
	case events.LaneResumed:
		return Control{}, nil
	}
	return Control{}, fmt.Errorf("a lane control cannot apply %s", e.Type)
}}

// PauseLane pauses a lane in every process until a time or, with a zero time, until it is resumed. The pause outlasts
// restarts. The lane still finishes what it has begun. l must be the handle of the domain ops.
func PauseLane(ctx context.Context, l *eventlog.Log, name string, until time.Time, author events.Author) error {
	paused := events.LanePaused{Lane: name}
	if !until.IsZero() {
		utc := until.UTC()
		paused.Until = &utc
	}
	return appendControl(ctx, l, name, paused, author)
}

// ResumeLane ends the pause of a lane; it changes nothing for a lane that is not paused.
func ResumeLane(ctx context.Context, l *eventlog.Log, name string, author events.Author) error {
	return appendControl(ctx, l, name, events.LaneResumed{Lane: name}, author)
}

func appendControl(ctx context.Context, l *eventlog.Log, name string, fact events.Payload, author events.Author) error {
	return l.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithAuthor(author)
		if _, err := Controls.Load(tx, name); err != nil {
			return err
		}
		return Controls.Append(tx, name, fact)
	})
}

// setControl applies a control whose event has the given sequence. A control that is older than the lane's is ignored:
// the reader begins before the end of the log, up to which New has read the controls.
func (l *lane) setControl(c Control, sequence uint64) {
	l.mu.Lock()
	if sequence > l.control {
		l.paused, l.pausedUntil, l.control = c.Paused, time.Time{}, sequence
		if c.Until != nil {
			l.pausedUntil = *c.Until
		}
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// isPaused reports whether operators have paused the lane.
func (l *lane) isPaused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paused && (l.pausedUntil.IsZero() || l.log.Now().Before(l.pausedUntil))
}

// pauseError returns [ErrPaused] with the end of the pause, nil when the lane is not paused.
func (l *lane) pauseError() error {
	if !l.isPaused() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pausedUntil.IsZero() {
		return fmt.Errorf("%s: %w until it is resumed", l.name, ErrPaused)
	}
	return fmt.Errorf("%s: %w until %s", l.name, ErrPaused, l.pausedUntil.UTC().Format(time.RFC3339))
}
