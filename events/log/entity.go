package log

import (
	"context"
	"fmt"
	"reflect"

	"tillstream/events"
)

// Entity is one kind of entity: the subjects of its events, and how the events are folded into its state S.
//
// Transactions share states, so Apply must copy slices and maps before it changes them. Apply is pure, ignores the event's
// Sequence (an event is applied before it has one), and returns an error only for an event that cannot follow.
type Entity[S any] struct {
	Prefix string // subject = Prefix + the id as a token
	Apply  func(state S, e events.Event) (S, error)

	// LastOnly: every event carries the whole state, as a bank statement carries the balance, so the state is read from the
	// newest event alone. A SKU that was sold a million times is as cheap to load as a new one.
	LastOnly bool
}

// fold is an Entity without its type parameter.
type fold struct {
	state    reflect.Type // distinguishes the states that two domains keep of one subject
	lastOnly bool
	apply    func(state any, e events.Event) (any, error)
}

func (k Entity[S]) fold() fold {
	return fold{state: reflect.TypeFor[S](), lastOnly: k.LastOnly, apply: func(state any, e events.Event) (any, error) {
		s, _ := state.(S) // nil: the zero S
		return k.Apply(s, e)
	}}
}

// Subject returns the subject of an entity, or [events.ErrBadID].
func (k Entity[S]) Subject(id string) (string, error) { return events.Subject(k.Prefix, id) }

// Load returns the entity's state as the transaction sees it, the zero S when the entity has no events.
func (k Entity[S]) Load(tx *Tx, id string) (S, error) { return k.load(tx, id, false) }

// LoadNew is Load for an entity that should not exist yet: it skips the read and lets the commit check. When the entity does
// exist, the transaction runs again and LoadNew returns its state.
func (k Entity[S]) LoadNew(tx *Tx, id string) (S, error) { return k.load(tx, id, true) }

func (k Entity[S]) load(tx *Tx, id string, assumeNew bool) (S, error) {
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

// Append adds events of an entity to the transaction. A later Load in the same transaction sees them. It returns
// [ErrNotOwner] when the entity belongs to another domain.
func (k Entity[S]) Append(tx *Tx, id string, facts ...events.Payload) error {
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

// Read returns the newest state outside a transaction, and the sequence of its last event. It returns [ErrNotFound] when the
// entity has no events.
func (k Entity[S]) Read(ctx context.Context, l *Log, id string) (S, uint64, error) {
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

// ReadAtLeast is Read for a caller that knows of an event of the entity at seq: a cached state that includes it is returned
// without a request to the broker.
func (k Entity[S]) ReadAtLeast(ctx context.Context, l *Log, id string, seq uint64) (S, uint64, error) {
	subject, err := k.Subject(id)
	if err != nil {
		var zero S
		return zero, 0, err
	}
	if known, ok := l.cache.get(k.fold().key(subject)); ok && known.seq >= seq {
		state, _ := known.state.(S)
		return state, known.seq, nil
	}
	return k.Read(ctx, l, id)
}

// Step applies one stored message to the state before it, as reading the entity does. Its errors are
// [ErrUnreadable] and, for an event of a newer release, [ErrUnavailable].
func (k Entity[S]) Step(state State[S], m Message) (State[S], error) {
	next, err := k.fold().step(entry{state: state.Value, seq: state.Sequence, revision: state.Revision}, m)
	after, _ := next.state.(S)
	return State[S]{Value: after, Sequence: next.seq, Revision: next.revision}, err
}

// State is an entity's state with the position of its last event.
type State[S any] struct {
	Value    S
	Sequence uint64 // in the log
	Revision uint64 // among the entity's events
}

// Journal is a subject without a state: its events are stored in the order in which they are appended.
type Journal struct {
	Subject string
}

// Append adds events to the transaction. They carry no expected sequence, so an event whose commit had no answer may be
// stored twice.
func (j Journal) Append(tx *Tx, facts ...events.Payload) error {
	for _, fact := range facts {
		if err := tx.appendToJournal(j.Subject, fact); err != nil {
			return fmt.Errorf("append %s to %s: %w", fact.EventType(), j.Subject, err)
		}
	}
	return nil
}
