package inventory

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tillstream/events"
)

// warehouse folds what the rules decide, and keeps every ledger from its beginning.
type warehouse struct {
	stocks       map[string]Stock
	ledgers      map[string][]events.Payload
	reservations map[string]Reservation
}

func newWarehouse() *warehouse {
	return &warehouse{stocks: map[string]Stock{}, ledgers: map[string][]events.Payload{}, reservations: map[string]Reservation{}}
}

// hear handles an order's event as the worker does and returns how many facts came of it.
func (w *warehouse) hear(t *rapid.T, orderID string, said events.Payload, lines []events.OrderLine) int {
	r := w.reservations[orderID]
	action, err := Next(r, said)
	if err != nil && !errors.Is(err, ErrCannotFollow) {
		t.Fatal(err)
	}
	if err != nil || action == Nothing {
		return 0
	}
	wanted := r.Lines
	if action == Hold || action == HoldAgain {
		if wanted, err = Demand(lines); err != nil {
			t.Fatal(err)
		}
	}
	levels := map[string]events.StockLevel{}
	for sku, s := range w.stocks {
		levels[sku] = s.Level
	}
	d, err := Decide(r, action, orderID, wanted, levels)
	if err != nil {
		t.Fatalf("%s of %s: %v", said.EventType(), orderID, err)
	}
	for _, fact := range d.Reservation {
		if r, err = ApplyReservation(r, about(events.PrefixReservation, orderID, fact)); err != nil {
			t.Fatal(err)
		}
	}
	w.reservations[orderID] = r
	for _, entry := range d.Stock {
		w.book(t, entry.SKU, entry.Fact)
	}
	return len(d.Reservation) + len(d.Stock)
}

func (w *warehouse) book(t *rapid.T, sku string, facts ...events.Payload) {
	for _, fact := range facts {
		stock, err := ApplyStock(w.stocks[sku], about(events.PrefixStock, sku, fact))
		if err != nil {
			t.Fatal(err)
		}
		w.stocks[sku], w.ledgers[sku] = stock, append(w.ledgers[sku], fact)
	}
}

// check is I3 of the fault matrix, and that what is held is held by somebody.
func (w *warehouse) check(t *rapid.T) {
	held := map[string]int64{}
	for _, r := range w.reservations {
		for _, l := range r.Lines {
			if r.State == StateHeld {
				held[l.SKU] += l.Quantity
			}
		}
	}
	for sku, stock := range w.stocks {
		var level events.StockLevel
		for i, entry := range w.ledgers[sku] {
			if err := checkLedger(level, entry); err != nil {
				t.Fatalf("entry %d of %s: %v", i, sku, err)
			}
			m, _ := movementOf(entry)
			level = m.After
		}
		if level != stock.Level || level.OnHand != level.Available+level.Held || level.Available < 0 || level.Held != held[sku] {
			t.Fatalf("%s is %+v, its ledger ends at %+v, reservations hold %d", sku, stock.Level, level, held[sku])
		}
	}
}

var (
	someSKU   = rapid.SampledFrom([]string{"A", "B", "C"})
	someOrder = rapid.SampledFrom([]string{"o1", "o2", "o3", "o4", "o5"})
	someEvent = rapid.SampledFrom([]events.Payload{events.OrderPlaced{}, events.OrderPlaced{}, events.OrderPaidLate{}, events.OrderConfirmed{},
		events.OrderExpired{}, events.OrderCancelled{}, events.OrderRejected{}})
	someLines = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) events.OrderLine {
		return events.OrderLine{SKU: someSKU.Draw(t, "sku"), Quantity: rapid.Int64Range(1, 6).Draw(t, "quantity")}
	}), 1, 4)
)

func TestLedgerAlwaysSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWarehouse()
		t.Repeat(map[string]func(*rapid.T){
			"order says": func(t *rapid.T) {
				w.hear(t, someOrder.Draw(t, "order"), someEvent.Draw(t, "event"), someLines.Draw(t, "lines"))
			},
			"staff count": func(t *rapid.T) {
				sku := someSKU.Draw(t, "sku")
				if facts, err := SetCount(sku, w.stocks[sku].Level, rapid.Int64Range(-1, 20).Draw(t, "count"), "counted"); err == nil {
					w.book(t, sku, facts...)
				}
			},
			"staff adjust": func(t *rapid.T) {
				sku := someSKU.Draw(t, "sku")
				delta := rapid.OneOf(rapid.Int64Range(-9, 9), rapid.Int64()).Draw(t, "delta")
				if facts, err := AdjustBy(sku, w.stocks[sku].Level, delta, "found"); err == nil {
					w.book(t, sku, facts...)
				}
			},
			"": w.check,
		})
	})
}

// An order's life as orders tells it: each is a possible history in the log.
var histories = [][]events.Payload{
	{events.OrderPlaced{}},
	{events.OrderPlaced{}, events.OrderConfirmed{}},
	{events.OrderPlaced{}, events.OrderExpired{}},
	{events.OrderPlaced{}, events.OrderCancelled{}},
	{events.OrderPlaced{}, events.OrderRejected{}},
	{events.OrderPlaced{}, events.OrderExpired{}, events.OrderPaidLate{}},
	{events.OrderPlaced{}, events.OrderExpired{}, events.OrderPaidLate{}, events.OrderConfirmed{}},
	{events.OrderPlaced{}, events.OrderExpired{}, events.OrderPaidLate{}, events.OrderRejected{}},
}

// TestDeliveredAgainNothingChanges plays histories of several orders, interleaved, and delivers everything that was
// said up to that point again after every step, from the beginning.
func TestDeliveredAgainNothingChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWarehouse()
		for _, sku := range []string{"A", "B", "C"} {
			facts, err := SetCount(sku, events.StockLevel{}, rapid.Int64Range(0, 12).Draw(t, "stock"), "counted")
			if err != nil {
				t.Fatal(err)
			}
			w.book(t, sku, facts...)
		}
		type saying struct {
			order string
			said  events.Payload
			lines []events.OrderLine
		}
		var told []saying
		waiting, lines := map[string][]events.Payload{}, map[string][]events.OrderLine{}
		for i := range 4 {
			order := fmt.Sprintf("o%d", i)
			waiting[order], lines[order] = rapid.SampledFrom(histories).Draw(t, "history"), someLines.Draw(t, "lines")
		}
		for len(waiting) > 0 {
			order := rapid.SampledFrom([]string{"o0", "o1", "o2", "o3"}).Draw(t, "next")
			if len(waiting[order]) == 0 {
				delete(waiting, order)
				continue
			}
			told = append(told, saying{order, waiting[order][0], lines[order]})
			waiting[order] = waiting[order][1:]
			w.hear(t, order, told[len(told)-1].said, lines[order])
			before := maps.Clone(w.stocks)
			for _, s := range told {
				if n := w.hear(t, s.order, s.said, s.lines); n != 0 {
					t.Fatalf("%s of %s, delivered again, says %d new facts", s.said.EventType(), s.order, n)
				}
			}
			if diff := cmp.Diff(before, w.stocks); diff != "" {
				t.Fatal(diff)
			}
			w.check(t)
		}
	})
}
