package coretest_test

import (
	"context"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/coretest"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
	"tillstream/orders"
)

// Row 20 of the fault matrix: a handler panics at an event of an order. After the handler is fixed and the dead letter is
// redriven, the order is confirmed, and so is a later one.
func TestOrderCompletesAfterRedrive(t *testing.T) {
	t.Parallel()
	for name, separate := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := coretest.Open(t, coretest.Config{Separate: separate, AutoPay: true})
			shop.Stock(t, "LAMP", 2)
			stop := runBroken(t, shop, separate)
			place(t, shop, "stuck")
			proc.WaitFor(t, "the reservation is a dead letter of orders", time.Minute, func() bool { return len(shop.DeadLetters(t)) == 1 })
			shop.Settle(t)
			if d := shop.DeadLetters(t)[0]; d.Worker != "orders" || d.Type != "inventory.reservation_held" || shop.Order(t, "stuck").Status != orders.Placed {
				t.Errorf("got dead letter %+v and order %s, want one of orders and a placed order", d.DeadLettered, shop.Order(t, "stuck").Status)
			}
			stop()
			shop.Run(t)
			place(t, shop, "later")
			shop.Await(t, "later", orders.Confirmed)
			redriveAll(t, shop)
			shop.Await(t, "stuck", orders.Confirmed)
			shop.Settle(t)
			if d := shop.DeadLetters(t)[0]; d.State != replay.StateRedriven || d.Attempt != 2 {
				t.Errorf("dead letter: got %s after attempt %d, want redriven after 2", d.State, d.Attempt)
			}
			if level := shop.Level(t, "LAMP"); level != (events.StockLevel{}) {
				t.Errorf("got stock level %+v, want all sold", level)
			}
			shop.Verify(t, "stuck", "later")
		})
	}
}

// runBroken runs the shop with a handler of orders that panics at reservations.
func runBroken(t *testing.T, shop *coretest.Shop, separate bool) (stop func()) {
	t.Helper()
	broken := worker.On(func(_ *eventlog.Tx, _ events.Event, p events.ReservationHeld) error {
		panic("no rule for " + p.OrderID)
	})
	groups := [][]string{coretest.Domains}
	if separate {
		groups = nil
		for _, name := range coretest.Domains {
			groups = append(groups, []string{name})
		}
	}
	var stops []func()
	for _, names := range groups {
		replica := shop.Replica(t, names...)
		for i, d := range replica.Config.Domains {
			if d.Name == "orders" {
				replica.Config.Domains[i].Routes = append(d.Routes, broken) // the last of two routes for one type counts
			}
		}
		stops = append(stops, replica.Run(t))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// redriveAll redrives every open dead letter, and waits until all are handled.
func redriveAll(t *testing.T, shop *coretest.Shop) {
	t.Helper()
	reader, err := replay.Open(t.Context(), logtest.Connect(t, shop.Server))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	open, err := reader.OpenDeadLetters(t.Context(), replay.Selection{All: true})
	if err != nil {
		t.Fatal(err)
	}
	redrive, err := reader.Redrive(t.Context(), open, events.Author{Actor: "key:ops", Reason: "the handler is fixed"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	after, err := reader.Await(ctx, redrive, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range after {
		if d.State != replay.StateRedriven {
			t.Errorf("dead letter %d: got %s (%s), want redriven", d.Number, d.State, d.Error)
		}
	}
}
