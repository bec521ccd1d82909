package replay

import (
	"context"
	"fmt"
	"time"

	"tillstream/events"
)

// RedriveState is what has become of a redrive so far. It is read from the log, so any process can show it, at any time.
type RedriveState struct {
	ID       string           `json:"id"`
	At       time.Time        `json:"at"`       // when it was requested
	Sequence uint64           `json:"sequence"` // of the first request in the log
	By       string           `json:"by"`
	Via      string           `json:"via,omitempty"`
	Reason   string           `json:"reason"`
	Outcomes []RedriveOutcome `json:"outcomes"` // in the order of the requests
	Redriven int              `json:"redriven"`
	Failed   int              `json:"failed"`
	Waiting  int              `json:"waiting"`
	Settled  int              `json:"discarded"` // discarded since
}

// Done returns the number of dead letters that have an outcome.
func (s RedriveState) Done() int { return len(s.Outcomes) - s.Waiting }

// RedriveOutcome is what has become of one dead letter of a redrive.
type RedriveOutcome struct {
	Lane     string `json:"lane"`
	Sequence uint64 `json:"sequence"` // of the event
	Number   uint64 `json:"number"`   // of the dead letter; 0 when it no longer exists
	Result   string `json:"result"`   // redriven, failed, waiting or discarded
	Attempt  int    `json:"attempt"`
	Error    string `json:"error,omitempty"` // of the newest failure
}

// RedriveAt returns what has become of a redrive, or [ErrNotFound].
func (r *Reader) RedriveAt(ctx context.Context, id string) (s RedriveState, err error) {
	s.ID = id
	subject, err := events.Subject(events.PrefixReplay, id)
	if err != nil {
		return s, fmt.Errorf("%w: redrive %.80q", ErrNotFound, id)
	}
	letters, err := r.DeadLetters(ctx, 0)
	if err != nil {
		return s, err
	}
	type event struct {
		lane     string
		sequence uint64
	}
	byEvent := map[event]DeadLetter{}
	for _, d := range letters {
		byEvent[event{d.Worker, d.Sequence}] = d
	}
	err = r.Each(ctx, Range{Subjects: []string{subject}}, func(m Message) error {
		e, err := m.Event()
		request, ok := e.Payload.(events.RedeliveryRequested)
		if err != nil || !ok {
			return nil //nolint:nilerr // an unreadable message requests nothing
		}
		if s.Sequence == 0 {
			s.At, s.Sequence, s.By, s.Via, s.Reason = m.Stored, m.Sequence, e.Actor, e.Via, request.Reason
		}
		for _, sequence := range request.Sequences {
			d, exists := byEvent[event{request.Lane, sequence}]
			s.add(RedriveOutcome{Lane: request.Lane, Sequence: sequence, Number: d.Number, Attempt: d.Attempt}, d, exists, m.Sequence)
		}
		return nil
	})
	if err == nil && s.Sequence == 0 {
		err = fmt.Errorf("%w: redrive %s", ErrNotFound, id)
	}
	return s, err
}

// add adds the outcome of one dead letter, whose request has a sequence.
func (s *RedriveState) add(o RedriveOutcome, d DeadLetter, exists bool, request uint64) {
	switch {
	case !exists, d.State == StateOpen && d.Redelivery < request:
		o.Result = "waiting"
		s.Waiting++
	case d.State == StateRedriven:
		o.Result = "redriven"
		s.Redriven++
	case d.State == StateDiscarded:
		o.Result = "discarded"
		s.Settled++
	default:
		o.Result, o.Error = "failed", d.Error
		s.Failed++
	}
	s.Outcomes = append(s.Outcomes, o)
}
