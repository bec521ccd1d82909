package log

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Tx is a transaction: one decision or several, with the states they have read and the events they append. It may span
// domains. It is not safe for concurrent use.
type Tx struct {
	log      *Log // handle of the domain that is deciding
	ctx      context.Context
	now      time.Time
	repeated bool // an earlier attempt met a conflict, so no entity is assumed to be new
	followed bool // the event being handled was followed, so cached states are as new as that event
	cause    events.Event
	author   events.Author // of the appended events; empty: the shop itself

	subjects map[string]*subject
	facts    []fact
	units    units
}

// subject is the transaction's view of one subject, with a slot for each kind of state that was loaded.
type subject struct {
	name     string
	seq      uint64 // of the last event when it was loaded
	revision uint64 // of that event, plus the events appended since
	pending  int    // events appended
	unit     int    // the first unit that loaded it
	cached   bool   // read from the cache, so it may be old
	followed bool   // loaded only for events that this process has followed: the cache is as new as those
	assumed  bool   // not read, but assumed to have no events
	slots    []*slot
}

// slot is one state of a subject.
type slot struct {
	subject *subject
	fold    fold
	state   any
}

// fact is one appended event, with what is needed to roll it back.
type fact struct {
	event   events.Event
	message *nats.Msg
	subject *subject // nil for an event of a journal
	before  []any    // the states of the subject's slots before it
	unit    int
	at      position // where it is stored
}

// position is the place of an event in a request.
type position struct {
	request *request
	index   uint64
}

// Begin starts a transaction that the caller commits. Most callers want [Log.Do].
func (l *Log) Begin(ctx context.Context) *Tx {
	// Microseconds, as [events.Event] promises: programs that read the log may not keep nanoseconds.
	return &Tx{log: l, ctx: ctx, now: l.Now().UTC().Truncate(time.Microsecond), subjects: map[string]*subject{}}
}

// BeginCached is Begin for decisions about events that this process has read with [Log.Follow] and passed to [Log.Observe].
// The cache is then as new as those events, so a decision to do nothing is not compared with the broker.
func (l *Log) BeginCached(ctx context.Context) *Tx {
	tx := l.Begin(ctx)
	tx.followed = true
	return tx
}

// TrustCache sets whether the following decisions are about an event that this process has read with [Log.Follow], in a
// transaction begun with [Log.BeginCached].
func (tx *Tx) TrustCache(followed bool) { tx.followed = followed }

// Now returns the time of the decision, which is the same throughout the transaction.
func (tx *Tx) Now() time.Time { return tx.now }

// Unit begins a new unit and returns its number. The following events are stored separately from the earlier ones, unless
// both concern one entity: see [Tx.CommitEach].
func (tx *Tx) Unit() int {
	tx.cause, tx.author = events.Event{}, events.Author{}
	return tx.units.begin()
}

// CausedBy sets the event that causes the following events, and the shop itself as their actor.
func (tx *Tx) CausedBy(e events.Event) { tx.cause, tx.author = e, events.Author{} }

// WithActor sets the actor of the following events, such as [events.ActorGuest]; the default is the shop itself.
func (tx *Tx) WithActor(actor string) { tx.author = events.Author{Actor: actor} }

// WithAuthor sets who causes the following events, why and from where.
func (tx *Tx) WithAuthor(author events.Author) { tx.author = author }

// ForDomain sets the domain that appends the following events.
func (tx *Tx) ForDomain(domain *Log) { tx.log = domain }

// WithCorrelation sets the order that the following events are about, when no event causes them, or when their cause concerns
// several orders or comes from outside the shop.
func (tx *Tx) WithCorrelation(orderID string) { tx.cause.CorrelationID = orderID }

// WithTrace sets the W3C trace context of the following events, when no event causes them.
func (tx *Tx) WithTrace(traceParent string) { tx.cause.TraceParent = traceParent }

// Len returns how many events were appended.
func (tx *Tx) Len() int { return len(tx.facts) }

// Fact returns the appended event number i, counted from 0. Its Sequence stays 0: see [Tx.Sequence].
func (tx *Tx) Fact(i int) events.Event { return tx.facts[i].event }

// Sequence returns the sequence of the appended event number i; 0 until it is stored.
func (tx *Tx) Sequence(i int) uint64 {
	at := tx.facts[i].at
	if at.request == nil || at.request.first == 0 {
		return 0
	}
	return at.request.first + at.index
}

// PreviousSequence returns the sequence of the last stored event that the transaction has read of the entity of event
// number i; 0 when the entity had no events, or when the event belongs to a journal.
func (tx *Tx) PreviousSequence(i int) uint64 {
	if on := tx.facts[i].subject; on != nil {
		return on.seq
	}
	return 0
}

// RollBack removes all appended events but the first n.
func (tx *Tx) RollBack(n int) {
	for i := len(tx.facts) - 1; i >= n; i-- {
		f := tx.facts[i]
		if f.subject == nil {
			continue
		}
		f.subject.pending--
		f.subject.revision--
		f.subject.slots = f.subject.slots[:len(f.before)] // a state loaded since includes the event
		for j, state := range f.before {
			f.subject.slots[j].state = state
		}
	}
	tx.facts = tx.facts[:n]
}

