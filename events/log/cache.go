package log

import (
	"fmt"
	"reflect"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
)

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
