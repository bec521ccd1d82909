package loadgen_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
)

// Whatever a shopper's habit, the shop sees it and the purchase ends as that shopper wanted.
func TestHabits(t *testing.T) {
	t.Parallel()
	const place, pay, cancel = "POST /api/orders", "POST /v1/payment_intents/pi_order-run-1/confirm", "POST /api/orders/order-run-1/cancel"
	cases := map[string]struct {
		habit     loadgen.Habit
		asked     map[string]int
		cancelled bool
	}{
		"Straight":         {loadgen.Straight, map[string]int{place: 1, pay: 1, cancel: 0}, false},
		"DeclinedFirst":    {loadgen.DeclinedFirst, map[string]int{place: 1, pay: 2, cancel: 0}, false},
		"SendsTwice":       {loadgen.SendsTwice, map[string]int{place: 2, pay: 1, cancel: 0}, false},
		"DoubleClicks":     {loadgen.DoubleClicks, map[string]int{place: 3, pay: 1, cancel: 0}, false},
		"CancelsAtOnce":    {loadgen.CancelsAtOnce, map[string]int{place: 1, pay: 0, cancel: 1}, true},
		"CancelsAtTheTill": {loadgen.CancelsAtTheTill, map[string]int{place: 1, pay: 0, cancel: 1}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newFakeShop(t)
			wanted := basket
			wanted.Habit = c.habit
			p := shop.buyer(t, false).Buy(t.Context(), wanted)
			if p.Err != nil || p.Cancelled != c.cancelled || p.ConfirmedIn > 0 == c.cancelled {
				t.Errorf("got %+v", p)
			}
			asked := map[string]int{}
			for what := range c.asked {
				asked[what] = shop.requests(what)
			}
			if diff := cmp.Diff(c.asked, asked); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			var tally loadgen.Tally
			tally.Observe(p)
			if r := tally.Report(0, 0); r.Orders+r.Cancelled != 1 || r.Cancelled == 1 != c.cancelled || len(r.Errors) > 0 {
				t.Errorf("counted as %+v", r)
			}
		})
	}
}

// One key, two orders: the very thing that the key is there to prevent is a failure with its own name.
func TestTwoOrdersOfOneKeyAreNoticed(t *testing.T) {
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
			t.Errorf("%s: got %v", habit, p.Err)
		}
	}
}

// The same seed gives the same shoppers, and among enough of them is every habit.
func TestGeneratedShoppersHaveHabits(t *testing.T) {
	t.Parallel()
	habits := func() (all []loadgen.Habit) {
		generator, err := loadgen.NewGenerator(loadgen.Generation{RunID: "r", Orders: 200, Lines: 1, Seed: 3, Habits: true}, []loadgen.Item{{SKU: "MUG"}})
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
		t.Error(diff)
	}
	count := map[loadgen.Habit]int{}
	for _, habit := range first {
		count[habit]++
	}
	if len(count) != 6 || count[loadgen.Straight] < 60 {
		t.Errorf("got %v", count)
	}
}
