package events

// DeadLettered says that a worker could not handle an event for the event's own reasons and went on without it. It points
// to the event, which itself stays in the log. It opens a dead letter, and opens it again when a redelivery failed, too.
//
// A dead letter is one subject of StreamDeadLetters, PrefixDeadLetter + lane + "." + sequence, and its newest event says how it
// stands:
//
//	DeadLettered ──► open ─┬─ its lane has handled the event again ──► DeadLetterRedriven ──► redriven
//	                  ▲    ├─ it has failed again ──► DeadLettered, attempt + 1 ──┐
//	                  │    └─ operators have settled it ──► DeadLetterDiscarded   │ ──► discarded
//	                  └────────────────────────────────────────────────────────────┘
type DeadLettered struct {
	Worker      string `json:"worker"`   // the lane that could not handle it
	Sequence    uint64 `json:"sequence"` // of the event in the log
	Subject     string `json:"subject"`
	Type        string `json:"type,omitempty"` // "" when the message is no event
	EventID     string `json:"event_id,omitempty"`
	Error       string `json:"error"`
	Fingerprint string `json:"fingerprint"`          // equal for equal causes, to count by
	Attempt     int    `json:"attempt"`              // how often it was tried, from 1
	Redelivery  uint64 `json:"redelivery,omitempty"` // sequence in the log of the request that failed; 0: no redelivery
}

// EventType implements [Payload].
func (DeadLettered) EventType() string { return "worker.dead_lettered" }

// DeadLetterRedriven says that a lane has handled an event again at last.
type DeadLetterRedriven struct {
	Worker     string `json:"worker"`
	Sequence   uint64 `json:"sequence"`
	Attempt    int    `json:"attempt"`    // how often it was tried, this time included
	Redelivery uint64 `json:"redelivery"` // sequence in the log of the request
}

// EventType implements [Payload].
func (DeadLetterRedriven) EventType() string { return "worker.redriven" }

// DeadLetterDiscarded says that operators have settled an event in another way: no lane will handle it. The envelope's actor is
// who discarded it.
type DeadLetterDiscarded struct {
	Worker   string `json:"worker"`
	Sequence uint64 `json:"sequence"`
	Reason   string `json:"reason"`
}

// EventType implements [Payload].
func (DeadLetterDiscarded) EventType() string { return "worker.discarded" }
