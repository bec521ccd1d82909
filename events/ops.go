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

// EventVoided says that operators declared an event void that no program can read: every fold of its entity passes over it.
type EventVoided struct {
	Sequence uint64 `json:"sequence"` // of the event in the log
	Subject  string `json:"subject"`  // of the event
	Reason   string `json:"reason"`
}

// EventType implements [Payload].
func (EventVoided) EventType() string { return "ops.event_voided" }

// EventType implements [Payload].
func (LaneResumed) EventType() string { return "ops.lane_resumed" }

// MaxRedelivery is how many events one [RedeliveryRequested] may name. More are asked for by several.
const MaxRedelivery = 100

// RedeliveryRequested says that operators want events handled again that a lane could not handle. The process that runs the
// lane meets the request in the log, handles each event again in that lane, and writes down what became of its dead letter.
type RedeliveryRequested struct {
	Lane      string   `json:"lane"`
	Sequences []uint64 `json:"sequences"` // of the events in the log, at most MaxRedelivery
	Reason    string   `json:"reason"`
}

// EventType implements [Payload].
func (RedeliveryRequested) EventType() string { return "ops.redelivery_requested" }
