package events

import "time"

// LanePaused: operators paused a lane of a worker, in every process, until a time or until they resume it.
type LanePaused struct {
	Lane  string     `json:"lane"`
	Until *time.Time `json:"until,omitempty"` // nil: until it is resumed
}

// EventType implements [Payload].
func (LanePaused) EventType() string { return "ops.lane_paused" }

// LaneResumed: operators resumed a paused lane.
type LaneResumed struct {
	Lane string `json:"lane"`
}

// EventType implements [Payload].
func (LaneResumed) EventType() string { return "ops.lane_resumed" }

// EventVoided: operators declared an event void, because no program can read it. Every fold of its entity skips the event.
type EventVoided struct {
	Sequence uint64 `json:"sequence"` // of the event in the log
	Subject  string `json:"subject"`  // of the event
	Reason   string `json:"reason"`
}

// EventType implements [Payload].
func (EventVoided) EventType() string { return "ops.event_voided" }

// MaxRedelivery is the most events that one [RedeliveryRequested] may name.
const MaxRedelivery = 100

// RedeliveryRequested: operators request that a lane handles again events that it could not handle. The process that runs the
// lane reads the request in the log, handles each event again, and appends the result to the event's dead letter.
type RedeliveryRequested struct {
	Lane      string   `json:"lane"`
	Sequences []uint64 `json:"sequences"` // of the events in the log, at most MaxRedelivery
	Reason    string   `json:"reason"`
}

// EventType implements [Payload].
func (RedeliveryRequested) EventType() string { return "ops.redelivery_requested" }

// DeadLettered: a lane could not handle an event because of the event itself, and continued without it. The event stays in
// the log. A dead letter opens with this, and opens again when a redelivery fails.
//
// A dead letter is one subject of StreamDeadLetters, PrefixDeadLetter + lane + "." + sequence. Its newest event is its state:
//
//	DeadLettered ──► open ─┬─ its lane has handled the event again ──► DeadLetterRedriven ──► redriven
//	                  ▲    ├─ it has failed again ──► DeadLettered, attempt + 1 ──┐
//	                  │    └─ operators have discarded it ─► DeadLetterDiscarded ─│──► discarded
//	                  └────────────────────────────────────────────────────────────┘
type DeadLettered struct {
	Worker      string `json:"worker"`   // the lane
	Sequence    uint64 `json:"sequence"` // of the event in the log
	Subject     string `json:"subject"`
	Type        string `json:"type,omitempty"` // "" when the message is not an event
	EventID     string `json:"event_id,omitempty"`
	Error       string `json:"error"`
	Fingerprint string `json:"fingerprint"`          // equal for equal causes, to count them
	Attempt     int    `json:"attempt"`              // number of attempts so far, from 1
	Redelivery  uint64 `json:"redelivery,omitempty"` // sequence in the log of the request that failed; 0: none
}

// EventType implements [Payload].
func (DeadLettered) EventType() string { return "worker.dead_lettered" }

// DeadLetterRedriven: a lane has handled the event of a dead letter again, with success.
type DeadLetterRedriven struct {
	Worker     string `json:"worker"`
	Sequence   uint64 `json:"sequence"`
	Attempt    int    `json:"attempt"`    // number of attempts, this one included
	Redelivery uint64 `json:"redelivery"` // sequence in the log of the request
}

// EventType implements [Payload].
func (DeadLetterRedriven) EventType() string { return "worker.redriven" }

// DeadLetterDiscarded: operators decided that no lane handles the event. The actor of this event discarded it.
type DeadLetterDiscarded struct {
	Worker   string `json:"worker"`
	Sequence uint64 `json:"sequence"`
	Reason   string `json:"reason"`
}

// EventType implements [Payload].
func (DeadLetterDiscarded) EventType() string { return "worker.discarded" }
