package invariants_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

// broken is the id of the order of each case.
const broken = "o1"

// violations has cases that each break one invariant in a shop that is otherwise right, and the one finding that must result.
var violations = []struct {
	name    string
	violate func(*shop)
	want    invariants.Finding
}{
	{"PlacedAndStopped", func(s *shop) { s.placed(broken) },
		invariants.Finding{Invariant: "I1", Detail: "is placed and has not moved for 2m0s"}},
	{"NotExpired", func(s *shop) { s.awaiting(broken, time.Now().Add(-8*time.Minute)) },
		invariants.Finding{Invariant: "I1", Detail: "still awaits payment 10m0s after its deadline"}},
	{"NotCaptured", func(s *shop) {
		s.awaiting(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderPaymentAccepted{OrderID: broken, Amount: gbp(price)})
	}, invariants.Finding{Invariant: "I1", Detail: "is capturing and has not moved for 2m0s"}},
	{"ConfirmedButStillHeld", func(s *shop) {
		s.awaiting(broken, time.Now().Add(time.Hour))
		s.captured(broken, gbp(price))
		s.order(broken, events.OrderConfirmed{})
	}, invariants.Finding{Invariant: "I1", Detail: "is confirmed, but its reservation is held"}},
	{"CancelledButPaymentOpen", func(s *shop) {
		s.awaiting(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderCancelled{Reason: events.CancelRequested})
		s.released(broken)
	}, invariants.Finding{Invariant: "I1", Detail: "is cancelled, but its payment is still open"}},
	{"ExpiredButStillHeld", func(s *shop) {
		s.awaiting(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderExpired{})
		s.pay(broken, events.PaymentCancelled{OrderID: broken})
	}, invariants.Finding{Invariant: "I1", Detail: "is expired, but its reservation is held"}},
	{"PaymentWithoutOrder", func(s *shop) { s.pay(broken, events.PaymentRequested{OrderID: broken, Amount: gbp(price)}) },
		invariants.Finding{Invariant: "I1", Detail: "is not in the log, but it has a payment"}},
	{"CapturedTwice", func(s *shop) {
		s.sold(broken)
		s.pay(broken, events.PaymentCaptured{OrderID: broken, PaymentIntent: "pi_" + broken, Amount: gbp(0)})
	}, invariants.Finding{Invariant: "I2", Detail: "is captured a second time at sequence 17"}},
	{"TwoIntents", func(s *shop) {
		s.sold(broken)
		s.pay(broken, events.PaymentIntentCreated{OrderID: broken, PaymentIntent: "pi_other", Amount: gbp(price)})
	}, invariants.Finding{Invariant: "I2", Detail: "has two PaymentIntents, pi_o1 and pi_other"}},
	{"OtherCurrency", func(s *shop) {
		s.awaiting(broken, time.Now().Add(time.Hour))
		s.captured(broken, events.Money{Amount: price, Currency: "JPY"})
		s.order(broken, events.OrderConfirmed{})
		s.committed(broken)
	}, invariants.Finding{Invariant: "I2", Detail: "its total is in GBP, its payment in JPY"}},
	{"SoldUnpaid", func(s *shop) {
		s.awaiting(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderConfirmed{})
		s.committed(broken)
	}, invariants.Finding{Invariant: "I5", Detail: "is confirmed and keeps 0.00 GBP for goods of 12.50 GBP"}},
	{"PaidAndExpired", func(s *shop) {
		s.awaiting(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderExpired{})
		s.released(broken)
		s.captured(broken, gbp(price))
	}, invariants.Finding{Invariant: "I5", Detail: "is expired and keeps 12.50 GBP for goods of 0.00 GBP, with pending refunds of 0.00 GBP"}},
	{"RefundedMoreThanCaptured", func(s *shop) {
		s.awaiting(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderCancelled{Reason: events.CancelRequested})
		s.released(broken)
		s.captured(broken, gbp(price))
		s.refunded(broken, "r1", price+1)
	}, invariants.Finding{Invariant: "I5", Detail: "refunded 12.51 GBP, but captured only 12.50 GBP"}},
	{"PaidButStillAwaiting", func(s *shop) {
		s.awaiting(broken, time.Now().Add(time.Hour))
		s.pay(broken, events.PaymentAuthorized{OrderID: broken, PaymentIntent: "pi_" + broken, Amount: gbp(price)})
	}, invariants.Finding{Invariant: "I1", Detail: "still awaits payment although it was paid, and has not moved for 2m0s"}},
	{"OtherGoodsThanOrdered", func(s *shop) {
		s.order(broken, events.OrderPlaced{OrderID: broken, Total: gbp(price), ExpiresAt: time.Now().Add(time.Hour),
			Lines: []events.OrderLine{{SKU: "MUG", Quantity: 2, UnitPrice: gbp(price / 2), Total: gbp(price)}}})
		s.held(broken)
		s.order(broken, events.OrderAwaitingPayment{OrderID: broken, Amount: gbp(price), ExpiresAt: time.Now().Add(time.Hour)})
	}, invariants.Finding{Invariant: "I3", Detail: "its reservation is held, but not for the goods that were ordered"}},
	{"MailQueuedTwice", func(s *shop) {
		s.sold(broken)
		for range 2 {
			s.notify(broken, events.MessageQueued{OrderID: broken, MessageID: "m", Template: "order_refunded", Fact: "f", Facts: []byte("{}")})
		}
	}, invariants.Finding{Invariant: "I4", Detail: "mail order_refunded about event f is queued twice"}},
	{"MailSentTwice", func(s *shop) {
		s.sold(broken)
		s.notify(broken, events.MessageSent{OrderID: broken, MessageID: broken + ".order_confirmed@shop.example"})
	}, invariants.Finding{Invariant: "I4", Detail: "mail o1.order_confirmed@shop.example is sent twice"}},
	{"MailTriedAfterItWasSent", func(s *shop) {
		s.sold(broken)
		s.notify(broken, events.MessageSending{OrderID: broken, MessageID: broken + ".order_confirmed@shop.example", Attempt: 2})
	}, invariants.Finding{Invariant: "I4", Detail: "mail o1.order_confirmed@shop.example is sent again after it was sent"}},
	{"MailSentButNotQueued", func(s *shop) {
		s.sold(broken)
		s.notify(broken, events.MessageSending{OrderID: broken, MessageID: "m", Attempt: 1})
		s.notify(broken, events.MessageSent{OrderID: broken, MessageID: "m"})
	}, invariants.Finding{Invariant: "I4", Detail: "mail m is sent but was never queued"}},
}

