package events

import "time"

// LanePaused says that operators stopped a lane of a worker, in every process, until a time or until it is resumed.
type LanePaused struct {
	Lane  string     `json:"lane"`
	Until *time.Time `json:"until,omitempty"` // nil: until it is resumed
}

// EventType implements [Payload].
func (LanePaused) EventType() string { return "ops.lane_paused" }

// LaneResumed says that operators let a paused lane go on.
type LaneResumed struct {
	Lane string `json:"lane"`
}

// EventType implements [Payload].
func (LaneResumed) EventType() string { return "ops.lane_resumed" }
