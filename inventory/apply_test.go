package inventory

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

func newEvent(subject string, p events.Payload) events.Event {
	return events.Event{Type: p.EventType(), Subject: subject, Payload: p}
}

// entityEvent returns an event on the subject of an entity.
func entityEvent(prefix, id string, p events.Payload) events.Event {
	subject, err := events.Subject(prefix, id)
	if err != nil {
		panic(err)
	}
	return newEvent(subject, p)
}

func TestApplyReservationOfEveryEventInEveryState(t *testing.T) {
	lines := []events.ReservedLine{{SKU: "A", Quantity: 1}}
	short := []events.Shortage{{SKU: "A", Requested: 1}}
	const x = State("impossible")
	// In the order of everyState; late is whether the reservation is late afterwards.
	table := []struct {
		fact events.Payload
		want [9]State
		late [9]bool
	}{
		{events.ReservationHeld{OrderID: "o1", Lines: lines},
			[9]State{"held", "held", "held", "held", "held", "held", "held", x, x}, [9]bool{false, true, true, true, true, true, true}},
		{events.ReservationRefused{OrderID: "o1", Short: short},
			[9]State{"refused", x, x, "refused", "refused", "refused", "refused", x, x}, [9]bool{false, true, true, true, true, true, true}},
		{events.ReservationReleased{OrderID: "o1"},
			[9]State{"released", "released", "released", x, x, x, x, x, x}, [9]bool{false, false, true}},
		{events.ReservationCommitted{OrderID: "o1"},
			[9]State{x, "committed", "committed", x, x, x, x, x, x}, [9]bool{false, false, true}},
		{events.OrderPlaced{OrderID: "o1"}, [9]State{x, x, x, x, x, x, x, x, x}, [9]bool{}},
	}
	for _, row := range table {
		for i, before := range everyState {
			t.Run(fmt.Sprintf("%s/%s late %t", row.fact.EventType(), before.State, before.Late), func(t *testing.T) {
				got, err := ApplyReservation(before, newEvent("inventory.reservations.o1", row.fact))
				if row.want[i] == x {
					if !errors.Is(err, ErrCannotFollow) {
						t.Fatalf("got %+v, %v; want ErrCannotFollow", got, err)
					}
					return
				}
				if err != nil || got.State != row.want[i] || got.Late != row.late[i] || got.OrderID != "o1" {
					t.Fatalf("got %+v, %v; want %s, late %t", got, err, row.want[i], row.late[i])
				}
			})
		}
	}
}

func TestApplyRefusesAnotherEntitysEvent(t *testing.T) {
	_, item := ApplyItem(Item{}, newEvent("inventory.items.B", events.ItemChanged{SKU: "A"}))
	_, stock := ApplyStock(Stock{}, newEvent("inventory.stock.main.B", events.StockHeld{StockMovement: movement("A", 1, level(1, 1))}))
	_, reservation := ApplyReservation(Reservation{}, newEvent("inventory.reservations.o2", events.ReservationHeld{OrderID: "o1"}))
	_, stockOnItem := ApplyItem(Item{}, newEvent("inventory.items.A", events.StockHeld{}))
	_, itemOnStock := ApplyStock(Stock{}, newEvent("inventory.stock.main.A", events.ItemChanged{SKU: "A"}))
	for name, err := range map[string]error{"another item": item, "another stock": stock, "another reservation": reservation,
		"stock event on an item": stockOnItem, "item event on stock": itemOnStock} {
		if !errors.Is(err, ErrCannotFollow) {
			t.Errorf("%s: got %v, want ErrCannotFollow", name, err)
		}
	}
}

