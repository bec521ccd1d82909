package log

import (
	"context"
	"fmt"

	"tillstream/events"
)

// Kind is one sort of entity: where its events stand and how they make up its state.
//
// S is a value: Evolve copies slices and maps before it changes them, because states are shared between transactions.
// Evolve is pure, ignores the event's Stream and Sequence (an event is folded before it has them), and returns an error
// only for an event that cannot follow.
type Kind[S any] struct {
	Stream string
	Prefix string // subject = Prefix + id
	Evolve func(state S, e events.Event) (S, error)

	// LastOnly: every event carries the whole state, like the balance on a bank statement, so the newest one is enough
	// to know it. It keeps a SKU that was sold a million times as cheap to load as a new one.
	LastOnly bool
}

// fold is a Kind without its type parameter: types at the edge, values inside.
type fold struct {
	stream   string
	lastOnly bool
	evolve   func(state any, e events.Event) (any, error)
}

func (k Kind[S]) fold() fold {
	return fold{stream: k.Stream, lastOnly: k.LastOnly, evolve: func(state any, e events.Event) (any, error) {
		s, _ := state.(S) // nil: the zero S
		return k.Evolve(s, e)
	}}
}

// Subject is where the entity's events stand. It returns [events.ErrBadID] for an id that cannot be a subject token.
func (k Kind[S]) Subject(id string) (string, error) {
	if err := events.CheckID(id); err != nil {
		return "", err
	}
	return k.Prefix + id, nil
}

// Load returns the entity's state as the transaction sees it, the zero S when there is none.
func (k Kind[S]) Load(tx *Tx, id string) (S, error) { return k.load(tx, id, false) }

// LoadNew is Load for an entity that should not exist yet: it skips the read and lets the commit find out. When it
// does exist the transaction runs again and LoadNew returns it.
func (k Kind[S]) LoadNew(tx *Tx, id string) (S, error) { return k.load(tx, id, true) }

func (k Kind[S]) load(tx *Tx, id string, assumeNew bool) (S, error) {
	var zero S
	subject, err := k.Subject(id)
	if err != nil {
		return zero, err
	}
	slot, err := tx.load(subject, k.fold(), assumeNew)
	if err != nil {
		return zero, fmt.Errorf("load %s: %w", subject, err)
	}
	state, _ := slot.state.(S)
	return state, nil
}

// Append states facts about an entity. They are folded at once: a later Load in the same transaction sees them.
func (k Kind[S]) Append(tx *Tx, id string, facts ...events.Payload) error {
	subject, err := k.Subject(id)
	if err != nil {
		return err
	}
	slot, err := tx.load(subject, k.fold(), false)
	if err != nil {
		return fmt.Errorf("load %s: %w", subject, err)
	}
	for _, fact := range facts {
		if err := tx.appendTo(slot, fact); err != nil {
			return fmt.Errorf("append %s to %s: %w", fact.EventType(), subject, err)
		}
	}
	return nil
}

// Read returns the newest state for somebody outside a transaction, and the sequence of its last event. It returns
// [ErrNotFound] when nothing was ever said about the entity.
func (k Kind[S]) Read(ctx context.Context, l *Log, id string) (S, uint64, error) {
	var zero S
	subject, err := k.Subject(id)
	if err != nil {
		return zero, 0, err
	}
	e, err := l.newest(ctx, k.fold(), subject)
	if err != nil {
		return zero, 0, fmt.Errorf("read %s: %w", subject, err)
	}
	if e.seq == 0 {
		return zero, 0, fmt.Errorf("%w: %s", ErrNotFound, subject)
	}
	state, _ := e.state.(S)
	return state, e.seq, nil
}

// ReadAtLeast is Read for a reader who knows that the entity has an event at seq: a remembered state that is as new is
// returned without asking the broker.
func (k Kind[S]) ReadAtLeast(ctx context.Context, l *Log, id string, seq uint64) (S, uint64, error) {
	if known, ok := l.cache.Get(k.Prefix + id); ok && known.seq >= seq {
		if state, ok := known.state.(S); ok {
			return state, known.seq, nil
		}
	}
	return k.Read(ctx, l, id)
}

// Journal is a subject without a state: things noted down in the order they came.
type Journal struct {
	Stream  string
	Subject string
}

// Append notes facts down. It expects nothing of what stands there already.
func (j Journal) Append(tx *Tx, facts ...events.Payload) error {
	for _, fact := range facts {
		if err := tx.note(j.Stream, j.Subject, fact); err != nil {
			return fmt.Errorf("append %s to %s: %w", fact.EventType(), j.Subject, err)
		}
	}
	return nil
}
