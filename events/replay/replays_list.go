package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/text"
	"tillstream/events/worker"
)

// Replay is a replay with its progress.
type Replay struct {
	ID         string                 `json:"id"`
	State      worker.ReplayState     `json:"state"`
	Requested  events.ReplayRequested `json:"requested"`
	By         string                 `json:"by"`            // actor who requested it
	Via        string                 `json:"via,omitempty"` // from where it was requested, approved or resumed, whichever was last
	At         time.Time              `json:"at"`
	ApprovedBy string                 `json:"approved_by,omitempty"`
	StoppedBy  string                 `json:"stopped_by,omitempty"`
	StopReason string                 `json:"stop_reason,omitempty"`
	EndedAt    time.Time              `json:"ended_at,omitzero"`
	Position   uint64                 `json:"position"` // every event of the selection up to here is requested
	Counts     events.ReplayCounts    `json:"counts"`   // sums over the answered batches
	Waiting    []WaitingBatch         `json:"waiting,omitempty"`

	sequence uint64                    // of its request
	requests map[handling]WaitingBatch // of batches, by lane and sequence of the request
}

// WaitingBatch is a batch that a lane has not answered.
type WaitingBatch struct {
	Lane    string    `json:"lane"`
	Request uint64    `json:"request"` // sequence of the request in the log
	Events  int       `json:"events"`
	Since   time.Time `json:"since"`
}

// Done returns how many handlings are answered, and Total how many there are.
func (r Replay) Done() int { return r.Counts.Handled }

// Total returns how many handlings the replay consists of: an event counts once for each lane that handles it.
func (r Replay) Total() int { return r.Requested.Handlings }

// List returns all replays, newest first.
func (s *Replays) List(ctx context.Context) ([]Replay, error) {
	all, err := s.read(ctx, events.PrefixReplay+"*")
	slices.Reverse(all)
	return all, err
}

// Get returns one replay, or [ErrNotFound].
func (s *Replays) Get(ctx context.Context, id string) (Replay, error) {
	subject, err := worker.Replays.Subject(id)
	if err != nil {
		return Replay{}, err
	}
	all, err := s.read(ctx, subject)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%w: no replay has the id %s; ops replays list shows them", ErrNotFound, text.Printable(id))
	}
	if err != nil {
		return Replay{}, err
	}
	return all[0], nil
}

// read reads the replays on a subject, oldest first. It passes over redrives, which have no state.
func (s *Replays) read(ctx context.Context, subject string) ([]Replay, error) {
	states, byID, order := map[string]eventlog.State[worker.Replay]{}, map[string]*Replay{}, []string(nil)
	err := s.reader.Each(ctx, Range{Subjects: []string{subject}}, func(m Message) error {
		id, ok := events.ParseSubject(events.PrefixReplay, m.Subject)
		if !ok {
			return nil
		}
		state, err := worker.Replays.Step(states[id], m)
		if errors.Is(err, eventlog.ErrUnreadable) {
			return nil // ops verify reports it
		}
		if states[id] = state; err != nil || state.Value.State == "" {
			return err
		}
		if byID[id] == nil {
			order = append(order, id)
			byID[id] = &Replay{ID: id, sequence: m.Sequence, requests: map[handling]WaitingBatch{}}
		}
		byID[id].set(state.Value, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.addAnswers(ctx, byID); err != nil {
		return nil, err
	}
	all := make([]Replay, len(order))
	for i, id := range order {
		all[i] = *byID[id]
	}
	return all, nil
}

// set sets what the state of the entity determines, after one of its messages.
func (r *Replay) set(state worker.Replay, m Message) {
	r.State, r.Requested, r.By, r.At, r.ApprovedBy = state.State, state.ReplayRequested, state.By, state.At, state.ApprovedBy
	r.StoppedBy, r.StopReason, r.EndedAt, r.Position = state.StoppedBy, state.StopReason, state.EndedAt, state.Position
	e, _ := m.Event()
	switch p := e.Payload.(type) {
	case events.ReplayRequested, events.ReplayApproved, events.ReplayResumed:
		r.Via = e.Via
	case events.ReplayBatchRequested:
		r.requests[handling{p.Lane, m.Sequence}] = WaitingBatch{p.Lane, m.Sequence, len(p.Sequences), m.Stored}
	}
}

// addAnswers adds the outcomes of batches to their replays.
func (s *Replays) addAnswers(ctx context.Context, byID map[string]*Replay) error {
	if len(byID) == 0 {
		return nil
	}
	err := s.reader.eachLetterMessage(ctx, Range{}, func(m Message) {
		p, ok := replayed(m)
		if r := byID[p.Replay]; ok && r != nil {
			r.answer(p)
		}
	})
	for _, r := range byID {
		for _, batch := range r.requests {
			r.Waiting = append(r.Waiting, batch)
		}
		slices.SortFunc(r.Waiting, func(a, b WaitingBatch) int { return int(a.Request) - int(b.Request) })
	}
	return err
}

// answer adds the outcome of a batch. It reports whether the batch waited for it.
func (r *Replay) answer(p events.Replayed) bool {
	key := handling{p.Worker, p.Request}
	if _, waits := r.requests[key]; !waits {
		return false
	}
	delete(r.requests, key)
	r.Counts.Add(p.ReplayCounts)
	return true
}

// EachPlanned calls fn for what a plan hands to lanes, in the order of the log, some at a time. Dry runs use it.
func (s *Replays) EachPlanned(ctx context.Context, plan Plan, page int, fn func([]worker.Delivery) error) error {
	quarantine, err := s.reader.quarantine(ctx, plan.Force, 0)
	if err != nil {
		return err
	}
	var deliveries []worker.Delivery
	err = s.eachSelected(ctx, plan.Selection, plan.Selection.From, func(m Message, lanes []string) error {
		for _, lane := range lanes {
			if quarantine[handling{lane, m.Sequence}] < maxReplays {
				deliveries = append(deliveries, worker.Delivery{Item: &worker.Item{Message: m}, Lane: lane, Attempt: 2})
			}
		}
		if len(deliveries) < page {
			return nil
		}
		err := fn(deliveries)
		deliveries = nil
		return err
	})
	if err == nil && len(deliveries) > 0 {
		err = fn(deliveries)
	}
	return err
}
