package log

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Tx is one decision in the making, or a batch of them: what it has seen and what it wants to say. All its appends go to
// one stream, because that is what can be committed at once. It is not safe for concurrent use.
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
	units    units
}

// slot is the transaction's own view of one entity.
type slot struct {
	subject string
	fold    fold
	state   any
	seq     uint64 // of the last event seen when it was loaded
	cached  bool   // taken from the cache, so it may be old
	pending int    // messages appended
	unit    int    // the first unit that touched it
}

// undo is how a slot was before one message, and the unit that the message belongs to.
type undo struct {
	slot  *slot // nil for a message about no entity
	state any
	unit  int
}

// Begin starts a transaction that its caller commits. Most callers want [Log.Do].
func (l *Log) Begin(ctx context.Context) *Tx {
	// Microseconds are what every clock, JSON and database on the way keeps.
	return &Tx{log: l, ctx: ctx, now: l.Now().UTC().Truncate(time.Microsecond), slots: map[string]*slot{}}
}

// Now is the time of the decision, the same throughout the transaction.
func (tx *Tx) Now() time.Time { return tx.now }

// Because names the event that causes what is appended from here on. It begins a new unit: see [Tx.CommitEach].
func (tx *Tx) Because(e events.Event) (unit int) {
	tx.cause = e
	return tx.units.begin()
}

// About names the order that what is appended from here on is about, where the event that causes it does not: there is
// none, or it is about several orders, or comes from outside.
func (tx *Tx) About(orderID string) { tx.cause.CorrelationID = orderID }

// Traced names the W3C trace context of what is appended from here on, when no event causes it.
func (tx *Tx) Traced(traceParent string) { tx.cause.TraceParent = traceParent }

// Len is how many facts wait to be committed.
func (tx *Tx) Len() int { return len(tx.messages) }

// RollBack forgets all facts but the first n.
func (tx *Tx) RollBack(n int) {
	for i := len(tx.undo) - 1; i >= n; i-- {
		if u := tx.undo[i]; u.slot != nil {
			u.slot.state = u.state
			u.slot.pending--
		}
	}
	tx.undo, tx.messages = tx.undo[:n], tx.messages[:n]
}

func (tx *Tx) load(subject string, f fold, assumeNew bool) (*slot, error) {
	if s, ok := tx.slots[subject]; ok {
		tx.units.join(s.unit)
		return s, nil
	}
	if err := tx.bind(f.stream); err != nil {
		return nil, err
	}
	s := &slot{subject: subject, fold: f, unit: tx.units.current}
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
	if s.pending == 0 {
		msg.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(s.seq, 10)}
	}
	tx.undo = append(tx.undo, undo{slot: s, state: s.state, unit: tx.units.current})
	tx.messages = append(tx.messages, msg)
	s.state = state
	s.pending++
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
	tx.undo = append(tx.undo, undo{unit: tx.units.current})
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
