package replay_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// move appends a movement of MUG, and an event of another entity, so that the sequences of the ledger have gaps.
func (s *shop) move(fact events.Payload) {
	s.t.Helper()
	n := s.revision("inventory.stock.main.MUG") + 1
	s.append(fmt.Sprint("move-", n), "inventory.stock.main.MUG", "", "", fact)
	s.append(fmt.Sprint("item-", n), "inventory.items.MUG", "", "", events.ItemChanged{SKU: "MUG"})
}

func level(onHand, held int64) events.StockLevel {
	return events.StockLevel{OnHand: onHand, Available: onHand - held, Held: held}
}

func movedTo(quantity int64, order string, after events.StockLevel) events.StockMovement {
	return events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: quantity, OrderID: order, After: after}
}

func TestLedgerShowsWhatChangedNewestFirst(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.move(events.StockAdjusted{StockMovement: movedTo(9, "", level(9, 0)), Reason: "received"})
	s.move(events.StockHeld{StockMovement: movedTo(2, "o1", level(9, 2))})
	s.move(events.StockReleased{StockMovement: movedTo(1, "o1", level(9, 1))})
	s.move(events.StockCommitted{StockMovement: movedTo(1, "o1", level(8, 0))})
	s.move(events.StockReturned{StockMovement: movedTo(1, "o1", level(9, 0))})
	ledger, err := s.Ledger(t.Context(), "MUG", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Revision     uint64
		What         string
		Change       int64
		After        events.StockLevel
		Order, Actor string
		Reason       string
	}
	var got []row
	for _, m := range ledger.Movements {
		got = append(got, row{m.Revision, m.What, m.Change, m.After, m.OrderID, m.Actor, m.Reason})
	}
	want := []row{{5, "returned", 1, level(9, 0), "o1", "system", ""}, {4, "sold", -1, level(8, 0), "o1", "system", ""}, {3, "released", 1, level(9, 1), "o1", "system", ""},
		{2, "held", -2, level(9, 2), "o1", "system", ""}, {1, "adjusted", 9, level(9, 0), "", "system", "received"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("movements (-want +got):\n%s", diff)
	}
	if _, err := s.Ledger(t.Context(), "CUP", 0, 10); !errors.Is(err, replay.ErrNotFound) {
		t.Errorf("unknown SKU: got %v, want ErrNotFound", err)
	}
	if _, err := s.Ledger(t.Context(), " ", 0, 10); !errors.Is(err, events.ErrBadID) {
		t.Errorf("bad SKU: got %v, want ErrBadID", err)
	}
}

func TestLedgerHasEveryMovementOnOnePage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const all = 23
	for n := int64(1); n <= all; n++ {
		s.move(events.StockAdjusted{StockMovement: movedTo(1, "", level(n, 0)), Reason: "received"})
	}
	for _, size := range []int{1, 5, all, 100} {
		next := uint64(all)
		for before := uint64(0); ; {
			page, err := s.Ledger(t.Context(), "MUG", before, size)
			if err != nil || page.Total != all {
				t.Fatalf("pages of %d before %d: got %d in total, %v; want %d", size, before, page.Total, err, all)
			}
			for _, m := range page.Movements {
				if m.Revision != next || m.After.OnHand != int64(next) {
					t.Errorf("pages of %d: got movement %d, want %d", size, m.Revision, next)
				}
				next--
			}
			if before = page.Older; before == 0 {
				break
			}
		}
		if next != 0 {
			t.Errorf("pages of %d: %d movements are missing", size, next)
		}
	}
}

