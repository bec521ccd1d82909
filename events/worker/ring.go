package worker

import (
	"fmt"
	"sync"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Item is one message of the log. It is decoded once, for all lanes.
type Item struct {
	eventlog.Message
	bytes int // that it takes in the ring

	readEnvelope sync.Once
	envelope     events.Event
	envelopeErr  error

	readPayload sync.Once
	payload     events.Payload
	payloadErr  error
}

// Envelope returns the event without its payload. Its errors are [events.ErrNotAnEvent] and [events.ErrUnknownType]; the
// envelope then has the fields that could be read.
func (i *Item) Envelope() (events.Event, error) {
	i.readEnvelope.Do(func() {
		i.envelope, i.envelopeErr = events.DecodeEnvelope(i.Subject, i.Header)
		if i.envelopeErr == nil && !events.IsKnown(i.envelope.Type) {
			i.envelopeErr = fmt.Errorf("%w: %.80q", events.ErrUnknownType, i.envelope.Type)
		}
		if i.envelopeErr == nil {
			i.envelopeErr = events.CheckEntity(i.envelope)
		}
		i.envelope.Sequence = i.Sequence
	})
	return i.envelope, i.envelopeErr
}

// Event returns the event with its payload. Its errors are those of [events.Decode].
func (i *Item) Event() (events.Event, error) {
	e, err := i.Envelope()
	if err != nil {
		return e, err
	}
	i.readPayload.Do(func() {
		i.payload, i.payloadErr = events.DecodePayload(e.Type, e.Version, i.Data)
	})
	e.Payload = i.payload
	return e, i.payloadErr
}

// Bounds of the ring. A purchase is about 19 events of 1 KB.
const (
	ringItems = 4096
	ringBytes = 8 << 20
)

// itemOverhead is roughly the memory of an item besides its body and header values.
const itemOverhead = 1 << 10

// ring holds the newest messages of the log, without gaps.
type ring struct {
	mu            sync.Mutex
	items         []*Item
	first         uint64 // sequence of items[0], or of the next message while the ring is empty
	bytes         int
	subscriptions map[*subscription]struct{}
}

// subscription signals to one lane that a message has arrived which the lane handles.
type subscription struct {
	C       chan struct{} // holds one
	matches func(*Item) bool
}

func newRing(first uint64) *ring {
	return &ring{first: first, subscriptions: map[*subscription]struct{}{}}
}

// next is the sequence of the message that must be added next.
func (r *ring) next() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first + uint64(len(r.items))
}

// add appends the next message and drops the oldest ones when the ring is full. A lane that has not taken those yet reads
// them from the log.
func (r *ring) add(item *Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	item.bytes = size(item)
	r.items = append(r.items, item)
	r.bytes += item.bytes
	drop := 0
	for len(r.items)-drop > ringItems || r.bytes > ringBytes && len(r.items)-drop > 1 {
		r.bytes -= r.items[drop].bytes
		r.items[drop] = nil
		drop++
	}
	r.items, r.first = r.items[drop:], r.first+uint64(drop)
	for s := range r.subscriptions {
		if s.matches(item) {
			s.signal()
		}
	}
}

// size returns roughly the memory of a message.
func size(item *Item) int {
	n := itemOverhead + len(item.Data)
	for _, values := range item.Header {
		for _, value := range values {
			n += len(value)
		}
	}
	return n
}

func (s *subscription) signal() {
	select {
	case s.C <- struct{}{}:
	default: // the lane has not received the last signal yet
	}
}

// take returns at most limit messages from a sequence on. behind is true when the ring has dropped that sequence.
func (r *ring) take(from uint64, limit int) (items []*Item, behind bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if from < r.first {
		return nil, true
	}
	start := from - r.first
	if start >= uint64(len(r.items)) {
		return nil, false
	}
	available := r.items[start:]
	return append([]*Item(nil), available[:min(len(available), limit)]...), false
}

// begin is the first sequence that the ring holds.
func (r *ring) begin() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}

// subscribe signals every message that matches accepts, until unsubscribe.
func (r *ring) subscribe(matches func(*Item) bool) *subscription {
	s := &subscription{C: make(chan struct{}, 1), matches: matches}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subscriptions[s] = struct{}{}
	return s
}

func (r *ring) unsubscribe(s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.subscriptions, s)
}
