package worker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// damagedLog returns a log of n orders that lacks some sequences, and the messages that it has lost.
func damagedLog(t *testing.T, n int, missing ...uint64) (l *eventlog.Log, orders []string, lost map[uint64]eventlog.Message) {
	t.Helper()
	l = logtest.Open(t)
	js, config := l.JetStream(), eventlog.Streams(1)[0]
	config.DenyDelete = false // the stream of a shop always denies it
	if err := js.DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	orders, lost = placeMany(t, l, "o", n), map[uint64]eventlog.Message{}
	for _, sequence := range missing {
		if lost[sequence], err = l.Get(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
		if err := stream.SecureDeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
	return l, orders, lost
}

// archiveOf returns the Missing function of an archive that has the lost messages.
func archiveOf(lost map[uint64]eventlog.Message) func(ctx context.Context, from, to uint64) ([]eventlog.Message, error) {
	return func(_ context.Context, from, to uint64) (messages []eventlog.Message, err error) {
		for s := from; s <= to; s++ {
			if m, ok := lost[s]; ok {
				messages = append(messages, m)
			}
		}
		return messages, nil
	}
}

// Row 64 of the fault matrix: messages that the log lacks are read from the archive, and every lane gets them in order,
// at the reader's position or far before it.
func TestGapIsFilledFromTheArchive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n       int
		missing []uint64
	}{
		"One":              {20, []uint64{7}},
		"FirstMessages":    {20, []uint64{1, 2}},
		"Several":          {20, []uint64{3, 4, 5, 9, 15, 16}},
		"BehindTheReader":  {3000, []uint64{2, 500, 501, 502, 1999}},
		"StartOfTheReader": {3000, []uint64{2000, 2001, 2002}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, placed, lost := damagedLog(t, c.n, c.missing...)
			var decided, acted ids
			var w written
			config := configOf(recording(l, &decided), acting(1, func(_ context.Context, id string) error { acted.add(id); return nil }))
			config.Batches, config.Missing = []worker.Batch{copyBatch(w.write)}, archiveOf(lost)
			p := start(t, l, config)
			p.caughtUp(t, "inventory", "actor", "copy")
			if !slices.Equal(decided.all(), placed) || !slices.Equal(acted.all(), placed) {
				t.Errorf("got %d decisions and %d acts, want %d of each, in order", len(decided.all()), len(acted.all()), len(placed))
			}
			if got, want := w.all()[:c.n], sequenceRange(1, uint64(c.n)); !slices.Equal(got, want) {
				t.Errorf("copied: got %d messages, want 1 to %d", len(got), c.n)
			}
			if p.Ready() != nil {
				t.Errorf("ready: got %v, want nil", p.Ready())
			}
		})
	}
}

