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

// damaged is a log of n orders that lacks some sequences, and what was there.
func damaged(t *testing.T, n int, missing ...uint64) (l *eventlog.Log, orders []string, lost map[uint64]eventlog.Message) {
	t.Helper()
	l = logtest.Open(t)
	js, config := l.JetStream(), eventlog.Streams(1)[0]
	config.DenyDelete = false // the log's own stream denies it for ever
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

// archived returns what was lost, as far as an archive has it.
func archived(lost map[uint64]eventlog.Message) func(ctx context.Context, from, to uint64) ([]eventlog.Message, error) {
	return func(_ context.Context, from, to uint64) (messages []eventlog.Message, err error) {
		for s := from; s <= to; s++ {
			if m, ok := lost[s]; ok {
				messages = append(messages, m)
			}
		}
		return messages, nil
	}
}

// Row 64 of the fault matrix: what the log lacks is taken from the archive, and every lane gets it in its place, whether it
// reads along or is behind.
func TestAGapIsFilledFromTheArchive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n       int
		missing []uint64
	}{
		"One":             {20, []uint64{7}},
		"TheFirst":        {20, []uint64{1, 2}},
		"Several":         {20, []uint64{3, 4, 5, 9, 15, 16}},
		"BehindTheReader": {3000, []uint64{2, 500, 501, 502, 1999}},
		"WhereItBegins":   {3000, []uint64{2000, 2001, 2002}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, placed, lost := damaged(t, c.n, c.missing...)
			var decided, acted ids
			var w written
			config := only(hearing(l, &decided), acting(1, func(_ context.Context, id string) error { acted.add(id); return nil }))
			config.Batches, config.Missing = []worker.Batch{copying(w.write)}, archived(lost)
			p := start(t, l, config)
			p.caughtUp(t, "inventory", "actor", "copy")
			if !slices.Equal(decided.all(), placed) || !slices.Equal(acted.all(), placed) {
				t.Errorf("decided about %d and acted on %d of %d orders, or not in order", len(decided.all()), len(acted.all()), len(placed))
			}
			if got, want := w.all()[:c.n], upTo(1, uint64(c.n)); !slices.Equal(got, want) {
				t.Errorf("copied were %d, want 1 to %d", len(got), c.n)
			}
			if p.Ready() != nil {
				t.Errorf("not ready: %v", p.Ready())
			}
		})
	}
}

