package worker

import "sync"

// Bounds of the ring. A purchase is about 19 events of 1 KB.
const (
	ringItems = 4096
	ringBytes = 8 << 20
)

// itemHead is about what an item takes besides its body and what its headers say.
const itemHead = 1 << 10

// ring holds the newest messages of the log, without gaps.
type ring struct {
	mu      sync.Mutex
	items   []*Item
	first   uint64 // sequence of items[0], or of the next one while it is empty
	bytes   int
	signals map[*signal]struct{}
}

// signal tells one lane that a message has arrived which it cares about.
type signal struct {
	C     chan struct{} // holds one
	cares func(*Item) bool
}

func newRing(first uint64) *ring {
	return &ring{first: first, signals: map[*signal]struct{}{}}
}

// next is the sequence of the message that the ring lacks next.
func (r *ring) next() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first + uint64(len(r.items))
}

// add appends the next message and drops the oldest ones that have no room. A lane that is not done with those reads them
// from the log.
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
	for s := range r.signals {
		if s.cares(item) {
			s.send()
		}
	}
}

// size is about what a message takes in memory.
func size(item *Item) int {
	n := itemHead + len(item.Data)
	for _, values := range item.Header {
		for _, value := range values {
			n += len(value)
		}
	}
	return n
}

func (s *signal) send() {
	select {
	case s.C <- struct{}{}:
	default: // it has one already
	}
}

// take returns messages from a sequence on, at most limit; behind is true when the ring begins later.
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

// begin is the first sequence that the ring can still give.
func (r *ring) begin() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}

// subscribe has a signal sent for messages that cares approves of.
func (r *ring) subscribe(cares func(*Item) bool) *signal {
	s := &signal{C: make(chan struct{}, 1), cares: cares}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signals[s] = struct{}{}
	return s
}

func (r *ring) unsubscribe(s *signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.signals, s)
}
