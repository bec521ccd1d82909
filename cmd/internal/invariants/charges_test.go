package invariants_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

// One intent pays one order: shared, the money of one would count for two.
func TestAnIntentOfTwoOrders(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sell("o1")
	s.await("o2", time.Now().Add(time.Hour))
	s.place("o3")
	s.hold("o3")
	s.order("o3", events.OrderAwaitingPayment{OrderID: "o3", Amount: gbp(price), ExpiresAt: time.Now().Add(time.Hour)})
	s.pay("o3", events.PaymentIntentCreated{OrderID: "o3", PaymentIntent: "pi_o1", Amount: gbp(price)})
	finds(t, check(t, s.options()), invariants.Finding{Invariant: "I2", Subject: "order o3", Detail: "shares the intent pi_o1 with order o1"})
}

// All money of an order moves in one currency.
func TestMoneyOfTwoCurrencies(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sell("o1")
	s.pay("o1", events.PaymentRefundRequested{OrderID: "o1", RefundID: "r1", Amount: events.Money{Amount: 1, Currency: "JPY"}, Reason: "test"})
	finds(t, check(t, s.options()), invariants.Finding{Invariant: "I2", Subject: "order o1",
		Detail: "moves GBP, and payments.refund_requested at 17 moves 1 JPY"})
}

// A refund that a bank sent back is an open item, whichever of the two is heard of first.
func TestARefundThatCameBackStaysOpen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.await("o1", time.Now().Add(time.Hour))
	s.order("o1", events.OrderCancelled{Reason: events.CancelRequested})
	s.release("o1")
	s.capture("o1", gbp(price))
	s.pay("o1", events.PaymentRefundFailed{OrderID: "o1", RefundID: "r1", Amount: gbp(price), Reason: "account closed"})
	s.pay("o1", events.PaymentRefunded{OrderID: "o1", RefundID: "r1", StripeRefund: "re_r1", Amount: gbp(price)})
	report := check(t, s.options())
	finds(t, report)
	want := []invariants.OpenItem{{Subject: "order o1", Detail: "refund r1 of 12.50 GBP failed: account closed"}}
	if diff := cmp.Diff(want, report.OpenItems); diff != "" {
		t.Error(diff)
	}
}
