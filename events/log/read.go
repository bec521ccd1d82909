package log

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"tillstream/events"
)

// How an entity's history is read. Orders and payments have about ten events in their life, and a cached state usually lacks
// one or two, which are fetched one by one. A batch needs a subscription, which costs more than a few single reads.
const (
	readSingly = 8
	readBatch  = 256
)

// HistoryQueue is an option for the log's connection. It sets the subscription queue length per history read: the client's
// default of 65,536 messages allocates half a megabyte for each read.
func HistoryQueue() nats.Option { return nats.SyncQueueLen(2 * readBatch) }

// newest returns the newest state of an entity, with seq 0 when it has no events. It reads the subject's last message first:
// when the cached state includes that message, nothing else is read.
func (l *core) newest(ctx context.Context, f fold, subject string) (entry, error) {
	known := l.cache.any(f.key(subject))
	last, err := l.lastMessage(ctx, subject)
	if err != nil {
		return entry{}, err
	}
	if last == nil || last.Sequence <= known.seq {
		return known, nil
	}
	if f.lastOnly && l.isFact(last) {
		known, err = l.step(f, entry{}, last)
	} else {
		known, err = l.foldFrom(ctx, f, subject, known, last)
	}
	if err != nil {
		return entry{}, err
	}
	l.cache.put(f.key(subject), known)
	return known, nil
}

// lastMessage returns the newest message of a subject, nil when there is none. A broker that has fewer messages than this
// process has seen is cut off from its cluster: the request is repeated, and after a while sent to another server.
func (l *core) lastMessage(ctx context.Context, subject string) (msg *jetstream.RawStreamMsg, err error) {
	seen := l.cache.newest(subject)
	err = l.Retry(ctx, func(ctx context.Context) (err error) {
		if msg, err = l.reads.GetLastMsgForSubject(ctx, subject); isNotFound(err) {
			msg, err = nil, nil
		}
		if err == nil {
			msg = l.filled.last(subject, msg)
		}
		if err == nil && seen > 0 && (msg == nil || msg.Sequence < seen) {
			err = fmt.Errorf("%w: %s has a message at %d", errBehind, subject, seen)
		}
		return err
	})
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return msg, nil
}

// foldFrom applies the messages that follow a known state, up to the last message.
func (l *core) foldFrom(ctx context.Context, f fold, subject string, known entry, last *jetstream.RawStreamMsg) (entry, error) {
	singly := readSingly
	if known.seq == 0 {
		singly = 1 // an uncached entity usually has more: this doubles the rate at which a backlog is handled
	}
	if len(l.filled.on(subject)) > 0 {
		singly = math.MaxInt // a batch would lack the filled messages
	}
	for range singly {
		if known.seq >= last.Sequence {
			return known, nil
		}
		var msg *jetstream.RawStreamMsg
		err := l.Retry(ctx, func(ctx context.Context) (err error) {
			msg, err = l.nextEvent(ctx, subject, known.seq+1)
			return err
		})
		if err != nil {
			return entry{}, unavailable(ctx, err)
		}
		if known, err = l.step(f, known, msg); err != nil {
			return entry{}, err
		}
	}
	for known.seq < last.Sequence {
		err := l.Retry(ctx, func(ctx context.Context) error {
			before := known.seq
			err := l.history(ctx, subject, known.seq+1, func(msg *jetstream.RawStreamMsg) (err error) {
				known, err = l.step(f, known, msg)
				return err
			})
			if err == nil && known.seq == before { // the client ends an unanswered batch without an error
				err = fmt.Errorf("read %s: got messages up to %d, want %d: %w", subject, known.seq, last.Sequence, context.DeadlineExceeded)
			}
			return err
		})
		if errors.Is(err, ErrUnreadable) {
			return entry{}, err
		}
		if err != nil {
			return entry{}, unavailable(ctx, err)
		}
	}
	return known, nil
}

// history calls fn for up to readBatch messages of a subject, starting at a sequence.
func (l *core) history(ctx context.Context, subject string, from uint64, fn func(*jetstream.RawStreamMsg) error) error {
	messages, err := jetstreamext.GetBatch(ctx, l.js, events.StreamShop, readBatch, jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchSeq(from))
	if err != nil {
		return unavailable(ctx, err)
	}
	for msg, err := range messages {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return nil
		case errors.Is(err, jetstreamext.ErrBatchUnsupported): // how the client reports "no responders": the broker's version was checked
			return unavailable(ctx, nats.ErrNoResponders)
		case err != nil:
			return unavailable(ctx, err)
		}
		if err := fn(msg); err != nil {
			return err
		}
	}
	return nil
}

// First returns the first event of an entity, or [ErrNotFound].
func (l *Log) First(ctx context.Context, subject string) (events.Event, error) {
	var msg *jetstream.RawStreamMsg
	for from := uint64(1); ; from = msg.Sequence + 1 {
		err := l.Retry(ctx, func(ctx context.Context) (err error) {
			msg, err = l.nextEvent(ctx, subject, from)
			return err
		})
		if isNotFound(err) {
			return events.Event{}, fmt.Errorf("%w: %s", ErrNotFound, subject)
		}
		if err != nil {
			return events.Event{}, fmt.Errorf("read the first event of %s: %w", subject, unavailable(ctx, err))
		}
		if !l.isFact(msg) {
			continue
		}
		e, err := events.Decode(msg.Subject, msg.Header, msg.Data)
		if newer := events.CheckTopology(e, l.config.Topology.Version); newer != nil {
			return e, fmt.Errorf("%w: %s at %d: %w", ErrUnavailable, subject, msg.Sequence, newer)
		}
		if err != nil {
			return e, fmt.Errorf("%w: %s at %d: %w", ErrUnreadable, subject, msg.Sequence, err)
		}
		e.Sequence = msg.Sequence
		return e, nil
	}
}