// When the archive lacks the messages too, no lane decides or acts, nothing is appended, and readiness names the
// sequences. When the archive has them again every lane continues.
func TestLanesStopAtAGapThatTheArchiveCannotFill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n       int
		missing []uint64
		archive func(lost map[uint64]eventlog.Message) func(context.Context, uint64, uint64) ([]eventlog.Message, error)
		want    string // in the readiness error
		before  int    // orders before the gap
	}{
		"NoArchive": {20, []uint64{7, 8}, nil, "sequences 7 to 8 are missing", 6},
		"EmptyArchive": {20, []uint64{7, 8},
			func(map[uint64]eventlog.Message) func(context.Context, uint64, uint64) ([]eventlog.Message, error) {
				return archiveOf(nil)
			}, "sequences 7 to 8 are missing", 6},
		"PartialArchive": {20, []uint64{7, 8, 9}, func(lost map[uint64]eventlog.Message) func(context.Context, uint64, uint64) ([]eventlog.Message, error) {
			return archiveOf(map[uint64]eventlog.Message{7: lost[7]})
		}, "8", 7},
		"ArchiveUnavailable": {20, []uint64{7}, func(map[uint64]eventlog.Message) func(context.Context, uint64, uint64) ([]eventlog.Message, error) {
			return func(context.Context, uint64, uint64) ([]eventlog.Message, error) {
				return nil, errors.New("database unavailable")
			}
		}, "database unavailable", 6},
		"BehindTheReader": {3000, []uint64{7, 8}, nil, "sequences 7 to 8 are missing", 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, placed, lost := damagedLog(t, c.n, c.missing...)
			var decided, acted ids
			config := configOf(recording(l, &decided), acting(1, func(_ context.Context, id string) error { acted.add(id); return nil }))
			var restored atomic.Bool
			if c.archive != nil {
				short := c.archive(lost)
				config.Missing = func(ctx context.Context, from, to uint64) ([]eventlog.Message, error) {
					if restored.Load() {
						return archiveOf(lost)(ctx, from, to)
					}
					return short(ctx, from, to)
				}
			}
			p := start(t, l, config)
			waitUntil(t, "readiness names the gap", func() bool { return p.Ready() != nil && strings.Contains(p.Ready().Error(), c.want) })
			refusesAppends(t, l)
			for range 20 {
				if p.Ready() == nil {
					t.Error("ready: got nil, want the gap")
				}
			}
			if got := len(distinct(decided.all())); got > c.before || len(acted.all()) > c.before {
				t.Errorf("got %d decisions and %d acts, want at most %d", got, len(acted.all()), c.before)
			}
			if c.archive == nil {
				return
			}
			restored.Store(true)
			waitUntil(t, "an order can be placed", func() bool { return l.Do(t.Context(), placeLater) == nil })
			placed = append(placed, "later")
			p.caughtUp(t, "inventory", "actor")
			if !slices.Equal(distinct(decided.all()), placed) || !slices.Equal(acted.all(), placed) {
				t.Errorf("got %d decisions and %d acts, want %d of each, in order", len(decided.all()), len(acted.all()), len(placed))
			}
			if p.Ready() != nil {
				t.Errorf("ready: got %v, want nil", p.Ready())
			}
		})
	}
}

func placeLater(tx *eventlog.Tx) error {
	return orders.Append(tx, "later", events.OrderPlaced{OrderID: "later"})
}

func refusesAppends(t *testing.T, l *eventlog.Log) {
	t.Helper()
	for _, appendTo := range []func(context.Context, func(*eventlog.Tx) error) error{l.Do, l.DoCascade} {
		if err := appendTo(t.Context(), placeLater); !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("append at the gap: got %v, want ErrUnavailable with the damage", err)
		}
	}
}

// distinct removes repeated ids: an event is decided again after the log refused its decision.
func distinct(all []string) (unique []string) {
	for _, id := range all {
		if !slices.Contains(unique, id) {
			unique = append(unique, id)
		}
	}
	return unique
}

// While any reader of the process has stopped at a gap no act is retried and no deadline fires, however long they have been
// due.
func TestDueActsAndDeadlinesWaitAtAGap(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64 // how often the lanes read the clock
	now := newClock()
	l := logtest.Open(t, func(c *eventlog.Config) { c.Now = func() time.Time { asked.Add(1); return now.Now() } })
	var damaged atomic.Bool
	var acted, fired ids
	act := func(ctx context.Context, id string) error {
		if acted.add(id); damaged.Load() {
			t.Error("an act was tried at a gap")
		}
		if worker.Attempt(ctx) == 1 {
			return errors.New("not yet")
		}
		return nil
	}
	fire := func(_ context.Context, id string) error {
		if fired.add(id); damaged.Load() {
			t.Error("a deadline fired at a gap")
		}
		return nil
	}
	p := start(t, l, configOf(acting(1, act), expiring(fire)))
	p.waitLeased(t, "actor", "orders.timers")
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		return orders.Append(tx, "o1", events.OrderPlaced{OrderID: "o1", ExpiresAt: now.Now().Add(time.Hour)})
	})
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the act is tried", func() bool { return len(acted.all()) == 1 })
	damaged.Store(true)
	l.ReportReader("another", &eventlog.GapError{From: 7, To: 8})
	now.move(2 * time.Hour)
	turned := asked.Load() + 20
	waitUntil(t, "the lanes have read the clock", func() bool { return asked.Load() >= turned })
	damaged.Store(false)
	l.ReportReader("another", nil)
	waitUntil(t, "both lanes continue", func() bool {
		now.move(time.Second) // the retry may have been scheduled after the clock was moved
		return len(acted.all()) == 2 && len(fired.all()) == 1
	})
}