// An unreadable message stays visible, and does not hide the movements around it.
func TestLedgerShowsAMessageThatIsNoMovement(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.move(events.StockAdjusted{StockMovement: movedTo(9, "", level(9, 0)), Reason: "received"})
	if _, err := s.js.Publish(t.Context(), "inventory.stock.main.MUG", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	s.append("again", "inventory.stock.main.MUG", "", "", events.StockHeld{StockMovement: movedTo(1, "o1", level(9, 1))})
	s.append("again2", "inventory.stock.main.MUG", "", "", events.StockHeld{StockMovement: movedTo(1, "o1", level(9, 2))})
	ledger, err := s.Ledger(t.Context(), "MUG", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, m := range ledger.Movements {
		what = append(what, m.What)
	}
	if diff := cmp.Diff([]string{"held", "held", "unreadable", "adjusted"}, what); diff != "" {
		t.Errorf("movements (-want +got):\n%s", diff)
	}
}

func movement(minute int, l events.StockLevel) replay.Movement {
	return replay.Movement{Time: time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC), What: "adjusted", After: l, Revision: uint64(minute)}
}

func TestAShortCourseHasEveryMovement(t *testing.T) {
	t.Parallel()
	course := replay.NewStockCourse(10)
	for minute := range 10 {
		course.Add(movement(minute, level(int64(minute), 0)))
	}
	if len(course.Points) != 10 || course.Points[7].Last != level(7, 0) || course.Points[7].Movements != 1 {
		t.Errorf("got %+v, want a point for each movement", course.Points)
	}
}

func TestALongCourseKeepsShortagesAndPeaks(t *testing.T) {
	t.Parallel()
	const limit, all = 40, 10_000
	course := replay.NewStockCourse(limit)
	for n := range all {
		l := level(50, int64(n%7))
		switch n {
		case 1234:
			l = level(0, 0)
		case 8765:
			l = level(900, 400)
		}
		course.Add(movement(n, l))
	}
	least, most, movements := level(50, 0), level(0, 0), 0
	for i, p := range course.Points {
		least.OnHand, least.Available = min(least.OnHand, p.Least.OnHand), min(least.Available, p.Least.Available)
		most.OnHand, most.Held = max(most.OnHand, p.Most.OnHand), max(most.Held, p.Most.Held)
		if i > 0 && !p.From.After(course.Points[i-1].To) {
			t.Errorf("point %d begins at %v, before the one before ends at %v", i, p.From, course.Points[i-1].To)
		}
		movements += p.Movements
	}
	if n := len(course.Points); n > limit || n < limit/4 {
		t.Errorf("got %d points, want %d to %d", n, limit/4, limit)
	}
	if movements != all || course.Movements != all {
		t.Errorf("got %d movements in the points and %d in the course, want %d", movements, course.Movements, all)
	}
	if least.OnHand != 0 || most.OnHand != 900 || most.Held != 400 {
		t.Errorf("got %+v to %+v, want the shortage and the peak", least, most)
	}
	if last := course.Points[len(course.Points)-1].Last; last != level(50, (all-1)%7) {
		t.Errorf("got %+v at the end, want the last level", last)
	}
}

// Movements at one moment, or by a clock that is behind, share a point instead of growing the course without end.
func TestACourseIsBoundedWhateverTheClocks(t *testing.T) {
	t.Parallel()
	course := replay.NewStockCourse(8)
	for n := range 1000 {
		m := movement(5, level(int64(n), 0))
		m.Time = m.Time.Add(-time.Duration(n%3) * time.Hour)
		course.Add(m)
	}
	if len(course.Points) > 8 || course.Points[len(course.Points)-1].Last != level(999, 0) {
		t.Errorf("got %d points, want at most 8 with the last level", len(course.Points))
	}
}

func TestExtendCourseReadsOnlyNewMovements(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	course := replay.NewStockCourse(10)
	for n := int64(1); n <= 3; n++ {
		if err := s.ExtendCourse(t.Context(), "MUG", course); err != nil {
			t.Fatal(err)
		}
		if got := int64(len(course.Points)); got != n-1 {
			t.Errorf("got %d points, want %d", got, n-1)
		}
		s.move(events.StockAdjusted{StockMovement: movedTo(1, "", level(n, 0)), Reason: "received"})
	}
}

// BenchmarkLedgerOf100000Movements measures pages and the course of a ledger of 100,000 movements among 200,000 other events.
func BenchmarkLedgerOf100000Movements(b *testing.B) {
	const movements = 100_000
	s := newShop(b)
	s.fill(movements)
	for name, read := range map[string]func() error{
		"FirstPage":  func() error { _, err := s.Ledger(b.Context(), "MUG", 0, 50); return err },
		"MiddlePage": func() error { _, err := s.Ledger(b.Context(), "MUG", movements/2, 50); return err },
		"LastPage":   func() error { _, err := s.Ledger(b.Context(), "MUG", 51, 50); return err },
		"Course":     func() error { return s.ExtendCourse(b.Context(), "MUG", replay.NewStockCourse(400)) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// ledgers are ledgers without rules, to append many movements at once.
var ledgers = eventlog.Entity[int]{Prefix: events.PrefixStock, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// fill appends movements of MUG, and as many of two other SKUs, in batches.
func (s *shop) fill(movements int) {
	s.t.Helper()
	const batch = 250
	for from := 0; from < movements; from += batch {
		err := s.log.Do(s.t.Context(), func(tx *eventlog.Tx) error {
			for n := from; n < from+batch; n++ {
				for _, sku := range []string{"MUG", "CUP", "POT"} {
					m := events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: 1, OrderID: "0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", After: level(int64(n%50+5), int64(n%5))}
					if err := ledgers.Append(tx, sku, events.StockHeld{StockMovement: m}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}
