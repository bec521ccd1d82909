package log

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Older servers lose parts of batches or skip damaged records.
func TestOldServerVersionIsRefused(t *testing.T) {
	t.Parallel()
	for version, ok := range map[string]bool{
		"2.14.6": true, "2.14.7": true, "2.15.0": true, "2.15.0-RC.1": true, "2.15.2": true, "3.0.0": true,
		"2.14.5": false, "2.13.9": false, "1.99.99": false, "": false, "2": false, "2.15": false, "two.15.2": false,
	} {
		if err := checkVersion(version); (err == nil) != ok {
			t.Errorf("nats-server %q: got error %v, want accepted: %t", version, err, ok)
		}
	}
}

// The broker refuses a batch with two expected sequences of one subject, and the other requests in it would be sent again.
func TestBatchHasOneExpectedSequencePerSubject(t *testing.T) {
	t.Parallel()
	message := func(subject string, expects bool) *request {
		m := nats.NewMsg(subject)
		if expects {
			m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "7")
		}
		return &request{messages: []*nats.Msg{m}}
	}
	for name, c := range map[string]struct {
		first, second *request
		fits          bool
	}{
		"OneSubject":               {message("a", true), message("a", true), false},
		"TwoSubjects":              {message("a", true), message("b", true), true},
		"SecondWithoutExpectation": {message("a", true), message("a", false), true},
		"NeitherWithAnExpectation": {message("a", false), message("a", false), true},
		"DifferentSubjectsWithout": {message("a", false), message("b", false), true},
	} {
		b := newBatch(nil, 0)
		b.add(c.first)
		if got := b.fits(c.second); got != c.fits {
			t.Errorf("%s: second request fits: got %t, want %t", name, got, c.fits)
		}
	}
}

// testCache is a cache, with the keys of two states of subject "a".
type testCache struct {
	*cache
	count, text key
}

func newTestCache(t *testing.T, size int) testCache {
	t.Helper()
	c, err := newCache(size)
	if err != nil {
		t.Fatal(err)
	}
	return testCache{c, Entity[int]{}.fold().key("a"), Entity[string]{}.fold().key("a")}
}

// expect asserts the sequence of a cached state; 0: the cache must not return the state.
func (c testCache) expect(t *testing.T, when string, k key, seq uint64) {
	t.Helper()
	if got, ok := c.get(k); ok != (seq > 0) || got.seq != seq {
		t.Errorf("%s: got state at %d (found %t), want at %d", when, got.seq, ok, seq)
	}
}

// Transactions of a process that follows the log rely on a cached state being as new as the events that the process has seen.
func TestCacheReturnsNoStateOlderThanSeenEvent(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, 10)
	c.put(c.count, entry{seq: 3})
	c.put(c.text, entry{seq: 3})
	c.expect(t, "after put", c.count, 3)
	c.seen("a", 3)
	c.expect(t, "after its own last event", c.count, 3)
	c.seen("b", 4)
	c.expect(t, "after an event of another subject", c.count, 3)
	c.seen("a", 5)
	c.expect(t, "after a newer event", c.count, 0)
	c.expect(t, "after a newer event, other state", c.text, 0)
	if got := c.any(c.count); got.seq != 3 {
		t.Errorf("any: got state at %d, want at 3", got.seq)
	}
	c.put(c.count, entry{seq: 3})
	c.expect(t, "after a late put of the old state", c.count, 0)
	c.put(c.count, entry{seq: 5})
	c.expect(t, "after a put of the new state", c.count, 5)
	c.expect(t, "after a put of the new state, other state", c.text, 0)
	c.put(c.count, entry{seq: 4})
	c.expect(t, "after a late put of an older state", c.count, 5)
	c.put(c.text, entry{seq: 7})
	c.expect(t, "after the other state was put with a newer event", c.count, 0)
	if got := c.newest("a"); got != 7 {
		t.Errorf("newest seen event: got %d, want 7", got)
	}
}

func TestForgetKeepsReplacedState(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, 10)
	c.put(c.count, entry{seq: 3})
	c.forget(c.count, 2)
	c.expect(t, "after an older state was forgotten", c.count, 3)
	c.forget(c.count, 3)
	c.expect(t, "after it was forgotten", c.count, 0)
	if got := c.any(c.count); got.seq != 0 {
		t.Errorf("any: got state at %d, want none", got.seq)
	}
}

// States and records of seen events are both bounded. A state whose subject has no record any more must not be used, because
// a newer event may have been seen.
func TestCacheReturnsNoStateWithoutRecordOfItsSubject(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, 4)
	c.put(c.count, entry{seq: 3})
	c.seen("a", 5)
	for i := range uint64(100) {
		c.seen(fmt.Sprintf("other-%d", i), 6+i)
	}
	c.expect(t, "after many other subjects", c.count, 0)
	c.put(c.count, entry{seq: 5})
	c.expect(t, "after another put", c.count, 5)
}
