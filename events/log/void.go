package log

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"tillstream/events"
)

// Voids are the entities with which operators declare events void. The id is the sequence of the void event.
var Voids = Entity[events.EventVoided]{Prefix: events.PrefixVoid, Apply: func(_ events.EventVoided, e events.Event) (events.EventVoided, error) {
	void, ok := e.Payload.(events.EventVoided)
	if !ok {
		return void, fmt.Errorf("unexpected event %s of a void", e.Type)
	}
	return void, nil
}}

// Void declares an event void: from then on every process skips it when it folds the event's entity. Void reports whether
// the event was void already. l must be the handle of the domain ops.
func Void(ctx context.Context, l *Log, m Message, reason string) (already bool, err error) {
	id := strconv.FormatUint(m.Sequence, 10)
	err = l.Do(ctx, func(tx *Tx) error {
		tx.WithActor(events.ActorOps)
		before, err := Voids.Load(tx, id)
		if already = before.Sequence > 0; err != nil || already {
			return err
		}
		return Voids.Append(tx, id, events.EventVoided{Sequence: m.Sequence, Subject: m.Subject, Reason: reason})
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
