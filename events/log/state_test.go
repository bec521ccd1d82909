package log_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

func TestAStateIsTheSameFromMemoryFromHistoryAndFromTheLastEvent(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours := logtest.OpenOn(t, server)
	for i := range int64(600) { // more than one direct get brings
		err := ours.Do(t.Context(), func(tx *log.Tx) error {
			fact := plus(i)
			fact.After.OnHand = i
			return errors.Join(tallies.Append(tx, "a", fact), balances.Append(tx, "a", fact))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	remembered, _, err := tallies.Read(t.Context(), ours, "a")
	if err != nil {
		t.Fatal(err)
	}
	fresh := logtest.OpenOn(t, server)
	read, _, err := tallies.Read(t.Context(), fresh, "a")
	if err != nil || read != remembered || read.Events != 600 {
		t.Errorf("read %+v, %v; remembered %+v", read, err, remembered)
	}
	if last, _, err := balances.Read(t.Context(), fresh, "a"); err != nil || last != 599 {
		t.Errorf("balance %d, %v; want 599", last, err)
	}
}

func TestGarbageOnASubjectDoesNotChangeTheEntity(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours := logtest.OpenOn(t, server)
	if err := ours.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 5) }); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.JetStream().Publish(t.Context(), events.PrefixStock+"a", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	if err := ours.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 5) }); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*log.Log{ours, logtest.OpenOn(t, server)} {
		if got, _, err := tallies.Read(t.Context(), l, "a"); err != nil || got.Sum != 10 {
			t.Errorf("got %+v, %v; want 10", got, err)
		}
	}
}

func TestAnEventOfANewerVersionStopsTheFold(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	msg, err := events.Encode(events.Event{ID: "x", Source: "test", Time: l.Now(), Revision: 1, Subject: events.PrefixStock + "a", Payload: plus(1)})
	if err != nil {
		t.Fatal(err)
	}
	msg.Header.Set(events.HeaderVersion, "99")
	if _, err := l.JetStream().PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tallies.Read(t.Context(), l, "a"); !errors.Is(err, log.ErrUnreadable) || !errors.Is(err, events.ErrUnknownVersion) {
		t.Errorf("got %v, want ErrUnreadable and ErrUnknownVersion", err)
	}
}

// publish puts an event straight into the stream, with no expectation, as a program that is not this one might.
func publish(t *testing.T, l *log.Log, subject string, revision uint64) {
	t.Helper()
	msg, err := events.Encode(events.Event{ID: fmt.Sprintf("%s-%d", subject, revision), Source: "test", Time: l.Now(), Revision: revision,
		Subject: subject, Payload: plus(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.JetStream().PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

// The events of an entity are numbered. One that is missing, or there twice, makes the entity unreadable, also for who had
// cached it before: nothing is decided on a state that leaves something out.
func TestAnEventThatIsMissingMakesTheEntityUnreadable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		revisions []uint64
		want      string
	}{
		"TheFirst":        {[]uint64{2}, "revision 2 follows 0"},
		"OneInBetween":    {[]uint64{1, 3}, "revision 3 follows 1"},
		"OneTwice":        {[]uint64{1, 2, 2}, "revision 2 follows 2"},
		"OneAmongMany":    {[]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13}, "revision 12 follows 10"},
		"TheOrderIsWrong": {[]uint64{1, 3, 2}, "revision 3 follows 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := logtest.Server(t)
			l, subject := logtest.OpenOn(t, server), events.PrefixStock+"a"
			for i, revision := range c.revisions {
				publish(t, l, subject, revision)
				if i == 0 && revision == 1 {
					if _, _, err := tallies.Read(t.Context(), l, "a"); err != nil {
						t.Fatalf("while nothing is missing: %v", err)
					}
				}
			}
			for who, reader := range map[string]*log.Log{"who had cached it": l, "a newcomer": logtest.OpenOn(t, server)} {
				_, _, err := tallies.Read(t.Context(), reader, "a")
				if !errors.Is(err, log.ErrUnreadable) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s reads: %v, want ErrUnreadable and %q", who, err, c.want)
				}
				if err := reader.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); !errors.Is(err, log.ErrUnreadable) {
					t.Errorf("%s decides: %v, want ErrUnreadable", who, err)
				}
			}
			if n := messages(t, l, events.StreamShop); int(n) != len(c.revisions) {
				t.Errorf("%d messages in the log, want %d", n, len(c.revisions))
			}
		})
	}
}

// A message without a revision is no event of an entity, whatever its type is, and neither is one of a journal.
func TestAMessageWithoutARevisionIsNoEventOfAnEntity(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 5) }); err != nil {
		t.Fatal(err)
	}
	publish(t, l, events.PrefixStock+"a", 0)
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 5) }); err != nil {
		t.Fatal(err)
	}
	if got, seq, err := tallies.Read(t.Context(), l, "a"); err != nil || got != (tally{2, 10}) || seq != 3 {
		t.Errorf("got %+v at %d, %v; want 2 events summing to 10, the last at 3", got, seq, err)
	}
	first, err := l.First(t.Context(), events.PrefixStock+"a")
	if err != nil || first.Sequence != 1 || first.Revision != 1 {
		t.Errorf("the first is %d at %d, %v; want 1 at 1", first.Revision, first.Sequence, err)
	}
	publish(t, l, events.PrefixStock+"b", 0)
	if _, err := l.First(t.Context(), events.PrefixStock+"b"); !errors.Is(err, log.ErrNotFound) {
		t.Errorf("the first of an entity without events: %v, want ErrNotFound", err)
	}
}

func TestTheTraceGoesFromFactToFact(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	err := l.Do(t.Context(), func(tx *log.Tx) error {
		tx.WithTrace(trace)
		tx.WithCorrelation("o1")
		return add(tx, "a", 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := l.Get(t.Context(), 1)
	if err != nil || msg.Header.Get(events.HeaderTraceParent) != trace || msg.Header.Get(events.HeaderCorrelationID) != "o1" {
		t.Errorf("headers %v, %v", msg.Header, err)
	}
}
