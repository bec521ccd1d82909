package worker

import (
	"context"
	"fmt"
	"time"

	"tillstream/events"
	"tillstream/events/log"
)

// Control is what operators want of a lane.
type Control struct {
	Paused bool
	Until  *time.Time // when the pause ends by itself; nil: it does not
}

// Controls are the entities that operators pause lanes by, by the lane's name.
var Controls = log.Entity[Control]{Prefix: events.PrefixLane, LastOnly: true, Apply: func(_ Control, e events.Event) (Control, error) {
	switch p := e.Payload.(type) {
	case events.LanePaused:
		return Control{Paused: true, Until: p.Until}, nil
	case events.LaneResumed:
		return Control{}, nil
	}
	return Control{}, fmt.Errorf("a lane cannot take %s", e.Type)
}}

// PauseLane stops a lane, in every process, until a time or, with a zero time, until it is resumed. It outlasts restarts.
// What the lane has begun it still finishes. l must be the handle of the domain ops.
func PauseLane(ctx context.Context, l *log.Log, name string, until time.Time) error {
	paused := events.LanePaused{Lane: name}
	if !until.IsZero() {
		utc := until.UTC()
		paused.Until = &utc
	}
	return control(ctx, l, name, paused)
}

// ResumeLane undoes PauseLane; a lane that was not paused goes on as it did.
func ResumeLane(ctx context.Context, l *log.Log, name string) error {
	return control(ctx, l, name, events.LaneResumed{Lane: name})
}

func control(ctx context.Context, l *log.Log, name string, fact events.Payload) error {
	return l.Do(ctx, func(tx *log.Tx) error {
		tx.WithActor(events.ActorOps)
		if _, err := Controls.Load(tx, name); err != nil {
			return err
		}
		return Controls.Append(tx, name, fact)
	})
}
