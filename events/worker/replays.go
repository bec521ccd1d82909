package worker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// ReplayState is the state of a replay. [events.ReplayRequested] draws how they follow each other.
type ReplayState string

// The states of a replay.
const (
	ReplayWaiting  ReplayState = "waiting" // for the approval of a second person
	ReplayRunning  ReplayState = "running" // batches may be requested; a process must drive it
	ReplayStopped  ReplayState = "stopped"
	ReplayFinished ReplayState = "finished"
)

var (
	// ErrReplayState is returned for a step that a replay cannot take in its state, such as the approval of a finished one.
	ErrReplayState = errors.New("the replay is in another state")
	// ErrOwnApproval is returned when somebody approves a replay that they requested.
	ErrOwnApproval = errors.New("a second person must approve this replay: whoever requested it cannot")
)

// Replay is the state of a replay, or of a redrive of dead letters, which consists of requests alone.
type Replay struct {
	events.ReplayRequested
	State        ReplayState
	By           string // actor who requested it
	At           time.Time
	ApprovedBy   string
	StoppedBy    string // "" unless it is stopped
	StopReason   string
	ResumedBy    string               // the last one
	Position     uint64               // every event of the selection up to here is requested
	Counts       *events.ReplayCounts // of a finished replay
	EndedAt      time.Time
	redeliveries int
}

// Replays are the entities that operators append to when lanes are to handle events again: one for each replay, and one for each
// [Redeliver].
var Replays = eventlog.Entity[Replay]{Prefix: events.PrefixReplay, Apply: applyReplay}

// replaySteps lists the states in which each event of a replay may be appended.
var replaySteps = map[string][]ReplayState{
	events.ReplayRequested{}.EventType():      {""},
	events.ReplayApproved{}.EventType():       {ReplayWaiting},
	events.ReplayBatchRequested{}.EventType(): {ReplayRunning},
	events.ReplayStopped{}.EventType():        {ReplayWaiting, ReplayRunning},
	events.ReplayResumed{}.EventType():        {ReplayStopped},
	events.ReplayFinished{}.EventType():       {ReplayRunning},
	events.RedeliveryRequested{}.EventType():  {""},
}

// check returns [ErrReplayState] for an event that cannot follow.
func (r Replay) check(eventType string) error {
	states, known := replaySteps[eventType]
	switch {
	case !known:
		return fmt.Errorf("a replay cannot apply %s", eventType)
	case slices.Contains(states, r.State):
		return nil
	case r.State == "":
		return fmt.Errorf("%w: it was not requested", ErrReplayState)
	}
	return fmt.Errorf("%w: it is %s", ErrReplayState, r.State)
}

func applyReplay(r Replay, e events.Event) (Replay, error) {
	if err := r.check(e.Type); err != nil {
		return r, err
	}
	switch p := e.Payload.(type) {
	case events.RedeliveryRequested:
		r.redeliveries++
		return r, checkRequest(p.Sequences, p.Reason)
	case events.ReplayRequested:
		r = Replay{ReplayRequested: p, By: e.Actor, At: e.Time, Position: max(p.Selection.From, 1) - 1}
		r.State = r.active()
		return r, checkReason(p.Reason)
	case events.ReplayApproved:
		if e.Actor == r.By {
			return r, ErrOwnApproval
		}
		r.ApprovedBy, r.State = e.Actor, ReplayRunning
	case events.ReplayBatchRequested:
		if p.Position < r.Position || p.Position > r.Selection.To {
			return r, fmt.Errorf("a batch ends at %d, the replay is at %d of %d", p.Position, r.Position, r.Selection.To)
		}
		r.Position = p.Position
		return r, checkRequest(p.Sequences, r.Reason)
	case events.ReplayStopped:
		r.StoppedBy, r.StopReason, r.State = e.Actor, p.Reason, ReplayStopped
		return r, checkReason(p.Reason)
	case events.ReplayResumed:
		r.ResumedBy, r.StoppedBy, r.StopReason = e.Actor, "", ""
		r.State = r.active()
		return r, checkReason(p.Reason)
	case events.ReplayFinished:
		r.Counts, r.EndedAt, r.State = &p.ReplayCounts, e.Time, ReplayFinished
	}
	return r, nil
}

// active is the state of a replay that is neither stopped nor finished.
func (r Replay) active() ReplayState {
	if r.NeedsApproval && r.ApprovedBy == "" {
		return ReplayWaiting
	}
	return ReplayRunning
}

func checkRequest(sequences []uint64, reason string) error {
	if len(sequences) == 0 || len(sequences) > events.MaxRedelivery {
		return fmt.Errorf("a request names %d events, want 1 to %d", len(sequences), events.MaxRedelivery)
	}
	return checkReason(reason)
}

func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return errors.New("no reason given: say why lanes are to handle events again")
	}
	return nil
}
