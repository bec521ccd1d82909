package loadgen_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
)

func TestGeneratorIsDeterministic(t *testing.T) {
	t.Parallel()
	items := []loadgen.Item{{SKU: "A"}, {SKU: "B"}, {SKU: "C"}}
	baskets := func(seed uint64) (all []loadgen.Basket) {
		g, err := loadgen.NewGenerator(loadgen.Generation{RunID: "r", Orders: 200, Lines: 9, Seed: seed}, items)
		if err != nil {
			t.Fatal(err)
		}
		for b, ok := g.Next(); ok; b, ok = g.Next() {
			all = append(all, b)
		}
		return all
	}
	first := baskets(1)
	if diff := cmp.Diff(first, baskets(1)); diff != "" {
		t.Errorf("the same seed gives other baskets (-first +second):\n%s", diff)
	}
	if cmp.Equal(first, baskets(2)) {
		t.Error("another seed gives the same baskets")
	}
	keys := map[string]bool{}
	for _, b := range first {
		skus := map[string]bool{}
		for _, line := range b.Lines {
			skus[line.SKU] = true
			if line.Quantity < 1 || line.Quantity > 2 {
				t.Errorf("%s wants %d of %s", b.Key, line.Quantity, line.SKU)
			}
		}
		keys[b.Key] = true
		if len(skus) != 3 || len(b.Lines) != 3 {
			t.Errorf("basket %s: got lines %v, want each of the 3 items once", b.Key, b.Lines)
		}
	}
	if len(keys) != 200 {
		t.Errorf("got %d keys for 200 baskets, want 200", len(keys))
	}
	if _, err := loadgen.NewGenerator(loadgen.Generation{Orders: 1, Lines: 1}, nil); !errors.Is(err, loadgen.ErrEmptyShop) {
		t.Errorf("no items: got %v, want ErrEmptyShop", err)
	}
}

// The habit decides which requests the shop receives, and the purchase ends as the shopper intended.
func TestHabitsDecideRequests(t *testing.T) {
	t.Parallel()
	const place, pay, cancel = "POST /api/orders", "POST /v1/payment_intents/pi_order-run-1/confirm", "POST /api/orders/order-run-1/cancel"
	const bank = "POST /3ds/pi_order-run-1"
	cases := map[string]struct {
		habit     loadgen.Habit
		requests  map[string]int
		cancelled bool
	}{
		"Regular":           {loadgen.Regular, map[string]int{place: 1, pay: 1, cancel: 0}, false},
		"DeclinedFirst":     {loadgen.DeclinedFirst, map[string]int{place: 1, pay: 2, cancel: 0}, false},
		"SendsTwice":        {loadgen.SendsTwice, map[string]int{place: 2, pay: 1, cancel: 0}, false},
		"DoubleClicks":      {loadgen.DoubleClicks, map[string]int{place: 3, pay: 1, cancel: 0}, false},
		"CancelsAtOnce":     {loadgen.CancelsAtOnce, map[string]int{place: 1, pay: 0, cancel: 1}, true},
		"CancelsAtCheckout": {loadgen.CancelsAtCheckout, map[string]int{place: 1, pay: 0, cancel: 1}, true},
		"Authenticates":     {loadgen.Authenticates, map[string]int{place: 1, pay: 1, bank: 1, cancel: 0}, false},
		"FailsAtBank":       {loadgen.FailsAtBank, map[string]int{place: 1, pay: 2, bank: 1, cancel: 0}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newFakeShop(t)
			wanted := basket
			wanted.Habit = c.habit
			p := shop.buyer(t, false).Buy(t.Context(), wanted)
			if p.Err != nil || p.Cancelled != c.cancelled || p.ConfirmedIn > 0 == c.cancelled {
				t.Errorf("got %+v, want cancelled %t and no error", p, c.cancelled)
			}
			requests := map[string]int{}
			for request := range c.requests {
				requests[request] = shop.requests(request)
			}
			if diff := cmp.Diff(c.requests, requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			var tally loadgen.Tally
			tally.Observe(p)
			if r := tally.Report(0, 0); r.Orders+r.Cancelled != 1 || r.Cancelled == 1 != c.cancelled || len(r.Errors) > 0 {
				t.Errorf("tally: got %+v, want one purchase and cancelled %t", r, c.cancelled)
			}
		})
	}
}

// A shopper who leaves has neither paid nor failed.
func TestShopperLeaves(t *testing.T) {
	t.Parallel()
	for habit, pays := range map[loadgen.Habit]int{loadgen.LeavesAtCheckout: 0, loadgen.LeavesAtBank: 1} {
		shop := newFakeShop(t)
		wanted := basket
		wanted.Habit = habit
		p := shop.buyer(t, false).Buy(t.Context(), wanted)
		var tally loadgen.Tally
		tally.Observe(p)
		_, confirmed, failed := tally.Counts()
		if !p.Left || p.Err != nil || shop.requests("POST /v1/payment_intents/pi_order-run-1/confirm") != pays || tally.Report(0, 0).Left != 1 || confirmed+failed > 0 {
			t.Errorf("%s: got %+v, want the shopper gone after %d attempts to pay", habit, p, pays)
		}
	}
}

// An Idempotency-Key must prevent a second order; a shop that places one fails with a category of its own.
func TestTwoOrdersForOneKeyFail(t *testing.T) {
	t.Parallel()
	for _, habit := range []loadgen.Habit{loadgen.SendsTwice, loadgen.DoubleClicks} {
		shop := newFakeShop(t)
		shop.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/api/orders" {
				r.Header.Set("Idempotency-Key", r.Header.Get("Idempotency-Key")+r.RemoteAddr+http.StatusText(shop.requests("POST /api/orders")+200))
			}
			return false
		}
		wanted := basket
		wanted.Habit = habit
		p := shop.buyer(t, false).Buy(t.Context(), wanted)
		var tally loadgen.Tally
		tally.Observe(p)
		if r := tally.Report(0, 0); r.Errors[loadgen.TwoOrders] != 1 {
			t.Errorf("%s: got %v, want %s", habit, p.Err, loadgen.TwoOrders)
		}
	}
}

// The same seed gives the same habits, and 200 shoppers have all of them.
func TestGeneratorDrawsHabits(t *testing.T) {
	t.Parallel()
	habits := func() (all []loadgen.Habit) {
		generator, err := loadgen.NewGenerator(loadgen.Generation{RunID: "r", Orders: 200, Lines: 1, Seed: 3, Habits: loadgen.OrderHabits()}, []loadgen.Item{{SKU: "MUG"}})
		if err != nil {
			t.Fatal(err)
		}
		for basket, ok := generator.Next(); ok; basket, ok = generator.Next() {
			all = append(all, basket.Habit)
		}
		return all
	}
	first := habits()
	if diff := cmp.Diff(first, habits()); diff != "" {
		t.Errorf("the same seed gives other habits (-first +second):\n%s", diff)
	}
	count := map[loadgen.Habit]int{}
	for _, habit := range first {
		count[habit]++
	}
	if len(count) != 6 || count[loadgen.Regular] < 60 {
		t.Errorf("got habits %v, want 6 and at least 60 regular shoppers", count)
	}
}
