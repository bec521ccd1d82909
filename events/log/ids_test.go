package log_test

import (
	"errors"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Row 17 of the fault matrix: a hostile id never reaches a subject.
func TestHostileIDsAreRefused(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	for _, id := range []string{"", " ", "a ", "a\x00b", "a\nb", "\xff", strings.Repeat("a", 65), string(make([]byte, 5000))} {
		err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, id, 1) })
		if !errors.Is(err, events.ErrBadID) {
			t.Errorf("%.10q: %v, want ErrBadID", id, err)
		}
	}
	if n := messages(t, l, events.StreamShop); n != 0 {
		t.Errorf("%d messages in the log, want none", n)
	}
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "good", 1) }); err != nil {
		t.Error(err)
	}
}

// Row 17 of the fault matrix, the other side: what means something in a subject is an id like any other. Each entity has a
// subject of its own, so none takes in what was said of another.
func TestAnyPrintableTextIsAnEntity(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours := logtest.OpenOn(t, server)
	ids := []string{"a", "*", ">", "a.b", "a.*", "a b", "a/b", "ä", "%", "%2A", "a%2Eb", strings.Repeat("*", 64), strings.Repeat("語", 64), strings.Repeat("%", 64)}
	for i, id := range ids {
		if err := ours.Do(t.Context(), func(tx *log.Tx) error { return add(tx, id, int64(i)) }); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
	}
	if n := messages(t, ours, events.StreamShop); int(n) != len(ids) {
		t.Errorf("%d messages in the log, want %d", n, len(ids))
	}
	fresh := logtest.OpenOn(t, server)
	for i, id := range ids {
		got, seq, err := tallies.Read(t.Context(), fresh, id)
		if err != nil || got != (tally{Events: 1, Sum: int64(i)}) {
			t.Errorf("%q is %+v, %v; want one event of %d", id, got, err, i)
		}
		m, err := fresh.Get(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if told, ok := events.ParseSubject(events.PrefixStock, m.Subject); !ok || told != id {
			t.Errorf("%s is of %q, %v; want %q", m.Subject, told, ok, id)
		}
	}
}
