package log_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// lose deletes messages of a log and returns them. The log is that of another process, because the one that wrote them has
// cached their states.
func lose(t *testing.T, sequences ...uint64) (l *eventlog.Log, lost []eventlog.Message) {
	t.Helper()
	server := logtest.Server(t)
	writer := logtest.OpenOn(t, server)
	stream := logtest.Replaceable(t, writer)
	for range 3 {
		mustAdd(t, writer, "a", "b") // a: 1, 3, 5; b: 2, 4, 6
	}
	for _, sequence := range sequences {
		m, err := writer.Get(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		lost = append(lost, m)
		if err := stream.SecureDeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
	config := eventlog.CurrentTopology(1)
	config.Streams[0].DenyDelete = false
	return logtest.OpenOn(t, server, func(c *eventlog.Config) { c.Topology = &config }), lost
}

// fill fills the gaps of a log, one message each.
func fill(t *testing.T, l *eventlog.Log, lost []eventlog.Message) {
	t.Helper()
	for _, m := range lost {
		if err := l.FillGap(t.Context(), eventlog.GapError{From: m.Sequence, To: m.Sequence}, []eventlog.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
}

// Row 64 of the fault matrix: whichever events of an entity the log lacks, with the archive's copies the entity is read as before,
// and the next event is appended after them.
func TestEntityIsReadAndContinuedWithFilledEvents(t *testing.T) {
	t.Parallel()
	for _, missing := range [][]uint64{{1}, {3}, {5}, {5, 3}, {3, 5}, {1, 3, 5}, {6, 5}} {
		t.Run(fmt.Sprint(missing), func(t *testing.T) {
			t.Parallel()
			l, lost := lose(t, missing...)
			fill(t, l, lost)
			expectTally(t, l, "a", tally{Events: 3, Sum: 3})
			if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return addNew(tx, "a") }); err != nil {
				t.Errorf("append with LoadNew: %v", err)
			}
			mustAdd(t, l, "a", "b")
			expectTally(t, l, "a", tally{Events: 5, Sum: 5})
			expectTally(t, l, "b", tally{Events: 4, Sum: 4})
			first, err := l.First(t.Context(), events.PrefixStock+"a")
			if err != nil || first.Sequence != 1 {
				t.Errorf("first event: got %d (%v), want 1", first.Sequence, err)
			}
			if m, err := l.Get(t.Context(), missing[0]); err != nil || m.Sequence != missing[0] {
				t.Errorf("message %d: got %d, %v", missing[0], m.Sequence, err)
			}
			if err := l.Unrepaired(); !errors.Is(err, eventlog.ErrNeedsRepair) {
				t.Errorf("Unrepaired: got %v, want ErrNeedsRepair", err)
			}
		})
	}
}

// A snapshot has the newest event of each entity, from the log or from the archive, in order.
func TestSnapshotHasFilledEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ missing, want []uint64 }{
		"Older":   {[]uint64{3}, []uint64{5, 6}},
		"Newest":  {[]uint64{5}, []uint64{5, 6}},
		"AtEnd":   {[]uint64{6}, []uint64{5, 6}},
		"AllOfIt": {[]uint64{1, 2, 3, 4, 5, 6}, []uint64{5, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, lost := lose(t, c.missing...)
			fill(t, l, lost)
			var got []uint64
			_, err := l.Snapshot(t.Context(), []string{events.PrefixStock + ">"}, func(m eventlog.Message) error {
				got = append(got, m.Sequence)
				return nil
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %v (%v), want %v", got, err, c.want)
			}
		})
	}
}

// Every gap is found, at the begin, inside and at the end, by the broker's own account and by reading.
func TestEveryGapIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		missing []uint64
		want    []eventlog.GapError
	}{
		"None":   {nil, nil},
		"First":  {[]uint64{1, 2}, []eventlog.GapError{{From: 1, To: 2}}},
		"Inside": {[]uint64{2, 4, 5}, []eventlog.GapError{{From: 2, To: 2}, {From: 4, To: 5}}},
		"Last":   {[]uint64{5, 6}, []eventlog.GapError{{From: 5, To: 6}}},
		"All":    {[]uint64{1, 2, 3, 4, 5, 6}, []eventlog.GapError{{From: 1, To: 6}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _ := lose(t, c.missing...)
			known, err := l.KnownGaps(t.Context(), 6)
			if err != nil || !slices.Equal(known, c.want) {
				t.Errorf("known to the broker: got %v (%v), want %v", known, err, c.want)
			}
			var read []eventlog.GapError
			next, err := l.Verify(t.Context(), 1, 6, func(gap eventlog.GapError) error {
				read = append(read, gap)
				return nil
			})
			if err != nil || next != 7 || !slices.Equal(read, c.want) {
				t.Errorf("read: got %v up to %d (%v), want %v", read, next, err, c.want)
			}
		})
	}
}

// Row 12 of the fault matrix: a log that ends before a lane's position has lost its end.
func TestMarkBeyondTheEndIsATruncatedLog(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	mustAdd(t, l, "a", "b")
	for read := uint64(1); read <= 3; read++ {
		c := eventlog.Checkpoint{Lane: fmt.Sprintf("lane-%d", read), Position: 1, Read: read}
		if err := l.SaveCheckpoint(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
		if err := l.CheckMark(t.Context()); errors.Is(err, eventlog.ErrTruncated) != (read > 2) || err != nil && read <= 2 {
			t.Errorf("a lane has read %d of 2: got %v", read, err)
		}
	}
}
