package events

import "time"

// ReplaySelection is the events that a replay handles again, and the lanes that handle them. It is resolved: a range of the log
// with an end, so that the replay never meets its own effects.
type ReplaySelection struct {
	Order    string     `json:"order,omitempty"`    // what Subjects were found by
	Subjects []string   `json:"subjects,omitempty"` // of the events; none: all
	Lanes    []string   `json:"lanes"`              // decide and act lanes
	Types    []string   `json:"types,omitempty"`    // of the events; none: every type that one of the lanes handles
	Since    *time.Time `json:"since,omitempty"`    // what From was found by
	Until    *time.Time `json:"until,omitempty"`    // what To was found by
	From     uint64     `json:"from"`               // first sequence
	To       uint64     `json:"to"`                 // last sequence
}

// ReplayRequested: operators request that lanes handle events again, whether or not they could handle them before.
//
// A replay is one subject, PrefixReplay + id. The process that drives it appends batches, each when the lanes have answered an
// earlier one with [Replayed]:
//
//	ReplayRequested ──► waiting ── ReplayApproved ──► running ──► ReplayBatchRequested … ──► ReplayFinished ──► finished
//	                       │  few events: running at once  │ ▲
//	                       └────── ReplayStopped ──────────┴─┤
//	                                    ▼                    │
//	                                 stopped ── ReplayResumed┘  (or back to waiting, when nobody has approved it)
type ReplayRequested struct {
	Selection     ReplaySelection `json:"selection"`
	Reason        string          `json:"reason"`
	Events        int             `json:"events"`    // of the selection, without those left out
	Handlings     int             `json:"handlings"` // an event counts once for each lane that handles it
	LeftOut       int             `json:"left_out"`  // handlings in quarantine: the lane was asked to handle the event again too often
	Force         bool            `json:"force"`     // nothing is left out
	Rate          int             `json:"rate"`      // events per second
	ApprovalOver  int             `json:"approval_over"`
	NeedsApproval bool            `json:"needs_approval"` // of a second person, before the first batch
}

// EventType implements [Payload].
func (ReplayRequested) EventType() string { return "ops.replay_requested" }

// ReplayApproved: a second person approved a large replay. The actor of this event is not the one who requested it.
type ReplayApproved struct {
	Reason string `json:"reason,omitempty"`
}

// EventType implements [Payload].
func (ReplayApproved) EventType() string { return "ops.replay_approved" }

// ReplayStopped: operators stopped a replay. Lanes still handle the batches that were requested before.
type ReplayStopped struct {
	Reason string `json:"reason"`
}

// EventType implements [Payload].
func (ReplayStopped) EventType() string { return "ops.replay_stopped" }

// ReplayResumed: operators let a stopped replay go on where it was.
type ReplayResumed struct {
	Reason string `json:"reason"`
}

// EventType implements [Payload].
func (ReplayResumed) EventType() string { return "ops.replay_resumed" }

// ReplayBatchRequested: a replay requests that a lane handles events again. The holder of the lane appends the outcome, as
// [Replayed], to StreamDeadLetters, under PrefixDeadLetter + lane + "." + sequence of this event: the permissions of the broker
// let a worker append there and not under ops.
type ReplayBatchRequested struct {
	Lane      string   `json:"lane"`
	Sequences []uint64 `json:"sequences"` // of the events in the log, in order, at most MaxRedelivery
	Position  uint64   `json:"position"`  // every event of the selection up to here is requested, for every lane
}

// EventType implements [Payload].
func (ReplayBatchRequested) EventType() string { return "ops.replay_batch_requested" }

// ReplayFinished: every event of a replay was handled again. The counts are sums over all batches.
type ReplayFinished struct {
	ReplayCounts `json:"counts"`
}

// EventType implements [Payload].
func (ReplayFinished) EventType() string { return "ops.replay_finished" }

// Replayed: a lane has handled the events of a batch of a replay again.
type Replayed struct {
	Worker       string `json:"worker"`  // the lane
	Replay       string `json:"replay"`  // id of the replay
	Request      uint64 `json:"request"` // sequence of the [ReplayBatchRequested] in the log
	ReplayCounts `json:"counts"`
}

// EventType implements [Payload].
func (Replayed) EventType() string { return "worker.replayed" }

// ReplayCounts counts what handling events again has led to.
type ReplayCounts struct {
	Handled int         `json:"handled"` // events, once for each lane
	Nothing int         `json:"nothing"` // of them: the event was handled before, or was declared void
	Facts   []TypeCount `json:"facts,omitempty"`
	Done    int         `json:"done"`   // acts that were made before
	Opened  int         `json:"opened"` // acts that are made now
	Failed  int         `json:"failed"` // each of them has an open dead letter
	// Failures are the first of the failed events, at most 20.
	Failures []ReplayFailure `json:"failures,omitempty"`
}

// TypeCount is how many events of a type there are.
type TypeCount struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
}

// ReplayFailure is an event that a lane could not handle again.
type ReplayFailure struct {
	Lane     string `json:"lane"`
	Sequence uint64 `json:"sequence"`
	Error    string `json:"error"`
}

// maxReplayFailures bounds the failures that counts name, so that the counts fit into a message.
const maxReplayFailures = 20

// AddFact counts an event of a type.
func (c *ReplayCounts) AddFact(eventType string, n int) {
	for i := range c.Facts {
		if c.Facts[i].Type == eventType {
			c.Facts[i].Count += n
			return
		}
	}
	c.Facts = append(c.Facts, TypeCount{eventType, n})
}

// AddFailure counts an event that failed.
func (c *ReplayCounts) AddFailure(f ReplayFailure) {
	if c.Failed++; len(c.Failures) < maxReplayFailures {
		c.Failures = append(c.Failures, f)
	}
}

// Add adds the counts of another batch.
func (c *ReplayCounts) Add(other ReplayCounts) {
	c.Handled, c.Nothing = c.Handled+other.Handled, c.Nothing+other.Nothing
	c.Done, c.Opened, c.Failed = c.Done+other.Done, c.Opened+other.Opened, c.Failed+other.Failed
	for _, f := range other.Facts {
		c.AddFact(f.Type, f.Count)
	}
	room := max(maxReplayFailures-len(c.Failures), 0)
	c.Failures = append(c.Failures, other.Failures[:min(room, len(other.Failures))]...)
}

// Appended returns how many facts were appended.
func (c ReplayCounts) Appended() (n int) {
	for _, f := range c.Facts {
		n += f.Count
	}
	return n
}
