package log

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"sync"

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

// Voids are the entities with which operators declare events void. The id is the sequence of the void event.
var Voids = Entity[events.EventVoided]{Prefix: events.PrefixVoid, Apply: func(_ events.EventVoided, e events.Event) (events.EventVoided, error) {
	void, ok := e.Payload.(events.EventVoided)
	if !ok {
		return void, fmt.Errorf("unexpected event %s of a void", e.Type)
	}
	return void, nil
}}

// Void declares an event void: from then on every process skips it when it folds the event's entity. Void reports whether
// the event was void already. author says who and why. l must be the handle of the domain ops.
func Void(ctx context.Context, l *Log, m Message, author events.Author) (already bool, err error) {
	id := strconv.FormatUint(m.Sequence, 10)
	err = l.Do(ctx, func(tx *Tx) error {
		tx.WithAuthor(author)
		before, err := Voids.Load(tx, id)
		if already = before.Sequence > 0; err != nil || already {
			return err
		}
		return Voids.Append(tx, id, events.EventVoided{Sequence: m.Sequence, Subject: m.Subject, Reason: author.Reason})
	})
	if err != nil {
		return false, fmt.Errorf("void event %d: %w", m.Sequence, err)
	}
	l.setVoid(m.Sequence, m.Subject)
	return already, nil
}

// voids are the void events that this process knows.
type voids struct {
	mu        sync.RWMutex
	sequences map[uint64]bool
}

func (v *voids) add(sequence uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sequences == nil {
		v.sequences = map[uint64]bool{}
	}
	v.sequences[sequence] = true
}

// Voided reports whether this process knows that an event was declared void.
func (l *core) Voided(sequence uint64) bool {
	l.voids.mu.RLock()
	defer l.voids.mu.RUnlock()
	return l.voids.sequences[sequence]
}

// loadVoids reads the void events.
func (l *core) loadVoids(ctx context.Context) error {
	reader := &Log{core: l}
	_, err := reader.Snapshot(ctx, []string{events.PrefixVoid + "*"}, func(m Message) error {
		l.observeVoid(m)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read void events: %w", err)
	}
	return nil
}

// observeVoid records the event that a message declares void, if it declares one.
func (l *core) observeVoid(m Message) {
	if _, ok := events.ParseSubject(events.PrefixVoid, m.Subject); !ok {
		return
	}
	e, err := m.Event()
	void, ok := e.Payload.(events.EventVoided)
	if err != nil || !ok {
		l.config.Logger.Warn("unreadable void", "sequence", m.Sequence, "error", err)
		return
	}
	l.setVoid(void.Sequence, void.Subject)
}

// setVoid makes this process skip an event from now on. The event is recorded before the cached states are dropped, so that
// none of them is folded again with it.
func (l *core) setVoid(sequence uint64, subject string) {
	l.voids.add(sequence)
	l.cache.drop(subject)
	l.damage.removeNewer(sequence)
}
