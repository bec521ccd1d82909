package log_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Row 17 of the fault matrix: a hostile id never reaches a subject.
func TestHostileIDsAreRefused(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	for _, id := range []string{"", " ", "a ", "a\x00b", "a\nb", "\xff", strings.Repeat("a", 65), string(make([]byte, 5000))} {
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, id, 1) })
		if !errors.Is(err, events.ErrBadID) {
			t.Errorf("%.10q: got %v, want ErrBadID", id, err)
		}
	}
	expectStored(t, l, 0)
	mustAdd(t, l, "good")
}

// Row 17 of the fault matrix, the other side: characters with a meaning in subjects are allowed in an id. Each id has its own
// subject, so no entity includes the events of another.
func TestEveryPrintableIDIsAnEntityOfItsOwn(t *testing.T) {
	t.Parallel()
	ours, fresh := twoLogs(t)
	ids := []string{"a", "*", ">", "a.b", "a.*", "a b", "a/b", "ä", "%", "%2A", "a%2Eb", strings.Repeat("*", 64), strings.Repeat("語", 64), strings.Repeat("%", 64)}
	for i, id := range ids {
		if err := ours.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, id, int64(i)) }); err != nil {
			t.Fatalf("append to %q: %v", id, err)
		}
	}
	expectStored(t, ours, len(ids))
	for i, id := range ids {
		got, seq, err := tallies.Read(t.Context(), fresh, id)
		if err != nil || got != (tally{Events: 1, Sum: int64(i)}) {
			t.Errorf("read %q: got %+v, %v; want one event with quantity %d", id, got, err, i)
		}
		m, err := fresh.Get(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if parsed, ok := events.ParseSubject(events.PrefixStock, m.Subject); !ok || parsed != id {
			t.Errorf("parse %s: got %q, %v; want %q", m.Subject, parsed, ok, id)
		}
	}
}

func TestStateIsTheSameFromCacheHistoryAndLastEvent(t *testing.T) {
	t.Parallel()
	ours, fresh := twoLogs(t)
	const length = 600 // more than one batch of a history read
	for i := range int64(length) {
		err := ours.Do(t.Context(), func(tx *eventlog.Tx) error {
			fact := plus(i)
			fact.After.OnHand = i
			return errors.Join(tallies.Append(tx, "a", fact), balances.Append(tx, "a", fact))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := tally{Events: length, Sum: length * (length - 1) / 2}
	expectTally(t, ours, "a", want)
	expectTally(t, fresh, "a", want)
	if got, _, err := balances.Read(t.Context(), fresh, "a"); err != nil || got != length-1 {
		t.Errorf("balance: got %d, %v; want %d", got, err, length-1)
	}
}

// A caller that knows of an event gets a state that includes it: the cached state if it does, else the broker's.
func TestReadAtLeastIncludesKnownEvent(t *testing.T) {
	t.Parallel()
	ours, theirs := staleCache(t)
	before := sentMessages(ours)
	if got, seq, err := tallies.ReadAtLeast(t.Context(), ours, "a", 1); err != nil || got.Events != 1 || seq != 1 {
		t.Errorf("at least 1: got %+v at %d, %v; want the cached state with 1 event", got, seq, err)
	}
	if sent := sentMessages(ours) - before; sent != 0 {
		t.Errorf("at least 1: sent %d messages to the broker, want 0", sent)
	}
	if got, seq, err := tallies.ReadAtLeast(t.Context(), ours, "a", 2); err != nil || got.Events != 2 || seq != 2 {
		t.Errorf("at least 2: got %+v at %d, %v; want 2 events", got, seq, err)
	}
	if _, _, err := tallies.ReadAtLeast(t.Context(), ours, "*", 2); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("entity without events: got %v, want ErrNotFound", err)
	}
	if _, err := theirs.Get(t.Context(), 3); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("message after the end of the log: got %v, want ErrNotFound", err)
	}
}

// A server that is cut off from its cluster continues to answer reads. When a process has seen newer events of an entity than
// the server has, it must not decide on the older state.
func TestReadFromServerBehindClusterIsUnavailable(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t, func(c *eventlog.Config) { c.Patience = 200 * time.Millisecond })
	mustAdd(t, l, "a")
	for _, id := range []string{"a", "new"} {
		subject, err := tallies.Subject(id)
		if err != nil {
			t.Fatal(err)
		}
		l.Observe(eventlog.Message{Subject: subject, Sequence: 1000})
		if got, _, err := tallies.Read(t.Context(), l, id); !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("read %s: got %+v, %v; want ErrUnavailable", id, got, err)
		}
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, id, 1) }); !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("append to %s: got %v, want ErrUnavailable", id, err)
		}
	}
}

