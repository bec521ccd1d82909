package coretest_test

import (
	"context"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/coretest"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
	"tillstream/orders"
)

// Row 20 of the fault matrix: an order stands still because a handler panics at one of its events. The handler is mended,
// the dead letter is redriven, and the order comes to its end, as does what was ordered meanwhile: in one process and in
// four.
func TestAnOrderEndsRightAfterARedrive(t *testing.T) {
	t.Parallel()
	for name, apart := range map[string]bool{"OneProcess": false, "FourProcesses": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := coretest.Open(t, coretest.Config{Apart: apart, Paying: true})
			shop.Stock(t, "LAMP", 2)
			stop := runBroken(t, shop, apart)
			place(t, shop, "stuck")
			proc.WaitFor(t, "the reservation is a dead letter of orders", time.Minute, func() bool { return len(shop.DeadLetters(t)) == 1 })
			shop.Settle(t)
			if d := shop.DeadLetters(t)[0]; d.Worker != "orders" || d.Type != "inventory.reservation_held" || shop.Order(t, "stuck").Status != orders.Placed {
				t.Errorf("dead letter %+v, the order is %s", d.DeadLettered, shop.Order(t, "stuck").Status)
			}
			stop()
			shop.Run(t)
			place(t, shop, "later")
			shop.Await(t, "later", orders.Confirmed)
			redriveAll(t, shop)
			shop.Await(t, "stuck", orders.Confirmed)
			shop.Settle(t)
			if d := shop.DeadLetters(t)[0]; d.State != replay.StateRedriven || d.Attempt != 2 {
				t.Errorf("the dead letter is %s after attempt %d, want redriven after 2", d.State, d.Attempt)
			}
			if level := shop.Level(t, "LAMP"); level != (events.StockLevel{}) {
				t.Errorf("left in stock: %+v, want nothing", level)
			}
			shop.Verify(t, "stuck", "later")
		})
	}
}

// runBroken runs the shop with a handler of orders that panics.
func runBroken(t *testing.T, shop *coretest.Shop, apart bool) (stop func()) {
	t.Helper()
	broken := worker.On(func(_ *log.Tx, _ events.Event, p events.ReservationHeld) error { panic("no rule for " + p.OrderID) })
	groups := [][]string{coretest.Domains}
	if apart {
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
				replica.Config.Domains[i].Routes = append(d.Routes, broken) // of two routes for one type the last one counts
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

// redriveAll has every open dead letter handled again, and waits until all are redriven.
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
	redrive, err := reader.Redrive(t.Context(), open, "the handler is mended")
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
			t.Errorf("dead letter %d is %s: %s", d.Number, d.State, d.Error)
		}
	}
}
