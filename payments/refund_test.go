package payments

import (
	"net/url"
	"testing"
	"time"

	"tillstream/events"
)

// buyWith is buy with one of Stripe's test cards.
func (f *fixture) buyWith(card string) (orderID string, p PaymentBody) {
	f.t.Helper()
	orderID, p = f.placeOrder(1250)
	f.pay(p, card)
	f.waitForStatus(orderID, StatusAuthorized)
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	return orderID, p
}

// requestRefund appends the refund that an order requests.
func (f *fixture) requestRefund(orderID, refundID string, amount int64, replaces string) {
	f.t.Helper()
	f.appendOrder(orderID, events.OrderRefundRequested{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)},
		RefundID: refundID, Amount: events.Money{Amount: amount, Currency: "GBP"}, Reason: "damaged", Replaces: replaces})
}

// waitForRefund waits until a refund meets a condition.
func (f *fixture) waitForRefund(orderID, refundID, what string, holds func(Refund) bool) {
	f.t.Helper()
	f.waitUntil("refund "+refundID+" "+what, func() bool { return holds(f.payment(orderID).Refunds[refundID]) })
}

func succeeded(r Refund) bool { return r.Succeeded }
func hasFailed(r Refund) bool { return r.Failed }
func isPending(r Refund) bool { return r.Pending }

// Row 47 of the fault matrix: the request of a refund may arrive twice, and Stripe makes the refund once.
func TestARequestedRefundIsMadeOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.buyWith("pm_card_visa")
	f.requestRefund(orderID, "r1", 500, "")
	f.requestRefund(orderID, "r1", 500, "")
	f.waitForRefund(orderID, "r1", "succeeded", succeeded)
	f.requestRefund(orderID, "r2", 750, "")
	f.waitForStatus(orderID, StatusRefunded)
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["refund_requested"] != 2 || got["refunded"] != 2 || f.refundsAtStripe(p.PaymentIntent) != 2 {
		t.Errorf("got %v, %d refunds at Stripe; want two refunds", got, f.refundsAtStripe(p.PaymentIntent))
	}
	f.expectNoDeadLetters()
}

// Row 49 of the fault matrix: a refund is pending for a while; a webhook says that it succeeded.
func TestAPendingRefundIsFollowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.buyWith("pm_card_pendingRefund")
	f.requestRefund(orderID, "r1", 500, "")
	f.waitForRefund(orderID, "r1", "is pending", isPending)
	if _, err := f.stripe.Advance(24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	f.waitForRefund(orderID, "r1", "succeeded", succeeded)
	if f.refundsAtStripe(p.PaymentIntent) != 1 || f.payment(orderID).Status() != StatusPartlyRefunded {
		t.Errorf("got %d refunds, %s; want 1, %s", f.refundsAtStripe(p.PaymentIntent), f.payment(orderID).Status(), StatusPartlyRefunded)
	}
	f.expectNoDeadLetters()
}

// Row 49 of the fault matrix: without webhooks, the reconciler retrieves the refunds of payments with pending ones.
func TestTheReconcilerFollowsPendingRefunds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true, database: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_pendingRefund")
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	f.requestRefund(orderID, "r1", 500, "")
	f.waitForRefund(orderID, "r1", "is pending", isPending)
	if _, err := f.stripe.Advance(24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	f.clockOffset.Store(int64(2 * quietPeriod))
	f.waitUntil("the reconciler has followed the refund", func() bool {
		if err := f.service.reconcileOpen(t.Context()); err != nil {
			t.Fatal(err)
		}
		return f.payment(orderID).Refunds["r1"].Succeeded
	})
}

// Row 49 of the fault matrix: the bank returns the money of a refund that had succeeded. The money can be refunded again, and the
// failed refund is no open item any more.
func TestARefundThatFailsLaterIsReopened(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.buyWith("pm_card_refundFail")
	f.requestRefund(orderID, "r1", 1250, "")
	f.waitForStatus(orderID, StatusRefunded)
	if _, err := f.stripe.Advance(24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	f.waitForRefund(orderID, "r1", "failed", hasFailed)
	if failed := f.payment(orderID); failed.Status() != StatusCaptured || failedRefunds(failed) != 1 {
		t.Errorf("got %s, %d failed refunds; want captured, 1", failed.Status(), failedRefunds(failed))
	}
	f.requestRefund(orderID, "r2", 1250, "r1")
	f.waitForRefund(orderID, "r2", "succeeded", succeeded)
	if again := f.payment(orderID); again.Status() != StatusRefunded || failedRefunds(again) != 0 || f.refundsAtStripe(p.PaymentIntent) != 2 {
		t.Errorf("after the second refund: got %s, %d failed refunds, %d at Stripe; want refunded, 0, 2", again.Status(), failedRefunds(again), f.refundsAtStripe(p.PaymentIntent))
	}
	f.expectNoDeadLetters()
}

// Row 50 of the fault matrix: staff refund in Stripe's dashboard what a colleague refunds in the shop. The money goes back once, whether
// the shop knows of the first refund or not.
func TestARefundOfMoneyThatTheDashboardReturnedFails(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"Known": true, "NotKnown": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, fixtureOptions{noWebhooks: !known})
			orderID, p := f.placeOrder(1250)
			f.pay(p, "pm_card_visa")
			f.acceptPayment(orderID, 1250)
			f.waitForStatus(orderID, StatusCaptured)
			f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}, "amount": {"1000"}})
			if known {
				f.waitForStatus(orderID, StatusPartlyRefunded)
			}
			f.requestRefund(orderID, "r1", 500, "")
			f.waitForRefund(orderID, "r1", "failed", hasFailed)
			after := f.payment(orderID)
			if refunded, err := after.Refunded(); err != nil || refunded.Amount != 1000 || len(after.Refunds) != 2 || f.refundsAtStripe(p.PaymentIntent) != 1 {
				t.Errorf("got %+v, %d refunds at Stripe; want the dashboard's alone", after.Refunds, f.refundsAtStripe(p.PaymentIntent))
			}
			if after.Refunds["r1"].Reason == "" {
				t.Error("got a failed refund without a reason")
			}
			f.expectNoDeadLetters()
		})
	}
}

// Rows 33 and 34 of the fault matrix, for refunds: an attempt whose answer is lost has made the refund. The next one finds it.
func TestARefundWithoutAnAnswerIsMadeOnce(t *testing.T) {
	t.Parallel()
	gateway := &lossyGateway{lose: map[string]int{"refund": 2}}
	f := newFixture(t, fixtureOptions{gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	orderID, p := f.buyWith("pm_card_visa")
	f.requestRefund(orderID, "r1", 500, "")
	f.waitForRefund(orderID, "r1", "succeeded", succeeded)
	if f.refundsAtStripe(p.PaymentIntent) != 1 {
		t.Errorf("got %d refunds at Stripe, want 1", f.refundsAtStripe(p.PaymentIntent))
	}
}