func TestGarbageOnSubjectDoesNotChangeState(t *testing.T) {
	t.Parallel()
	ours, fresh := twoLogs(t)
	mustAdd(t, ours, "a")
	if _, err := ours.JetStream().Publish(t.Context(), events.PrefixStock+"a", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, ours, "a")
	expectTally(t, ours, "a", tally{2, 2})
	expectTally(t, fresh, "a", tally{2, 2})
}

// Garbage after the newest event of a LastOnly entity does not hide the event: the stock does not look empty.
func TestGarbageDoesNotHideLastEvent(t *testing.T) {
	t.Parallel()
	ours, fresh := twoLogs(t)
	for _, n := range []int64{3, 7} {
		fact := plus(0)
		fact.After.OnHand = n
		if err := ours.Do(t.Context(), func(tx *eventlog.Tx) error { return balances.Append(tx, "A", fact) }); err != nil {
			t.Fatal(err)
		}
	}
	ack, err := ours.JetStream().Publish(t.Context(), events.PrefixItem+"A", []byte("garbage"))
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*eventlog.Log{"cached": ours, "fresh": fresh} {
		if got, seq, err := balances.Read(t.Context(), l, "A"); err != nil || got != 7 || seq != ack.Sequence {
			t.Errorf("%s: got %d at %d, %v; want 7 at %d", name, got, seq, err, ack.Sequence)
		}
	}
}

// publish publishes an event directly to the stream, without an expected sequence, as another program might.
func publish(t *testing.T, l *eventlog.Log, subject string, revision uint64, headers map[string]string) {
	t.Helper()
	msg, err := events.Encode(events.Event{ID: fmt.Sprintf("%s-%d", subject, revision), Source: "test", Time: l.Now(), Revision: revision,
		Subject: subject, Payload: plus(1)})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		msg.Header.Set(name, value)
	}
	if _, err := l.JetStream().PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

func TestEventOfNewerVersionMakesEntityUnreadable(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	publish(t, l, events.PrefixStock+"a", 1, map[string]string{events.HeaderVersion: "99"})
	if _, _, err := tallies.Read(t.Context(), l, "a"); !errors.Is(err, eventlog.ErrUnreadable) || !errors.Is(err, events.ErrUnknownVersion) {
		t.Errorf("read: got %v, want ErrUnreadable and ErrUnknownVersion", err)
	}
}

// The events of an entity are numbered. A missing or repeated number makes the entity unreadable, also for a process that
// had cached its state: nothing is decided on an incomplete state.
func TestMissingRevisionMakesEntityUnreadable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		revisions []uint64
		want      string
	}{
		"First":      {[]uint64{2}, "revision 2 follows 0"},
		"Between":    {[]uint64{1, 3}, "revision 3 follows 1"},
		"Twice":      {[]uint64{1, 2, 2}, "revision 2 follows 2"},
		"AmongMany":  {[]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13}, "revision 12 follows 10"},
		"WrongOrder": {[]uint64{1, 3, 2}, "revision 3 follows 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, fresh := twoLogs(t)
			for i, revision := range c.revisions {
				publish(t, ours, events.PrefixStock+"a", revision, nil)
				if i == 0 && revision == 1 {
					expectTally(t, ours, "a", tally{1, 1})
				}
			}
			for name, reader := range map[string]*eventlog.Log{"cached": ours, "fresh": fresh} {
				_, _, err := tallies.Read(t.Context(), reader, "a")
				if !errors.Is(err, eventlog.ErrUnreadable) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: read: got %v, want ErrUnreadable with %q", name, err, c.want)
				}
				if err := reader.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, "a", 1) }); !errors.Is(err, eventlog.ErrUnreadable) {
					t.Errorf("%s: append: got %v, want ErrUnreadable", name, err)
				}
			}
			expectStored(t, ours, len(c.revisions))
		})
	}
}

// A message without a revision is not an event of an entity, whatever its type.
func TestMessageWithoutRevisionIsNotAnEventOfTheEntity(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	mustAdd(t, l, "a")
	publish(t, l, events.PrefixStock+"a", 0, nil)
	mustAdd(t, l, "a")
	if got, seq, err := tallies.Read(t.Context(), l, "a"); err != nil || got != (tally{2, 2}) || seq != 3 {
		t.Errorf("read: got %+v at %d, %v; want 2 events, the last at 3", got, seq, err)
	}
	first, err := l.First(t.Context(), events.PrefixStock+"a")
	if err != nil || first.Sequence != 1 || first.Revision != 1 {
		t.Errorf("first event: got revision %d at %d, %v; want revision 1 at 1", first.Revision, first.Sequence, err)
	}
	publish(t, l, events.PrefixStock+"b", 0, nil)
	if _, err := l.First(t.Context(), events.PrefixStock+"b"); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("first event of an entity without events: got %v, want ErrNotFound", err)
	}
}
