package coretest_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/coretest"
	"tillstream/events"
	"tillstream/orders"
	"tillstream/payments"
)

// clock is a clock that a test can advance.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(by time.Duration) { c.ahead.Add(int64(by)) }

const pastDeadline = 31 * time.Minute

func place(t *testing.T, shop *coretest.Shop, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := shop.Place(t.Context(), id, coretest.Line("LAMP", 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func wantStatus(t *testing.T, shop *coretest.Shop, id string, want orders.Status) {
	t.Helper()
	if got := shop.Order(t, id); got.Status != want {
		t.Errorf("order %s: got status %s (%s), want %s", id, got.Status, got.Reason, want)
	}
}

// Row 30 of the fault matrix: the reservation expires while the payment succeeds, and either event comes first.
func TestExpiryRacesPayment(t *testing.T) {
	t.Parallel()
	t.Run("PaymentFirst", func(t *testing.T) { t.Parallel(); paidThenDue(t) })
	t.Run("ExpiryFirstStockAvailable", func(t *testing.T) { t.Parallel(); dueThenPaid(t, false) })
	t.Run("ExpiryFirstStockSold", func(t *testing.T) { t.Parallel(); dueThenPaid(t, true) })
	t.Run("ManyConcurrent", func(t *testing.T) { t.Parallel(); manyExpireAndPay(t) })
}

func paidThenDue(t *testing.T) {
	c := &clock{}
	shop := coretest.Open(t, coretest.Config{Now: c.now})
	shop.Stock(t, "LAMP", 1)
	shop.Run(t)
	place(t, shop, "a")
	shop.Settle(t)
	if err := shop.Stripe.Pay(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	shop.Settle(t)
	c.forward(pastDeadline)
	shop.CheckDeadlines(t, "a")
	shop.Settle(t)
	wantStatus(t, shop, "a", orders.Confirmed)
	shop.Verify(t, "a")
}

// dueThenPaid authorizes the payment before the deadline and reports it after the order has expired.
func dueThenPaid(t *testing.T, sold bool) {
	c := &clock{}
	shop := coretest.Open(t, coretest.Config{Now: c.now, Separate: true})
	shop.Stock(t, "LAMP", 1)
	shop.Run(t, "inventory", "orders", "notifications")
	stop := shop.Run(t, "payments")
	place(t, shop, "a")
	shop.Settle(t)
	stop()
	if _, err := shop.Stripe.Authorize("a"); err != nil {
		t.Fatal(err)
	}
	c.forward(pastDeadline)
	shop.CheckDeadlines(t, "a")
	shop.Await(t, "a", orders.Expired)
	ends, paid := orders.Confirmed, payments.IntentSucceeded
	if sold {
		place(t, shop, "b")
		shop.Await(t, "b", orders.AwaitingPayment)
		ends, paid = orders.Rejected, payments.IntentCanceled
	}
	shop.Replica(t, "payments").Run(t)
	shop.Settle(t)
	wantStatus(t, shop, "a", ends)
	if in, _ := shop.Stripe.Intent("a"); in.Status != paid {
		t.Errorf("intent: got status %s, want %s", in.Status, paid)
	}
	shop.Verify(t, "a")
}

// manyExpireAndPay pays every order while its deadline is checked.
func manyExpireAndPay(t *testing.T) {
	c := &clock{}
	shop := coretest.Open(t, coretest.Config{Now: c.now})
	const n = 40
	shop.Stock(t, "LAMP", n)
	shop.Run(t)
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("o%d", i))
	}
	place(t, shop, ids...)
	shop.Settle(t)
	c.forward(pastDeadline)
	var racing sync.WaitGroup
	for _, id := range ids {
		racing.Go(func() { shop.CheckDeadlines(t, id) })
		racing.Go(func() {
			if err := shop.Stripe.Pay(context.WithoutCancel(t.Context()), id); err != nil {
				t.Error(err)
			}
		})
	}
	racing.Wait()
	shop.Settle(t)
	ended := map[orders.Status]int64{}
	for _, id := range ids {
		ended[shop.Order(t, id).Status]++
	}
	if ended[orders.Confirmed]+ended[orders.Expired] != n {
		t.Errorf("got orders by status %v, want only confirmed and expired", ended)
	}
	if got, want := shop.Level(t, "LAMP"), n-ended[orders.Confirmed]; got != (events.StockLevel{OnHand: want, Available: want}) {
		t.Errorf("got stock level %+v, want %d available", got, want)
	}
	t.Logf("%v", ended)
	shop.Verify(t, ids...)
}

// Row 31 of the fault matrix: a timer that fires early does nothing, and one that fires twice or hours late expires the order
// once. Without a timer the periodic job finds the order: see the test of row 31 in cmd/shop.
func TestDeadlineDecidesNotTimer(t *testing.T) {
	t.Parallel()
	c := &clock{}
	shop := coretest.Open(t, coretest.Config{Now: c.now})
	shop.Stock(t, "LAMP", 2)
	shop.Run(t)
	place(t, shop, "early", "late")
	shop.Settle(t)
	shop.CheckDeadlines(t, "early", "late")
	shop.Settle(t)
	wantStatus(t, shop, "early", orders.AwaitingPayment)
	if got := shop.Level(t, "LAMP"); got.Held != 2 {
		t.Errorf("got stock level %+v, want 2 held", got)
	}
	c.forward(pastDeadline)
	shop.CheckDeadlines(t, "early")
	shop.CheckDeadlines(t, "early")
	c.forward(7 * time.Hour)
	shop.CheckDeadlines(t, "late", "early")
	shop.Settle(t)
	for _, id := range []string{"early", "late"} {
		wantStatus(t, shop, id, orders.Expired)
		if n := shop.CountEvents(t, id, events.OrderExpired{}); n != 1 {
			t.Errorf("order %s: got %d expiries, want 1", id, n)
		}
	}
	if got := shop.Level(t, "LAMP"); got != (events.StockLevel{OnHand: 2, Available: 2}) {
		t.Errorf("got stock level %+v, want 2 available", got)
	}
	shop.Verify(t, "early", "late")
}

// Row 62 of the fault matrix: the clocks of the domains are an hour off, in either direction. Orders are confirmed as usual; only
// the clock of orders decides whether a deadline has passed.
func TestClocksAnHourOff(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]map[string]time.Duration{
		"OrdersAhead":  {"orders": time.Hour, "inventory": -time.Hour, "payments": -time.Hour},
		"OrdersBehind": {"orders": -time.Hour, "inventory": time.Hour, "notifications": time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := coretest.Open(t, coretest.Config{AutoPay: true, Skew: skew, Separate: true})
			shop.Stock(t, "LAMP", 20)
			shop.Run(t)
			var ids []string
			for i := range 20 {
				ids = append(ids, fmt.Sprintf("o%d", i))
			}
			place(t, shop, ids...)
			shop.CheckDeadlines(t, ids...)
			shop.Settle(t)
			for _, id := range ids {
				wantStatus(t, shop, id, orders.Confirmed)
			}
			if got := shop.Level(t, "LAMP"); got != (events.StockLevel{}) {
				t.Errorf("got stock level %+v, want all sold", got)
			}
			shop.Verify(t, ids...)
		})
	}
}
