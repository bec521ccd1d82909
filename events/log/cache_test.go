package log

import (
	"fmt"
	"testing"
)

// cached tells what a cache has of the states of "a".
type cached struct {
	*cache
	tally, sum key
}

func newCached(t *testing.T, size int) cached {
	t.Helper()
	c, err := newCache(size)
	if err != nil {
		t.Fatal(err)
	}
	return cached{c, Entity[int]{}.fold().key("a"), Entity[string]{}.fold().key("a")}
}

func (c cached) expect(t *testing.T, what string, k key, seq uint64) {
	t.Helper()
	if got, ok := c.get(k); ok != (seq > 0) || got.seq != seq {
		t.Errorf("%s: got the state at %d (%t), want that at %d", what, got.seq, ok, seq)
	}
}

// A transaction of a process that follows the log takes a cached state for as new as what the process has seen.
func TestAStateOlderThanWhatWasSeenIsNotUsed(t *testing.T) {
	t.Parallel()
	c := newCached(t, 10)
	c.put(c.tally, entry{seq: 3})
	c.put(c.sum, entry{seq: 3})
	c.expect(t, "as it was put", c.tally, 3)
	c.seen("a", 3)
	c.expect(t, "its own last event was seen", c.tally, 3)
	c.seen("b", 4)
	c.expect(t, "an event of another entity was seen", c.tally, 3)
	c.seen("a", 5)
	c.expect(t, "a newer event was seen", c.tally, 0)
	c.expect(t, "a newer event was seen, the other state", c.sum, 0)
	if got := c.any(c.tally); got.seq != 3 {
		t.Errorf("reading would go on behind %d, want 3", got.seq)
	}
	c.put(c.tally, entry{seq: 3})
	c.expect(t, "read before the newer event was seen, put after it", c.tally, 0)
	c.put(c.tally, entry{seq: 5})
	c.expect(t, "read again", c.tally, 5)
	c.expect(t, "read again, but not the other state", c.sum, 0)
	c.put(c.tally, entry{seq: 4})
	c.expect(t, "an old read that comes late", c.tally, 5)
	c.put(c.sum, entry{seq: 7})
	c.expect(t, "the other state shows a newer event", c.tally, 0)
	if got := c.newest("a"); got != 7 {
		t.Errorf("the newest event that is known is at %d, want 7", got)
	}
}

func TestAStateIsForgottenUnlessItWasReplaced(t *testing.T) {
	t.Parallel()
	c := newCached(t, 10)
	c.put(c.tally, entry{seq: 3})
	c.forget(c.tally, 2)
	c.expect(t, "an older one was wrong", c.tally, 3)
	c.forget(c.tally, 3)
	c.expect(t, "it was wrong itself", c.tally, 0)
	if got := c.any(c.tally); got.seq != 0 {
		t.Errorf("it is still there, at %d", got.seq)
	}
}

// Both the states and what was seen are bounded. A state whose newest event nobody knows any more must not be used: what
// was seen of it may have been newer.
func TestAStateIsNotUsedOnceWhatWasSeenOfItIsForgotten(t *testing.T) {
	t.Parallel()
	c := newCached(t, 4)
	c.put(c.tally, entry{seq: 3})
	c.seen("a", 5)
	for i := range uint64(100) {
		c.seen(fmt.Sprintf("other-%d", i), 6+i)
	}
	c.expect(t, "after many others were seen", c.tally, 0)
	c.put(c.tally, entry{seq: 5})
	c.expect(t, "read again", c.tally, 5)
}