func TestApplyStockTakesTheBalanceOfTheEntry(t *testing.T) {
	m := movement("A", 2, level(5, 2))
	for _, entry := range []events.Payload{events.StockAdjusted{StockMovement: m}, events.StockHeld{StockMovement: m},
		events.StockReleased{StockMovement: m}, events.StockCommitted{StockMovement: m}} {
		got, err := ApplyStock(Stock{SKU: "A", Level: level(99, 9)}, newEvent("inventory.stock.main.A", entry))
		if diff := cmp.Diff(Stock{SKU: "A", Level: level(5, 2)}, got); diff != "" || err != nil {
			t.Errorf("%s: got error %v; stock (-want +got):\n%s", entry.EventType(), err, diff)
		}
	}
}

func TestApplyStockRefusesABalanceThatDoesNotAddUp(t *testing.T) {
	for _, after := range []events.StockLevel{
		{OnHand: 3, Available: 1, Held: 1}, {OnHand: -1, Available: -1}, {OnHand: 0, Available: 1, Held: -1},
		{OnHand: MaxQuantity + 1, Available: MaxQuantity + 1},
	} {
		_, err := ApplyStock(Stock{}, newEvent("inventory.stock.main.A", events.StockAdjusted{StockMovement: movement("A", 1, after)}))
		if !errors.Is(err, ErrOutOfRange) {
			t.Errorf("%+v: got %v, want ErrOutOfRange", after, err)
		}
	}
}

// checkLedger returns an error unless the balance of an entry is the level before it plus its movement. It computes the sum
// independently of levelAfter. A ledger whose entries all pass, from the first, sums to its balance.
func checkLedger(before events.StockLevel, entry events.Payload) error {
	signs := map[string][2]int64{ // on hand, held
		"inventory.stock_adjusted": {1, 0}, "inventory.stock_held": {0, 1}, "inventory.stock_released": {0, -1}, "inventory.stock_committed": {-1, -1}, "inventory.stock_returned": {1, 0},
	}
	sign, ok := signs[entry.EventType()]
	if !ok {
		return fmt.Errorf("%s is not a movement", entry.EventType())
	}
	m, _ := movementOf(entry)
	want := level(before.OnHand+sign[0]*m.Quantity, before.Held+sign[1]*m.Quantity)
	if want != m.After || min(want.OnHand, want.Available, want.Held) < 0 {
		return fmt.Errorf("%s of %d after %+v gives %+v, the entry has %+v", entry.EventType(), m.Quantity, before, want, m.After)
	}
	return nil
}

func TestCheckLedgerFindsAWrongSum(t *testing.T) {
	before := level(5, 2)
	good := map[events.Payload]bool{
		events.StockHeld{StockMovement: movement("A", 3, level(5, 5))}:                                          true,
		events.StockHeld{StockMovement: movement("A", 2, level(5, 5))}:                                          false,
		events.StockReleased{StockMovement: movement("A", 2, level(5, 0))}:                                      true,
		events.StockReleased{StockMovement: movement("A", 2, level(3, 0))}:                                      false,
		events.StockCommitted{StockMovement: movement("A", 2, level(3, 0))}:                                     true,
		events.StockCommitted{StockMovement: movement("A", 2, level(5, 0))}:                                     false,
		events.StockReturned{StockMovement: movement("A", 2, level(7, 2))}:                                      true,
		events.StockReturned{StockMovement: movement("A", 2, level(5, 2))}:                                      false,
		events.StockAdjusted{StockMovement: movement("A", -3, level(2, 2))}:                                     true,
		events.StockReturned{StockMovement: movement("A", 2, level(7, 2))}:                                      true,
		events.StockReturned{StockMovement: movement("A", 2, level(5, 2))}:                                      false,
		events.StockAdjusted{StockMovement: movement("A", -3, level(8, 2))}:                                     false,
		events.StockHeld{StockMovement: movement("A", 4, events.StockLevel{OnHand: 5, Available: -1, Held: 6})}: false,
	}
	for entry, ok := range good {
		if err := checkLedger(before, entry); (err == nil) != ok {
			t.Errorf("%s %+v: got %v, want it to pass: %t", entry.EventType(), entry, err, ok)
		}
	}
	if err := checkLedger(before, events.OrderExpired{}); err == nil {
		t.Error("event of an order: got no error, want one")
	}
}
