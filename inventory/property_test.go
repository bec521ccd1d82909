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

// warehouse applies the decided events, and keeps every ledger from its beginning.
type warehouse struct {
	stocks       map[string]Stock
	ledgers      map[string][]events.Payload
	reservations map[string]Reservation
}

func newWarehouse() *warehouse {
	return &warehouse{stocks: map[string]Stock{}, ledgers: map[string][]events.Payload{}, reservations: map[string]Reservation{}}
}

// handle handles an order's event as the worker does and returns how many events were decided.
func (w *warehouse) handle(t *rapid.T, orderID string, event events.Payload, lines []events.OrderLine) int {
	r := w.reservations[orderID]
	action, err := Next(r, event)
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
	d, err := Decide(r, action, orderID, wanted, levels, HoldLimit{})
	if err != nil {
		t.Fatalf("%s of %s: %v", event.EventType(), orderID, err)
	}
	return w.append(t, orderID, d)
}

// giveBack returns goods of an order to stock, if they were sold.
func (w *warehouse) giveBack(t *rapid.T, orderID, cause string, goods []events.ReservedLine) int {
	levels := map[string]events.StockLevel{}
	for sku, s := range w.stocks {
		levels[sku] = s.Level
	}
	d, err := Return(w.reservations[orderID], cause, goods, levels)
	if err != nil && !errors.Is(err, ErrCannotFollow) {
		t.Fatal(err)
	}
	if err != nil {
		return 0
	}
	return w.append(t, orderID, d)
}

func (w *warehouse) append(t *rapid.T, orderID string, d Decision) int {
	r := w.reservations[orderID]
	for _, fact := range d.Reservation {
		var err error
		if r, err = ApplyReservation(r, entityEvent(events.PrefixReservation, orderID, fact)); err != nil {
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
		stock, err := ApplyStock(w.stocks[sku], entityEvent(events.PrefixStock, sku, fact))
		if err != nil {
			t.Fatal(err)
		}
		w.stocks[sku], w.ledgers[sku] = stock, append(w.ledgers[sku], fact)
	}
}

// check fails the test unless every ledger adds up and its held stock is that of the reservations.
func (w *warehouse) check(t *rapid.T) {
	held := map[string]int64{}
	for _, r := range w.reservations {
		for _, l := range r.Lines {
			if r.State == StateHeld {
				held[l.SKU] += l.Quantity
			}
		}
	}
	for id, r := range w.reservations {
		for sku, left := range r.sold() {
			if r.State == StateCommitted && left < 0 {
				t.Fatalf("order %s returned %d more of %s than it sold", id, -left, sku)
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
			t.Fatalf("stock of %s: got %+v, want the ledger's %+v with %d held", sku, stock.Level, level, held[sku])
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
			"order event": func(t *rapid.T) {
				w.handle(t, someOrder.Draw(t, "order"), someEvent.Draw(t, "event"), someLines.Draw(t, "lines"))
			},
			"goods returned": func(t *rapid.T) {
				goods := []events.ReservedLine{{SKU: someSKU.Draw(t, "sku"), Quantity: rapid.Int64Range(1, 6).Draw(t, "quantity")}}
				order, cause := someOrder.Draw(t, "order"), rapid.SampledFrom([]string{"r1", "r2", "cancelled"}).Draw(t, "cause")
				w.giveBack(t, order, cause, goods)
				if n := w.giveBack(t, order, cause, goods); n != 0 && w.reservations[order].Returned[cause] != nil {
					t.Fatalf("returned again by %s: got %d events, want 0", cause, n)
				}
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

// histories are the possible sequences of an order's events.
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

// Histories of several orders are handled, interleaved. After every step all events so far are delivered again, from the
// beginning, and decide nothing.
func TestEventsDeliveredAgainChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWarehouse()
		for _, sku := range []string{"A", "B", "C"} {
			facts, err := SetCount(sku, events.StockLevel{}, rapid.Int64Range(0, 12).Draw(t, "stock"), "counted")
			if err != nil {
				t.Fatal(err)
			}
			w.book(t, sku, facts...)
		}
		type delivery struct {
			order string
			event events.Payload
			lines []events.OrderLine
		}
		var delivered []delivery
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
			delivered = append(delivered, delivery{order, waiting[order][0], lines[order]})
			waiting[order] = waiting[order][1:]
			w.handle(t, order, delivered[len(delivered)-1].event, lines[order])
			before := maps.Clone(w.stocks)
			for _, s := range delivered {
				if n := w.handle(t, s.order, s.event, s.lines); n != 0 {
					t.Fatalf("%s of %s delivered again: got %d events, want 0", s.event.EventType(), s.order, n)
				}
			}
			if diff := cmp.Diff(before, w.stocks); diff != "" {
				t.Fatalf("stocks after the second delivery (-want +got):\n%s", diff)
			}
			w.check(t)
		}
	})
}