// Where the archive lacks it too nothing is decided, acted on or appended any more, and readiness names the sequences. When
// the archive has it again everything goes on.
func TestNothingGoesOnAtAGap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n       int
		missing []uint64
		archive func(lost map[uint64]eventlog.Message) func(context.Context, uint64, uint64) ([]eventlog.Message, error)
		want    string // of readiness
		before  int    // orders that may be handled
	}{
		"NoArchive": {20, []uint64{7, 8}, nil, "sequences 7 to 8 are missing", 6},
		"EmptyArchive": {20, []uint64{7, 8},
			func(map[uint64]eventlog.Message) func(context.Context, uint64, uint64) ([]eventlog.Message, error) {
				return archived(nil)
			}, "sequences 7 to 8 are missing", 6},
		"HalfAnArchive": {20, []uint64{7, 8, 9}, func(lost map[uint64]eventlog.Message) func(context.Context, uint64, uint64) ([]eventlog.Message, error) {
			return archived(map[uint64]eventlog.Message{7: lost[7]})
		}, "8", 7},
		"ArchiveAway": {20, []uint64{7}, func(map[uint64]eventlog.Message) func(context.Context, uint64, uint64) ([]eventlog.Message, error) {
			return func(context.Context, uint64, uint64) ([]eventlog.Message, error) {
				return nil, errors.New("the database is away")
			}
		}, "the database is away", 6},
		"BehindTheReader": {3000, []uint64{7, 8}, nil, "sequences 7 to 8 are missing", 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, placed, lost := damaged(t, c.n, c.missing...)
			var decided, acted ids
			config := only(hearing(l, &decided), acting(1, func(_ context.Context, id string) error { acted.add(id); return nil }))
			var restored atomic.Bool
			if c.archive != nil {
				short := c.archive(lost)
				config.Missing = func(ctx context.Context, from, to uint64) ([]eventlog.Message, error) {
					if restored.Load() {
						return archived(lost)(ctx, from, to)
					}
					return short(ctx, from, to)
				}
			}
			p := start(t, l, config)
			until(t, "the worker says so", func() bool { return p.Ready() != nil && strings.Contains(p.Ready().Error(), c.want) })
			refusesAppends(t, l)
			for range 20 {
				if p.Ready() == nil {
					t.Error("it says that it is ready")
				}
			}
			if got := len(distinct(decided.all())); got > c.before || len(acted.all()) > c.before {
				t.Errorf("decided about %d and acted on %d orders, want at most %d", got, len(acted.all()), c.before)
			}
			if c.archive == nil {
				return
			}
			restored.Store(true)
			until(t, "orders are placed again", func() bool { return l.Do(t.Context(), placeLater) == nil })
			placed = append(placed, "later")
			p.caughtUp(t, "inventory", "actor")
			if !slices.Equal(distinct(decided.all()), placed) || !slices.Equal(acted.all(), placed) {
				t.Errorf("decided about %d and acted on %d of %d orders, or not in order", len(decided.all()), len(acted.all()), len(placed))
			}
			if p.Ready() != nil {
				t.Errorf("not ready: %v", p.Ready())
			}
		})
	}
}

func placeLater(tx *eventlog.Tx) error {
	return orders.Append(tx, "later", events.OrderPlaced{OrderID: "later"})
}

func refusesAppends(t *testing.T, l *eventlog.Log) {
	t.Helper()
	for _, append := range []func(context.Context, func(*eventlog.Tx) error) error{l.Do, l.DoCascade} {
		if err := append(t.Context(), placeLater); !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("an order is appended at the gap: %v", err)
		}
	}
}

// distinct leaves out what was decided again, because the log took no decisions before.
func distinct(ids []string) (once []string) {
	for _, id := range ids {
		if !slices.Contains(once, id) {
			once = append(once, id)
		}
	}
	return once
}

// While any reader of the process stands at a gap no act is tried again and no deadline fires, however long they are due.
func TestWhatIsDueWaitsAtAGap(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64 // for the time
	now := newClock()
	l := logtest.Open(t, func(c *eventlog.Config) { c.Now = func() time.Time { asked.Add(1); return now.Now() } })
	var damaged atomic.Bool
	var acted, fired ids
	act := func(ctx context.Context, id string) error {
		if acted.add(id); damaged.Load() {
			t.Error("an act is tried at a gap")
		}
		if worker.Attempt(ctx) == 1 {
			return errors.New("not yet")
		}
		return nil
	}
	fire := func(_ context.Context, id string) error {
		if fired.add(id); damaged.Load() {
			t.Error("a deadline fires at a gap")
		}
		return nil
	}
	p := start(t, l, only(acting(1, act), expiring(fire)))
	p.holds(t, "actor", "orders.timers")
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		return orders.Append(tx, "o1", events.OrderPlaced{OrderID: "o1", ExpiresAt: now.Now().Add(time.Hour)})
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the act is tried", func() bool { return len(acted.all()) == 1 })
	damaged.Store(true)
	l.ReportReader("another", &eventlog.GapError{From: 7, To: 8})
	now.move(2 * time.Hour)
	turned := asked.Load() + 20
	until(t, "the lanes have looked at the time", func() bool { return asked.Load() >= turned })
	damaged.Store(false)
	l.ReportReader("another", nil)
	until(t, "both go on", func() bool {
		now.move(time.Second) // the act may have been put off after the clock was moved
		return len(acted.all()) == 2 && len(fired.all()) == 1
	})
}
