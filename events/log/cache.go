package log

import (
	"fmt"
	"reflect"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
)

// entry is a cached state with the place of the last event in it.
type entry struct {
	state    any
	seq      uint64 // in the log; 0: the entity has no events
	revision uint64 // among the entity's events
}

// key names a state: two domains may each keep one of the same subject.
type key struct {
	subject string
	state   reflect.Type
}

func (f fold) key(subject string) key { return key{subject, f.state} }

// cache keeps the states that were used last. It also remembers how far each subject has come, as far as this process has
// seen it: a state that was read before a newer event was seen must not be kept afterwards, because transactions of a
// process that follows the log trust the cache to be as new as what it has followed.
type cache struct {
	mu     sync.Mutex
	states *lru.Cache[key, entry]
	last   *lru.Cache[string, uint64] // subject → sequence of its newest event that this process knows of
}

// notesPerState is how many more subjects than states are noted: a process sees the events of every domain, and has states
// of its own alone.
const notesPerState = 4

func newCache(size int) (*cache, error) {
	states, err := lru.New[key, entry](size)
	if err != nil {
		return nil, fmt.Errorf("cache of %d states: %w", size, err)
	}
	last, err := lru.New[string, uint64](notesPerState * size)
	if err != nil {
		return nil, fmt.Errorf("cache of %d subjects: %w", size, err)
	}
	return &cache{states: states, last: last}, nil
}

// get returns a state unless a newer event of its subject is known, or may have been known: with many subjects, what was
// seen of one is forgotten sooner than a state that is used.
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

// any returns a state although a newer event may be known: reading goes on from there.
func (c *cache) any(k key) entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, _ := c.states.Get(k)
	return e
}

// put keeps a state unless a newer one is known already.
func (c *cache) put(k key, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.states.Peek(k); ok && known.seq > e.seq {
		return
	}
	c.states.Add(k, e)
	c.note(k.subject, e.seq)
}

// forget drops a state that turned out to be old, unless it was replaced meanwhile.
func (c *cache) forget(k key, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.states.Peek(k); ok && known.seq <= seq {
		c.states.Remove(k)
	}
}

// drop drops every state of a subject: one of its events counts no more.
func (c *cache) drop(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.states.Keys() {
		if k.subject == subject {
			c.states.Remove(k)
		}
	}
}

// seen notes that a subject has an event at a sequence.
func (c *cache) seen(subject string, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(subject, seq)
}

func (c *cache) note(subject string, seq uint64) {
	if last, ok := c.last.Peek(subject); !ok || last < seq {
		c.last.Add(subject, seq)
	}
}

// newest returns the sequence of the newest event of a subject that is known, 0 when none is.
func (c *cache) newest(subject string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, _ := c.last.Peek(subject)
	return last
}