// nextOn returns the first message of a subject that the log has at or after a sequence, or [jetstream.ErrMsgNotFound].
func (l *core) nextOn(ctx context.Context, subject string, from uint64) (*jetstream.RawStreamMsg, error) {
	return l.reads.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
}

// isFact reports whether a message is an event of its entity. A message that another program published, without a revision, or
// that was declared void, is not, and must not hide the events before it.
func (l *core) isFact(m *jetstream.RawStreamMsg) bool {
	e, err := events.DecodeEnvelope(m.Subject, m.Header)
	return err == nil && e.Revision > 0 && !l.Voided(m.Sequence) &&
		(events.IsKnown(e.Type) || events.CheckTopology(e, l.config.Topology.Version) != nil)
}

// step applies a stored message to the state before it.
func (l *core) step(f fold, known entry, raw *jetstream.RawStreamMsg) (entry, error) {
	return f.step(known, l.messageFrom(raw))
}

// step applies a stored message. It skips a void event, and a message that is not an event of the entity because another
// program published it. An unreadable event or a missing revision is an error: nothing may be decided on an incomplete state.
func (f fold) step(known entry, msg Message) (entry, error) {
	skipped := entry{state: known.state, seq: msg.Sequence, revision: known.revision}
	e, err := events.DecodeEnvelope(msg.Subject, msg.Header)
	if err != nil || e.Revision == 0 {
		return skipped, nil //nolint:nilerr // not an event of this entity
	}
	if msg.Voided() {
		if e.Revision == known.revision+1 { // a void event keeps its number
			skipped.revision = e.Revision
		}
		return skipped, nil
	}
	unreadable := func(err error) error {
		return fmt.Errorf("%w: %s at %d: %w", ErrUnreadable, msg.Subject, msg.Sequence, err)
	}
	if !f.lastOnly && e.Revision != known.revision+1 {
		return entry{}, unreadable(fmt.Errorf("revision %d follows %d", e.Revision, known.revision))
	}
	if err := events.CheckTopology(e, msg.topology()); err != nil {
		return entry{}, fmt.Errorf("%w: %s at %d: %w", ErrUnavailable, msg.Subject, msg.Sequence, err)
	}
	skipped.revision = e.Revision
	if !events.IsKnown(e.Type) {
		return skipped, nil
	}
	if e.Payload, err = events.DecodePayload(e.Type, e.Version, msg.Data); err != nil {
		return entry{}, unreadable(err)
	}
	e.Sequence = msg.Sequence
	state, err := f.apply(known.state, e)
	if err != nil {
		return entry{}, unreadable(err)
	}
	return entry{state: state, seq: msg.Sequence, revision: e.Revision}, nil
}

// entry is a cached state with the position of its last event.
type entry struct {
	state    any
	seq      uint64 // in the log; 0: the entity has no events
	revision uint64 // among the entity's events
}

// key identifies a state: two domains may each keep a state of the same subject.
type key struct {
	subject string
	state   reflect.Type
}

func (f fold) key(subject string) key { return key{subject, f.state} }

// cache keeps the most recently used states. It also records the newest event of each subject that this process has seen.
// Transactions of a process that follows the log rely on the cache being as new as the events followed, so a state without
// the newest seen event of its subject is not used.
type cache struct {
	mu     sync.Mutex
	states *lru.Cache[key, entry]
	last   *lru.Cache[string, uint64] // subject → sequence of its newest seen event
}

// subjectsPerState is how many subjects are recorded for each state that is kept: a process sees the events of all domains,
// but keeps states only of its own.
const subjectsPerState = 4

func newCache(size int) (*cache, error) {
	states, err := lru.New[key, entry](size)
	if err != nil {
		return nil, fmt.Errorf("cache of %d states: %w", size, err)
	}
	last, err := lru.New[string, uint64](subjectsPerState * size)
	if err != nil {
		return nil, fmt.Errorf("cache of %d subjects: %w", size, err)
	}
	return &cache{states: states, last: last}, nil
}

// get returns a state, unless a newer event of its subject was seen or the record of the subject was evicted: with many
// subjects, a record may be evicted before a state that is in use.
func (c *cache) get(k key) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.states.Get(k)
	last, known := c.last.Get(k.subject)
	if !ok || !known || last > e.seq {
		return entry{}, false
	}
	return e, true
}

// any returns a state even if a newer event was seen: reading continues from it.
func (c *cache) any(k key) entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, _ := c.states.Get(k)
	return e
}

// put keeps a state unless a newer one is kept already.
func (c *cache) put(k key, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.states.Peek(k); ok && known.seq > e.seq {
		return
	}
	c.states.Add(k, e)
	c.record(k.subject, e.seq)
}

// forget removes a state that turned out to be old, unless it was replaced meanwhile.
func (c *cache) forget(k key, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.states.Peek(k); ok && known.seq <= seq {
		c.states.Remove(k)
	}
}

// drop removes every state of a subject, one of whose events was declared void.
func (c *cache) drop(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.states.Keys() {
		if k.subject == subject {
			c.states.Remove(k)
		}
	}
}

// seen records that a subject has an event at a sequence.
func (c *cache) seen(subject string, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record(subject, seq)
}

func (c *cache) record(subject string, seq uint64) {
	if last, ok := c.last.Peek(subject); !ok || last < seq {
		c.last.Add(subject, seq)
	}
}

// newest returns the sequence of the newest seen event of a subject, 0 when none was seen.
func (c *cache) newest(subject string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, _ := c.last.Peek(subject)
	return last
}
