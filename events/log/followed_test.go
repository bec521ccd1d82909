package log_test

import (
	"testing"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// What a process that follows the log has seen, it decides on: "nothing to do" is said of the newest event that it was told
// of, not of what it had cached before, and the broker need not be asked whether that is so.
func TestADecisionAboutWhatWasFollowedIsMadeOnIt(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	theirs := logtest.OpenOn(t, server)
	ours := logtest.OpenOn(t, server, func(c *log.Config) { c.CacheSize = 2 })
	say := func(id string) log.Message {
		t.Helper()
		if err := theirs.Do(t.Context(), func(tx *log.Tx) error { return add(tx, id, 1) }); err != nil {
			t.Fatal(err)
		}
		last, err := theirs.End(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		m, err := theirs.Get(t.Context(), last)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	look := func(what string, want int) {
		t.Helper()
		tx := ours.BeginCached(t.Context())
		got, err := tallies.Load(tx, "a")
		if err != nil || got.Events != want {
			t.Errorf("%s: decided on %+v, %v; want %d events", what, got, err, want)
		}
		before := published(ours)
		if err := tx.Commit(); err != nil {
			t.Errorf("%s: nothing to do, and %v", what, err)
		}
		if asked := published(ours) - before; asked != 0 {
			t.Errorf("%s: the broker was asked %d times whether that is the newest", what, asked)
		}
	}
	first := say("a")
	look("the first event", 1)
	ours.Observe(first)
	look("the first event is followed", 1)
	second := say("a")
	look("a second event, not yet followed", 1)
	ours.Observe(second)
	look("the second event is followed", 2)
	third := say("a")
	ours.Observe(third)
	for _, other := range []string{"b", "c", "d"} { // more than the cache has room for
		ours.Observe(say(other))
	}
	look("the third event is followed, and then much else", 3)
}

// Who does not follow the log has the broker compare what it had cached, as ever.
func TestADecisionOfWhoDoesNotFollowIsVerified(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	for _, l := range []*log.Log{ours, theirs} {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
			t.Fatal(err)
		}
	}
	tx := ours.Begin(t.Context())
	if got, err := tallies.Load(tx, "a"); err != nil || got.Events != 1 {
		t.Fatalf("cached: %+v, %v", got, err)
	}
	if err := tx.Commit(); !log.IsConflict(err) {
		t.Errorf("nothing to do on an old state: %v, want a conflict", err)
	}
}

// A caller who knows of an event gets a state that has it: the cached one when that is as new, else the broker's.
func TestReadAtLeastIsAsNewAsItsCallerKnows(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	for _, l := range []*log.Log{ours, theirs} {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
			t.Fatal(err)
		}
	}
	before := published(ours)
	if got, seq, err := tallies.ReadAtLeast(t.Context(), ours, "a", 1); err != nil || got.Events != 1 || seq != 1 {
		t.Errorf("at least the first: %+v at %d, %v; want the cached one", got, seq, err)
	}
	if asked := published(ours) - before; asked != 0 {
		t.Errorf("the broker was asked %d times", asked)
	}
	if got, seq, err := tallies.ReadAtLeast(t.Context(), ours, "a", 2); err != nil || got.Events != 2 || seq != 2 {
		t.Errorf("at least the second: %+v at %d, %v; want two events", got, seq, err)
	}
	if _, _, err := tallies.ReadAtLeast(t.Context(), ours, "*", 2); err == nil {
		t.Error("an entity without events was read")
	}
	if _, err := theirs.Get(t.Context(), 3); err == nil {
		t.Error("there is a message behind the end of the log")
	}
}
