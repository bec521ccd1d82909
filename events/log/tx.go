package log

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Tx is one decision in the making, or several: what it has seen and what it wants to say. It may span domains. It is not
// safe for concurrent use.
type Tx struct {
	log      *Log // whose domain is deciding at the moment
	ctx      context.Context
	now      time.Time
	again    bool // an earlier attempt met a conflict, so nothing is assumed to be new
	followed bool // the process follows the log, so what is cached is as new as the event that is being handled
	cause    events.Event
	actor    string // who brings about what is appended; empty: the shop itself

	subjects map[string]*subject
	facts    []fact
	units    units
}

// subject is the transaction's own view of one subject, with a slot for each kind of state that was asked for.
type subject struct {
	name     string
	seq      uint64 // of the last event seen when it was loaded
	revision uint64 // of that event, and of those appended since
	pending  int    // messages appended
	unit     int    // the first unit that touched it
	cached   bool   // taken from the cache, so it may be old
	followed bool   // looked at only for events that this process has followed: the cache is as new as those
	assumed  bool   // not read: assumed to have no events
	slots    []*slot
}

// slot is one state of a subject.
type slot struct {
	subject *subject
	fold    fold
	state   any
}

// fact is one message of the transaction, with what undoes it.
type fact struct {
	event   events.Event
	message *nats.Msg
	subject *subject // nil for a fact about no entity
	before  []any    // the states of the subject's slots
	unit    int
	at      position // where it is stored, once it is
}

// position is where a fact stands in a request.
type position struct {
	request *request
	index   uint64
}

// Begin starts a transaction that its caller commits. Most callers want [Log.Do].
func (l *Log) Begin(ctx context.Context) *Tx {
	// Microseconds are what every clock, JSON and database on the way keeps.
	return &Tx{log: l, ctx: ctx, now: l.Now().UTC().Truncate(time.Microsecond), subjects: map[string]*subject{}}
}

// BeginCached is Begin for decisions about events that this process has read by [Log.Follow]: it has noted everything up to
// them, so a state in its cache is as new as they are, and "nothing to do" needs no look at the broker.
func (l *Log) BeginCached(ctx context.Context) *Tx {
	tx := l.Begin(ctx)
	tx.followed = true
	return tx
}

// TrustCache says whether what is decided from here on is about an event that this process has read by [Log.Follow], in a
// transaction that [Log.BeginCached] began.
func (tx *Tx) TrustCache(followed bool) { tx.followed = followed }

// Now is the time of the decision, the same throughout the transaction.
func (tx *Tx) Now() time.Time { return tx.now }

// Unit begins a new unit and returns its number: what is appended from here on is stored apart from what was appended
// before, unless both concern one entity. See [Tx.CommitEach].
func (tx *Tx) Unit() int {
	tx.cause, tx.actor = events.Event{}, ""
	return tx.units.begin()
}

// CausedBy names the event that causes what is appended from here on. The shop decides about it by itself: see [Tx.WithActor].
func (tx *Tx) CausedBy(e events.Event) { tx.cause, tx.actor = e, "" }

// By names who brings about what is appended from here on, such as [events.ActorGuest]; by default the shop's own decision.
func (tx *Tx) WithActor(actor string) { tx.actor = actor }

// As has a domain decide what is appended from here on.
func (tx *Tx) ForDomain(domain *Log) { tx.log = domain }

// WithCorrelation names the order that what is appended from here on is about, where the event that causes it does not:
// there is none, or it is about several orders, or comes from outside.
func (tx *Tx) WithCorrelation(orderID string) { tx.cause.CorrelationID = orderID }

// WithTrace names the W3C trace context of what is appended from here on, when no event causes it.
func (tx *Tx) WithTrace(traceParent string) { tx.cause.TraceParent = traceParent }

// Len is how many facts wait to be committed.
func (tx *Tx) Len() int { return len(tx.facts) }

// Fact returns a fact that was appended, counted from 0. Its Sequence is 0 until it is stored.
func (tx *Tx) Fact(i int) events.Event { return tx.facts[i].event }

// Sequence returns where a fact was stored; 0 when it was not, or not yet.
func (tx *Tx) Sequence(i int) uint64 {
	at := tx.facts[i].at
	if at.request == nil || at.request.first == 0 {
		return 0
	}
	return at.request.first + at.index
}