func TestEachViolationIsFound(t *testing.T) {
	t.Parallel()
	for _, test := range violations {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			test.violate(s)
			s.clock = time.Now() // a slow machine may take seconds for the rest
			s.everyKind()
			test.want.Subject = "order " + broken
			finds(t, check(t, s.options()), test.want)
		})
	}
}

// Capturing more than the total breaks two invariants: the charge is too high, and the surplus is not for goods.
func TestCapturingTooMuchBreaksTwoInvariants(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.awaiting("o1", time.Now().Add(time.Hour))
	s.captured("o1", gbp(price+1))
	s.order("o1", events.OrderConfirmed{})
	s.committed("o1")
	finds(t, check(t, s.options()),
		invariants.Finding{Invariant: "I2", Subject: "order o1", Detail: "captured 12.51 GBP of a total of 12.50 GBP"},
		invariants.Finding{Invariant: "I5", Subject: "order o1", Detail: "is confirmed and keeps 12.51 GBP for goods of 12.50 GBP, with pending refunds of 0.00 GBP"})
}

// The money of a shared PaymentIntent would count for two orders.
func TestPaymentIntentOfTwoOrdersIsFound(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sold("o1")
	s.awaiting("o2", time.Now().Add(time.Hour))
	s.placed("o3")
	s.held("o3")
	s.order("o3", events.OrderAwaitingPayment{OrderID: "o3", Amount: gbp(price), ExpiresAt: time.Now().Add(time.Hour)})
	s.pay("o3", events.PaymentIntentCreated{OrderID: "o3", PaymentIntent: "pi_o1", Amount: gbp(price)})
	finds(t, check(t, s.options()), invariants.Finding{Invariant: "I2", Subject: "order o3", Detail: "shares PaymentIntent pi_o1 with order o1"})
}

func TestPaymentInTwoCurrenciesIsFound(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sold("o1")
	s.pay("o1", events.PaymentRefundRequested{OrderID: "o1", RefundID: "r1", Amount: events.Money{Amount: 1, Currency: "JPY"}, Reason: "test"})
	finds(t, check(t, s.options()), invariants.Finding{Invariant: "I2", Subject: "order o1",
		Detail: "its payment is in GBP, but payments.refund_requested at sequence 17 is about 1 JPY"})
}

// A refund that the bank returned is an open item, whichever of the two events comes first.
func TestFailedRefundStaysOpen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.awaiting("o1", time.Now().Add(time.Hour))
	s.order("o1", events.OrderCancelled{Reason: events.CancelRequested})
	s.released("o1")
	s.captured("o1", gbp(price))
	s.pay("o1", events.PaymentRefundFailed{OrderID: "o1", RefundID: "r1", Amount: gbp(price), Reason: "account closed"})
	s.pay("o1", events.PaymentRefunded{OrderID: "o1", RefundID: "r1", StripeRefund: "re_r1", Amount: gbp(price)})
	report := check(t, s.options())
	finds(t, report)
	want := []invariants.OpenItem{{Subject: "order o1", Detail: "refund r1 of 12.50 GBP failed: account closed"}}
	if diff := cmp.Diff(want, report.OpenItems); diff != "" {
		t.Errorf("open items: -want +got:\n%s", diff)
	}
}

// A refund that is not done is an open item and no finding.
func TestPendingAndFailedRefundsAreOpenItems(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, id := range []string{"asked", "failed"} {
		s.awaiting(id, time.Now().Add(time.Hour))
		s.order(id, events.OrderCancelled{Reason: events.CancelRequested})
		s.released(id)
		s.captured(id, gbp(price))
		s.pay(id, events.PaymentRefundRequested{OrderID: id, RefundID: id + "-void", Amount: gbp(price), Reason: "cancelled"})
	}
	s.pay("failed", events.PaymentRefundFailed{OrderID: "failed", RefundID: "failed-void", Amount: gbp(price), Reason: "account closed"})
	report := check(t, s.options())
	finds(t, report)
	want := []invariants.OpenItem{
		{Subject: "order asked", Detail: "refund asked-void of 12.50 GBP is requested and not done yet: cancelled"},
		{Subject: "order failed", Detail: "refund failed-void of 12.50 GBP failed: account closed"}}
	if diff := cmp.Diff(want, report.OpenItems); diff != "" {
		t.Errorf("open items: -want +got:\n%s", diff)
	}
}
