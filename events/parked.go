package events

// EventParked: a worker could not handle a message and set it aside, whole, so that the rest goes on.
type EventParked struct {
	Worker      string              `json:"worker"` // the durable consumer
	Stream      string              `json:"stream"`
	Sequence    uint64              `json:"sequence"`
	Subject     string              `json:"subject"`
	Headers     map[string][]string `json:"headers,omitempty"`
	Data        []byte              `json:"data,omitempty"`      // base64; at most 256 KiB of it, the whole stands in the stream
	Truncated   bool                `json:"truncated,omitempty"` // Data is not all of it
	Error       string              `json:"error"`
	Fingerprint string              `json:"fingerprint"` // the same for the same cause, to count by
	Attempt     int                 `json:"attempt"`     // deliveries so far
}

// EventType implements [Payload].
func (EventParked) EventType() string { return "worker.event_parked" }