// PreviousSequence returns where the last event of a fact's entity stands that the transaction has seen in the log; 0 when the entity
// had none, or when the fact is about no entity.
func (tx *Tx) PreviousSequence(i int) uint64 {
	if on := tx.facts[i].subject; on != nil {
		return on.seq
	}
	return 0
}

// RollBack forgets all facts but the first n.
func (tx *Tx) RollBack(n int) {
	for i := len(tx.facts) - 1; i >= n; i-- {
		f := tx.facts[i]
		if f.subject == nil {
			continue
		}
		f.subject.pending--
		f.subject.revision--
		f.subject.slots = f.subject.slots[:len(f.before)] // what was loaded since has the fact in it
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
	e, cached, err := tx.look(name, f, assumeNew && !known)
	if err != nil {
		return nil, err
	}
	if !known {
		s = &subject{name: name, seq: e.seq, revision: e.revision, unit: tx.units.current, cached: cached, followed: tx.followed,
			assumed: e.seq == 0 && assumeNew && !tx.again && !cached}
		tx.subjects[name] = s
		return s.add(f, e.state, tx.facts)
	}
	if e.seq != s.seq { // the two states were read at different moments
		return nil, fmt.Errorf("%w: %s at %d and %d", errConflict, name, s.seq, e.seq)
	}
	s.cached = s.cached || cached
	return s.add(f, e.state, tx.facts)
}

// look finds the state that a transaction begins with.
func (tx *Tx) look(name string, f fold, assumeNew bool) (e entry, cached bool, err error) {
	if known, ok := tx.log.cache.get(f.key(name)); ok {
		return known, true, nil
	}
	if assumeNew && !tx.again {
		return entry{}, false, nil
	}
	e, err = tx.log.newest(tx.ctx, f, name)
	return e, false, err
}

// add keeps another kind of state of a subject, with the facts of this transaction applied.
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
	if err := tx.log.mayAppend(on.name); err != nil {
		return err
	}
	if !tx.log.mayWrite(payload.EventType()) {
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrUpgradeInProgress)
	}
	e := tx.event(on.name, payload)
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
		msg.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(on.seq, 10)}
	}
	for i, slot := range on.slots {
		slot.state = after[i]
	}
	on.pending++
	on.revision++
	tx.facts = append(tx.facts, fact{event: e, message: msg, subject: on, before: before, unit: tx.units.current})
	return nil
}

func (tx *Tx) note(name string, payload events.Payload) error {
	if err := tx.log.mayAppend(name); err != nil {
		return err
	}
	if !tx.log.mayWrite(payload.EventType()) {
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrUpgradeInProgress)
	}
	e := tx.event(name, payload)
	msg, err := events.Encode(e)
	if err != nil {
		return err
	}
	tx.facts = append(tx.facts, fact{event: e, message: msg, unit: tx.units.current})
	return nil
}

func (tx *Tx) event(name string, payload events.Payload) events.Event {
	return events.Event{
		ID: newID(), Type: payload.EventType(), Source: tx.log.source, Time: tx.now, Actor: cmp.Or(tx.actor, events.ActorSystem), Topology: events.Since(payload.EventType()),
		Subject: name, Payload: payload,
		CorrelationID: tx.cause.CorrelationID, CausationID: tx.cause.ID, TraceParent: tx.cause.TraceParent,
	}
}

// mayAppend returns [ErrNotOwner] for a subject of another domain.
func (l *Log) mayAppend(name string) error {
	for _, prefix := range l.owns {
		if strings.HasPrefix(name, prefix) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s appends under %v, not to %s", ErrNotOwner, l.source, l.owns, name)
}

// newID is a UUIDv7: unique, and sorted roughly by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// units tells which decisions of a transaction belong together. Two units that touched one
// entity are joined: the later one was decided on what the earlier one said, so they are stored together or not at all.
type units struct {
	current int
	parent  []int // index: unit; value: a unit that it was joined to, or itself
}

func (u *units) begin() int {
	u.grow()
	u.current = len(u.parent)
	u.parent = append(u.parent, u.current)
	return u.current
}

// grow makes room for unit 0: what is decided before the first cause.
func (u *units) grow() {
	if len(u.parent) == 0 {
		u.parent = []int{0}
	}
}

// join puts the current unit and another one together.
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
