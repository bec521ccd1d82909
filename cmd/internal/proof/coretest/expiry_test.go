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

// clock is one that a test moves.
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
		t.Errorf("order %s is %s (%s), want %s", id, got.Status, got.Reason, want)
	}
}

// Row 30 of the fault matrix: the hold expires while the payment succeeds, and either is heard first.
func TestExpiryMeetsPayment(t *testing.T) {
	t.Parallel()
	t.Run("ThePaymentIsHeardFirst", func(t *testing.T) { t.Parallel(); paidThenDue(t) })
	t.Run("TheExpiryIsHeardFirstAndTheGoodsAreThere", func(t *testing.T) { t.Parallel(); dueThenPaid(t, false) })
	t.Run("TheExpiryIsHeardFirstAndTheGoodsAreSold", func(t *testing.T) { t.Parallel(); dueThenPaid(t, true) })
	t.Run("ManyAtOnce", func(t *testing.T) { t.Parallel(); manyExpireAndPay(t) })
}

func paidThenDue(t *testing.T) {
	c := &clock{}
	shop := coretest.Open(t, coretest.Config{Now: c.now})
	shop.Stock(t, "LAMP", 1)
	shop.Run(t)
	place(t, shop, "a")
	shop.Settle(t)
	if err := shop.Bank.Pay(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	shop.Settle(t)
	c.forward(pastDeadline)
	shop.Due(t, "a")
	shop.Settle(t)
	wantStatus(t, shop, "a", orders.Confirmed)
	shop.Verify(t, "a")
}

// dueThenPaid: the bank has the money before the deadline, and says so after it.
func dueThenPaid(t *testing.T, sold bool) {
	c := &clock{}
	shop := coretest.Open(t, coretest.Config{Now: c.now, Apart: true})
	shop.Stock(t, "LAMP", 1)
	shop.Run(t, "inventory", "orders", "notifications")
	stop := shop.Run(t, "payments")
	place(t, shop, "a")
	shop.Settle(t)
	stop()
	if _, err := shop.Bank.Authorize("a"); err != nil {
		t.Fatal(err)
	}
	c.forward(pastDeadline)
	shop.Due(t, "a")
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
	if in, _ := shop.Bank.Intent("a"); in.Status != paid {
		t.Errorf("the intent is %s, want %s", in.Status, paid)
	}
	shop.Verify(t, "a")
}

// manyExpireAndPay: every second order is paid while its deadline is announced, for fewer lamps than there are orders.
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
		racing.Go(func() { shop.Due(t, id) })
		racing.Go(func() {
			if err := shop.Bank.Pay(context.WithoutCancel(t.Context()), id); err != nil {
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
		t.Errorf("they ended as %v, want confirmed or expired", ended)
	}
	if got, want := shop.Level(t, "LAMP"), n-ended[orders.Confirmed]; got != (events.StockLevel{OnHand: want, Available: want}) {
		t.Errorf("level %+v, want %d left", got, want)
	}
	t.Logf("%v", ended)
	shop.Verify(t, ids...)
}

// Row 31 of the fault matrix: a timer that is early says nothing, one that comes twice or hours late says it once: the
// deadline decides. Where none ever comes the sweep finds the order: see TestNobodyPays of cmd/shop.
func TestTimersAreOnlyPromptness(t *testing.T) {
	t.Parallel()
	c := &clock{}
	shop := coretest.Open(t, coretest.Config{Now: c.now})
	shop.Stock(t, "LAMP", 2)
	shop.Run(t)
	place(t, shop, "early", "late")
	shop.Settle(t)
	shop.Due(t, "early", "late")
	shop.Settle(t)
	wantStatus(t, shop, "early", orders.AwaitingPayment)
	if got := shop.Level(t, "LAMP"); got.Held != 2 {
		t.Errorf("level %+v, want both held", got)
	}
	c.forward(pastDeadline)
	shop.Due(t, "early")
	shop.Due(t, "early")
	c.forward(7 * time.Hour)
	shop.Due(t, "late", "early")
	shop.Settle(t)
	for _, id := range []string{"early", "late"} {
		wantStatus(t, shop, id, orders.Expired)
		if n := shop.Told(t, id, events.OrderExpired{}); n != 1 {
			t.Errorf("order %s expired %d times", id, n)
		}
	}
	if got := shop.Level(t, "LAMP"); got != (events.StockLevel{OnHand: 2, Available: 2}) {
		t.Errorf("level %+v, want both back", got)
	}
	shop.Verify(t, "early", "late")
}

// Row 62 of the fault matrix: the domains' clocks are an hour off, in either direction. Orders are sold as ever; what is
// past its deadline is decided by the clock of orders alone.
func TestClocksThatDisagree(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]map[string]time.Duration{
		"OrdersAhead":  {"orders": time.Hour, "inventory": -time.Hour, "payments": -time.Hour},
		"OrdersBehind": {"orders": -time.Hour, "inventory": time.Hour, "notifications": time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := coretest.Open(t, coretest.Config{Paying: true, Skew: skew, Apart: true})
			shop.Stock(t, "LAMP", 20)
			shop.Run(t)
			var ids []string
			for i := range 20 {
				ids = append(ids, fmt.Sprintf("o%d", i))
			}
			place(t, shop, ids...)
			shop.Due(t, ids...)
			shop.Settle(t)
			for _, id := range ids {
				wantStatus(t, shop, id, orders.Confirmed)
			}
			if got := shop.Level(t, "LAMP"); got != (events.StockLevel{}) {
				t.Errorf("level %+v, want all sold", got)
			}
			shop.Verify(t, ids...)
		})
	}
}
