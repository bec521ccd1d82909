package log

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
)

// Tx is one decision in the making: what it has seen and what it wants to say. All its appends go to one stream,
// because that is what can be committed at once. It is not safe for concurrent use.
type Tx struct {
	log    *Log
	ctx    context.Context // of the Do that this transaction lives in
	now    time.Time
	again  bool // an earlier attempt met a conflict, so nothing is assumed to be new
	stream string
	cause  events.Event

	slots    map[string]*slot
	messages []*nats.Msg
	undo     []undo // one per message
}

// slot is the transaction's own view of one entity.
type slot struct {
	subject string
	fold    fold
	state   any
	seq     uint64 // of the last event seen when it was loaded
	cached  bool   // taken from the cache, so it may be old
	last    int    // index+1 of its last message; 0 when nothing was appended
}

// undo is how a slot was before one message.
type undo struct {
	slot  *slot
	state any
	last  int
}

// Begin starts a transaction that its caller commits. Most callers want [Log.Do].
func (l *Log) Begin(ctx context.Context) *Tx {
	// Microseconds are what every clock, JSON and database on the way keeps.
	return &Tx{log: l, ctx: ctx, now: l.Now().UTC().Truncate(time.Microsecond), slots: map[string]*slot{}}
}

// Now is the time of the decision, the same throughout the transaction.
func (tx *Tx) Now() time.Time { return tx.now }

// Because names the event that causes what is appended from here on.
func (tx *Tx) Because(e events.Event) { tx.cause = e }

// About names the order that what is appended from here on is about, when no event causes it.
func (tx *Tx) About(orderID string) {
	tx.cause = events.Event{CorrelationID: orderID, TraceParent: tx.cause.TraceParent}
}

// Len is how many facts wait to be committed.
func (tx *Tx) Len() int { return len(tx.messages) }

// RollBack forgets all facts but the first n.
func (tx *Tx) RollBack(n int) {
	for i := len(tx.undo) - 1; i >= n; i-- {
		if u := tx.undo[i]; u.slot != nil {
			u.slot.state, u.slot.last = u.state, u.last
		}
	}
	tx.undo, tx.messages = tx.undo[:n], tx.messages[:n]
}

func (tx *Tx) load(subject string, f fold, assumeNew bool) (*slot, error) {
	if s, ok := tx.slots[subject]; ok {
		return s, nil
	}
	if err := tx.bind(f.stream); err != nil {
		return nil, err
	}
	s := &slot{subject: subject, fold: f}
	if known, ok := tx.log.cache.Get(subject); ok {
		s.state, s.seq, s.cached = known.state, known.seq, true
	} else if !assumeNew || tx.again {
		e, err := tx.log.newest(tx.ctx, f, subject)
		if err != nil {
			return nil, err
		}
		s.state, s.seq = e.state, e.seq
	}
	tx.slots[subject] = s
	return s, nil
}

func (tx *Tx) bind(stream string) error {
	if tx.stream == "" {
		tx.stream = stream
	}
	if tx.stream != stream {
		return fmt.Errorf("one transaction cannot span the streams %s and %s", tx.stream, stream)
	}
	return nil
}

func (tx *Tx) appendTo(s *slot, fact events.Payload) error {
	e := tx.event(s.subject, fact)
	state, err := s.fold.evolve(s.state, e)
	if err != nil {
		return err
	}
	msg, err := events.Encode(e)
	if err != nil {
		return err
	}
	if s.last == 0 {
		msg.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(s.seq, 10)}
	}
	tx.undo = append(tx.undo, undo{slot: s, state: s.state, last: s.last})
	tx.messages = append(tx.messages, msg)
	s.state, s.last = state, len(tx.messages)
	return nil
}

func (tx *Tx) note(stream, subject string, fact events.Payload, headers ...string) error {
	if err := tx.bind(stream); err != nil {
		return err
	}
	msg, err := events.Encode(tx.event(subject, fact))
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		msg.Header[headers[i]] = []string{headers[i+1]}
	}
	tx.undo = append(tx.undo, undo{})
	tx.messages = append(tx.messages, msg)
	return nil
}

func (tx *Tx) event(subject string, fact events.Payload) events.Event {
	return events.Event{
		ID: newID(), Type: fact.EventType(), Source: tx.log.config.Source, Time: tx.now, Subject: subject, Payload: fact,
		CorrelationID: tx.cause.CorrelationID, CausationID: tx.cause.ID, TraceParent: tx.cause.TraceParent,
	}
}

// newID is a UUIDv7: unique, and roughly in order of time for whoever sorts by it.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// Commit stores everything that was appended, or nothing. A refusal that [IsConflict] means: begin again.
func (tx *Tx) Commit() error {
	if err := tx.verifyReads(); err != nil {
		return err
	}
	if len(tx.messages) == 0 {
		return nil
	}
	if len(tx.messages) > MaxBatch {
		return fmt.Errorf("%w: %d facts, at most %d", ErrTooLarge, len(tx.messages), MaxBatch)
	}
	first, err := tx.log.committers[tx.stream].commit(tx.ctx, tx.messages)
	for _, s := range tx.slots {
		switch {
		case s.last == 0:
		case err == nil:
			tx.log.remember(s.subject, entry{state: s.state, seq: first + uint64(s.last) - 1})
		default:
			tx.log.forget(s.subject, s.seq)
		}
	}
	return err
}

// verifyReads checks the entities that were read from the cache and not written: the broker cannot compare those for
// us, and "nothing to do" decided on an old state would lose an event. What was written is compared at the commit.
func (tx *Tx) verifyReads() error {
	group, ctx := errgroup.WithContext(tx.ctx)
	group.SetLimit(32)
	for _, s := range tx.slots {
		if !s.cached || s.last != 0 {
			continue
		}
		group.Go(func() error {
			last, err := tx.log.lastMessage(ctx, tx.stream, s.subject)
			if err != nil {
				return err
			}
			if last != nil && last.Sequence > s.seq {
				tx.log.forget(s.subject, s.seq)
				return errConflict
			}
			s.cached = false
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		if tx.ctx.Err() != nil && !errors.Is(err, errConflict) {
			return tx.ctx.Err()
		}
		return err
	}
	return nil
}
