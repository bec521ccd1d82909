package replay

import (
	"context"
	"fmt"
	"time"
)

// EntityState is the state of one entity at a moment.
type EntityState struct {
	Kind     string    `json:"kind"`
	ID       string    `json:"id"`
	Subject  string    `json:"subject"`
	At       Moment    `json:"at"`
	Sequence uint64    `json:"sequence"`         // of its last event at the moment; 0 when it did not exist yet
	Revision uint64    `json:"revision"`         // number of that event among its events
	Changed  time.Time `json:"changed,omitzero"` // when that event was stored
	Value    any       `json:"state"`            // nil when it did not exist yet
	Error    string    `json:"error,omitempty"`  // why its next event could not be applied: the entity was unavailable
}

// Exists reports whether the entity had an event at the moment.
func (s EntityState) Exists() bool { return s.Revision > 0 }

// StateAt returns the state of an entity at a moment, which [Reader.At] has returned, or at sequence 0, before the first event. An entity
// that did not exist yet has no Value.
func (r *Reader) StateAt(ctx context.Context, kind Kind, id string, at Moment) (EntityState, error) {
	subject, err := kind.Subject(id)
	if err != nil {
		return EntityState{}, err
	}
	from := uint64(1)
	if at.Sequence == 0 {
		return EntityState{Kind: kind.Name, ID: id, Subject: subject, At: at}, nil
	}
	if kind.lastOnly {
		if from, err = r.lastBefore(ctx, subject, at.Sequence); err != nil {
			return EntityState{}, err
		}
	}
	state, err := r.stateFrom(ctx, kind, id, Range{From: from, To: at.Sequence, Subjects: []string{subject}})
	if kind.lastOnly && err == nil && !state.Exists() {
		// The last message is not an event of the entity, so those before it count; or the broker gave no answer.
		state, err = r.stateFrom(ctx, kind, id, Range{To: at.Sequence, Subjects: []string{subject}})
	}
	state.At = at
	return state, err
}

func (r *Reader) stateFrom(ctx context.Context, kind Kind, id string, part Range) (EntityState, error) {
	f, changed := fold{kind: kind}, time.Time{}
	err := r.EachAsOf(ctx, part, func(m Message) error {
		if f.add(m); f.failure == nil {
			changed = storedTime(m)
		}
		return nil
	})
	if err != nil {
		return EntityState{}, fmt.Errorf("read %s %s: %w", kind.Name, id, err)
	}
	return f.entityState(id, part.Subjects[0], changed), nil
}

func (f fold) entityState(id, subject string, changed time.Time) EntityState {
	s := EntityState{Kind: f.kind.Name, ID: id, Subject: subject}
	value, sequence, revision := f.kind.show(f.state)
	if revision > 0 {
		s.Value, s.Sequence, s.Revision, s.Changed = value, sequence, revision, changed
	}
	if f.failure != nil {
		s.Error = f.failure.Error()
	}
	return s
}

// StateDiff is what changed in an entity between two moments.
type StateDiff struct {
	Before  EntityState `json:"before"`
	After   EntityState `json:"after"`
	Changes []Change    `json:"changes"` // by field
	Events  []Entry     `json:"events"`  // after the first moment, up to the second
}

// Diff returns what changed in an entity between two moments, which [Reader.At] has returned.
func (r *Reader) Diff(ctx context.Context, kind Kind, id string, from, to Moment) (d StateDiff, err error) {
	if from.Sequence > to.Sequence {
		from, to = to, from
	}
	if d.Before, err = r.StateAt(ctx, kind, id, from); err != nil {
		return StateDiff{}, err
	}
	if d.After, err = r.StateAt(ctx, kind, id, to); err != nil {
		return StateDiff{}, err
	}
	if d.Changes, err = Changes(d.Before.Value, d.After.Value); err != nil {
		return StateDiff{}, err
	}
	var messages []Message
	err = r.Each(ctx, Range{From: from.Sequence + 1, To: to.Sequence, Subjects: []string{d.After.Subject}}, func(m Message) error {
		messages = append(messages, m)
		return nil
	})
	d.Events = arrange(id, messages, nil).Entries
	return d, err
}
