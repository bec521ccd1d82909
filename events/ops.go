package events

import (
	"slices"
	"time"
)

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

// PrefixAction is the subject prefix of [ActionRecorded]; the id of the action follows.
const PrefixAction = "ops.actions."

// ActionRecorded: staff carried out an action that leaves no other event in the log, such as a backup. It is
// appended when the action has ended, because an event in between would take a sequence that a repair gives back to a lost one.
type ActionRecorded struct {
	Action    string   `json:"action"`              // the command, such as "repair"
	Arguments []string `json:"arguments,omitempty"` // what it was applied to, without passwords
	Outcome   string   `json:"outcome"`             // what it changed, or why it ended without
}

// EventType implements [Payload].
func (ActionRecorded) EventType() string { return "ops.action_recorded" }

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
	// Runs are the sequences of all messages of a dead letter that stands for several, which the lane could not read; the other
	// fields are about the first. nil: the dead letter is about the event at Sequence alone.
	Runs []Run `json:"runs,omitempty"`
}

// Messages returns the number of messages that the dead letter is about.
func (d DeadLettered) Messages() int { return max(CountRuns(d.Runs), 1) }

// About reports whether the dead letter is about the message at a sequence of the log.
func (d DeadLettered) About(sequence uint64) bool {
	if len(d.Runs) == 0 {
		return sequence == d.Sequence
	}
	return slices.ContainsFunc(d.Runs, func(r Run) bool { return r.From <= sequence && sequence <= r.To })
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

// Run is consecutive sequences of the log.
type Run struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"` // the last one
}

// AddToRuns adds a sequence after those of the runs.
func AddToRuns(runs []Run, sequence uint64) []Run {
	if last := len(runs) - 1; last >= 0 && runs[last].To+1 == sequence {
		runs[last].To = sequence
		return runs
	}
	return append(runs, Run{From: sequence, To: sequence})
}

// CountRuns returns the number of sequences in the runs.
func CountRuns(runs []Run) (n int) {
	for _, r := range runs {
		n += int(r.To - r.From + 1)
	}
	return n
}

// RunsAfter returns the runs without the sequences up to one.
func RunsAfter(runs []Run, sequence uint64) (left []Run) {
	for _, r := range runs {
		if r.To > sequence {
			left = append(left, Run{From: max(r.From, sequence+1), To: r.To})
		}
	}
	return left
}