func (tx *Tx) load(name string, f fold, assumeNew bool) (*slot, error) {
	s, known := tx.subjects[name]
	if known {
		tx.units.join(s.unit)
		s.followed = s.followed && tx.followed
		for _, slot := range s.slots {
			if slot.fold.state == f.state {
				return slot, nil
			}
		}
	}
	e, cached, err := tx.read(name, f, assumeNew && !known)
	if err != nil {
		return nil, err
	}
	if !known {
		s = &subject{name: name, seq: e.seq, revision: e.revision, unit: tx.units.current, cached: cached, followed: tx.followed,
			assumed: e.seq == 0 && assumeNew && !tx.repeated && !cached}
		tx.subjects[name] = s
		return s.add(f, e.state, tx.facts)
	}
	if e.seq != s.seq { // the two states were read at different moments
		return nil, fmt.Errorf("%w: %s at %d and %d", errConflict, name, s.seq, e.seq)
	}
	s.cached = s.cached || cached
	return s.add(f, e.state, tx.facts)
}

// read returns the state that a transaction begins with, from the cache or from the broker.
func (tx *Tx) read(name string, f fold, assumeNew bool) (e entry, cached bool, err error) {
	if known, ok := tx.log.cache.get(f.key(name)); ok {
		return known, true, nil
	}
	if assumeNew && !tx.repeated && len(tx.log.filled.on(name)) == 0 {
		return entry{}, false, nil
	}
	e, err = tx.log.newest(tx.ctx, f, name)
	return e, false, err
}

// add adds another kind of state to a subject, with the events of this transaction applied.
func (s *subject) add(f fold, state any, facts []fact) (_ *slot, err error) {
	for _, fact := range facts {
		if fact.subject == s {
			if state, err = f.apply(state, fact.event); err != nil {
				return nil, err
			}
		}
	}
	slot := &slot{subject: s, fold: f, state: state}
	s.slots = append(s.slots, slot)
	return slot, nil
}

func (tx *Tx) appendTo(s *slot, payload events.Payload) error {
	on := s.subject
	e, err := tx.newEvent(on.name, payload)
	if err != nil {
		return err
	}
	e.Revision = on.revision + 1
	before, after := make([]any, len(on.slots)), make([]any, len(on.slots))
	for i, slot := range on.slots {
		state, err := slot.fold.apply(slot.state, e)
		if err != nil {
			return err
		}
		before[i], after[i] = slot.state, state
	}
	msg, err := events.Encode(e)
	if err != nil {
		return err
	}
	if on.pending == 0 {
		msg.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(tx.log.filled.expected(on.name, on.seq), 10)}
	}
	for i, slot := range on.slots {
		slot.state = after[i]
	}
	on.pending++
	on.revision++
	tx.facts = append(tx.facts, fact{event: e, message: msg, subject: on, before: before, unit: tx.units.current})
	return nil
}

func (tx *Tx) appendToJournal(name string, payload events.Payload) error {
	e, err := tx.newEvent(name, payload)
	if err != nil {
		return err
	}
	msg, err := events.Encode(e)
	if err != nil {
		return err
	}
	tx.facts = append(tx.facts, fact{event: e, message: msg, unit: tx.units.current})
	return nil
}

// newEvent returns an event of the deciding domain. It returns [ErrNotOwner] for a subject of another domain, and
// [ErrUpgradeInProgress] for an event that a running process does not know.
func (tx *Tx) newEvent(name string, payload events.Payload) (events.Event, error) {
	owned := slices.ContainsFunc(tx.log.owns, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	if !owned {
		return events.Event{}, fmt.Errorf("%w: %s appends under %v, not to %s", ErrNotOwner, tx.log.source, tx.log.owns, name)
	}
	if !tx.log.mayWrite(payload.EventType()) {
		return events.Event{}, fmt.Errorf("%w: %w", ErrUnavailable, ErrUpgradeInProgress)
	}
	return events.Event{
		ID: newID(), Type: payload.EventType(), Source: tx.log.source, Subject: name, Time: tx.now, Payload: payload,
		Actor: cmp.Or(tx.author.Actor, events.ActorSystem), Reason: tx.author.Reason, Via: tx.author.Via, Topology: events.Since(payload.EventType()),
		CorrelationID: tx.cause.CorrelationID, CausationID: tx.cause.ID, TraceParent: tx.cause.TraceParent,
	}, nil
}

// newID returns a UUIDv7: unique, and roughly sorted by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// units records which decisions of a transaction belong together. Two units that loaded one entity are joined: the later
// one was decided on the events of the earlier one, so they are stored together or not at all.
type units struct {
	current int
	parent  []int // index: unit; value: a unit that it was joined with, or itself
}

func (u *units) begin() int {
	u.grow()
	u.current = len(u.parent)
	u.parent = append(u.parent, u.current)
	return u.current
}

// grow adds unit 0: the decisions before the first call of Unit.
func (u *units) grow() {
	if len(u.parent) == 0 {
		u.parent = []int{0}
	}
}

// join joins the current unit with another one.
func (u *units) join(other int) {
	u.grow()
	if a, b := u.root(u.current), u.root(other); a != b {
		u.parent[a] = b
	}
}

func (u *units) root(unit int) int {
	u.grow()
	for u.parent[unit] != unit {
		u.parent[unit] = u.parent[u.parent[unit]]
		unit = u.parent[unit]
	}
	return unit
}
