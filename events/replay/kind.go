package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/synadia-io/orbit.go/jetstreamext"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Kind is one kind of entity: the subjects of its entities, and how their events are folded. Programs make it of the domains'
// entities, because this package knows no domain.
type Kind struct {
	Name   string // of one, such as "order"
	Plural string // of all, and of their file, such as "orders"
	Prefix string // of the subjects

	lastOnly bool // every event has the whole state
	step     func(state any, m Message) (any, error)
	show     func(state any) (value any, sequence, revision uint64)
}

// KindOf returns the kind of an entity. show converts a state to the value that is shown and written as JSON.
func KindOf[S any](name, plural string, entity eventlog.Entity[S], show func(S) any) Kind {
	return Kind{Name: name, Plural: plural, Prefix: entity.Prefix, lastOnly: entity.LastOnly,
		step: func(state any, m Message) (any, error) {
			known, _ := state.(eventlog.State[S]) // nil: an entity without events
			next, err := entity.Step(known, m)
			if err != nil {
				return known, err
			}
			return next, nil
		},
		show: func(state any) (any, uint64, uint64) {
			known, _ := state.(eventlog.State[S])
			return show(known.Value), known.Sequence, known.Revision
		}}
}

// Subject returns the subject of an entity of this kind, or [events.ErrBadID].
func (k Kind) Subject(id string) (string, error) { return events.Subject(k.Prefix, id) }

// ID returns the id of the entity that a subject belongs to, and false for a subject of another kind.
func (k Kind) ID(subject string) (string, bool) {
	if subject == events.SubjectWebhooks {
		return "", false
	}
	return events.ParseSubject(k.Prefix, subject)
}

// KindOn returns the kind and the id of the entity that a subject belongs to.
func KindOn(kinds []Kind, subject string) (kind Kind, id string, ok bool) {
	for _, k := range kinds {
		if id, ok = k.ID(subject); ok {
			return k, id, true
		}
	}
	return Kind{}, "", false
}

// wildcard matches the subjects of the kind.
func (k Kind) wildcard() string { return k.Prefix + "*" }

// fold is the state of an entity while its events are applied.
type fold struct {
	kind    Kind
	state   any
	failure error // why an event could not be applied; then the entity is unavailable and no later event is applied
}

func (f *fold) add(m Message) {
	if f.failure == nil {
		f.state, f.failure = f.kind.step(f.state, m)
	}
}

// EachAsOf is like Each for the log as it was at part.To, which must be set: an event that was declared void later is not yet void.
func (r *Reader) EachAsOf(ctx context.Context, part Range, fn func(Message) error) error {
	later := map[uint64]bool{}
	err := r.Each(ctx, Range{From: part.To + 1, Subjects: []string{events.PrefixVoid + "*"}}, func(m Message) error {
		if e, err := m.Event(); err == nil {
			if void, ok := e.Payload.(events.EventVoided); ok {
				later[void.Sequence] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.Each(ctx, part, func(m Message) error {
		if later[m.Sequence] {
			m = Message{Sequence: m.Sequence, Subject: m.Subject, Stored: m.Stored, Header: m.Header, Data: m.Data} // of no log that knows the void
		}
		return fn(m)
	})
}

// lastBefore returns the last sequence of a subject up to one, 0 when there is none.
func (r *Reader) lastBefore(ctx context.Context, subject string, upTo uint64) (uint64, error) {
	found, err := jetstreamext.GetLastMsgsFor(ctx, r.js, events.StreamShop, []string{subject}, jetstreamext.GetLastMsgsUpToSeq(upTo))
	if err != nil {
		return 0, fmt.Errorf("read the last event of %s: %w", subject, err)
	}
	for m, err := range found {
		switch {
		case err == nil:
			return m.Sequence, nil
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return 0, nil
		}
		return 0, fmt.Errorf("read the last event of %s: %w", subject, err)
	}
	return 0, nil
}
