package events

// DeadLettered says that a worker could not handle an event for the event's own reasons and went on without it. It points
// to the event, which itself stays in the log.
type DeadLettered struct {
	Worker      string `json:"worker"`   // the lane that could not handle it
	Sequence    uint64 `json:"sequence"` // of the event in the log
	Subject     string `json:"subject"`
	Type        string `json:"type,omitempty"` // "" when the message is no event
	EventID     string `json:"event_id,omitempty"`
	Error       string `json:"error"`
	Fingerprint string `json:"fingerprint"` // equal for equal causes, to count by
	Attempt     int    `json:"attempt"`     // how often it was tried, from 1
}

// EventType implements [Payload].
func (DeadLettered) EventType() string { return "worker.dead_lettered" }
