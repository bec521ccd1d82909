package invariants_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

// authorized appends an order that is confirmed with an authorization, whose goods are not sent yet.
func (s *shop) authorized(id string, until time.Time) {
	s.awaiting(id, time.Now().Add(time.Hour))
	s.pay(id, events.PaymentAuthorized{OrderID: id, PaymentIntent: "pi_" + id, Amount: gbp(price), Capture: events.CaptureAtFulfilment, ExpiresAt: until, Multicapture: true})
	s.order(id, events.OrderConfirmed{OrderOutcome: events.OrderOutcome{OrderID: id}, Authorized: true})
	s.committed(id)
}

// sent appends a parcel with one mug, or none, for an amount.
func (s *shop) sent(id string, mugs, amount int64) {
	p := events.OrderFulfilmentCreated{OrderOutcome: events.OrderOutcome{OrderID: id}, FulfilmentID: "f", Amount: gbp(amount)}
	if mugs > 0 {
		p.Lines = []events.ReservedLine{{SKU: "MUG", Quantity: mugs}}
	}
	s.order(id, p)
}

// taken appends a capture, of which the order learns. amount includes earlier captures.
func (s *shop) taken(id string, amount int64, more bool) {
	s.pay(id, events.PaymentCaptured{OrderID: id, PaymentIntent: "pi_" + id, Amount: gbp(amount), More: more})
	s.order(id, events.OrderPaymentCaptured{OrderOutcome: events.OrderOutcome{OrderID: id}, Amount: gbp(amount), More: more})
}

// asked appends a refund that staff request of an order, and its payment of Stripe.
func (s *shop) asked(id, refundID string, amount int64) {
	s.order(id, events.OrderRefundRequested{OrderOutcome: events.OrderOutcome{OrderID: id}, RefundID: refundID, Amount: gbp(amount), Reason: "broken"})
	s.pay(id, events.PaymentRefundRequested{OrderID: id, RefundID: refundID, Amount: gbp(amount), Reason: "broken"})
}

var deliveries = []struct {
	name    string
	violate func(*shop)
	want    invariants.Finding
}{
	{"SentBeforeConfirmed", func(s *shop) {
		s.awaiting(broken, time.Now().Add(time.Hour))
		s.sent(broken, 1, price)
	}, invariants.Finding{Invariant: "I5", Detail: "is awaiting_payment, but goods were sent at sequence 8"}},
	{"SentMoreThanOrdered", func(s *shop) {
		s.sold(broken)
		s.sent(broken, 1, price)
		s.sent(broken, 1, 0)
	}, invariants.Finding{Invariant: "I3", Detail: "1 of SKU MUG were ordered, but 2 are sent or cancelled at sequence 18"}},
	{"SentAndNotCaptured", func(s *shop) {
		s.authorized(broken, time.Time{})
		s.sent(broken, 1, price)
	}, invariants.Finding{Invariant: "I5", Detail: "is confirmed and keeps 0.00 GBP for goods of 12.50 GBP"}},
	{"CapturedWhatIsReleased", func(s *shop) {
		s.authorized(broken, time.Time{})
		s.order(broken, events.OrderFulfilmentCreated{FulfilmentID: "f", Amount: gbp(500), Final: true, Released: gbp(750), Cancelled: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
		s.returned(broken, "f")
		s.taken(broken, price, false)
	}, invariants.Finding{Invariant: "I5", Detail: "is confirmed and keeps 12.50 GBP for goods of 5.00 GBP, with pending refunds of 0.00 GBP"}},
	{"CapturedWhatIsLost", func(s *shop) {
		s.authorized(broken, time.Time{})
		s.sent(broken, 1, price)
		s.order(broken, events.OrderAuthorizationLost{Unpaid: gbp(750)})
		s.taken(broken, price, false)
	}, invariants.Finding{Invariant: "I5", Detail: "is confirmed and keeps 12.50 GBP for goods of 5.00 GBP, with pending refunds of 0.00 GBP"}},
	{"CapturedAgainAfterTheLast", func(s *shop) {
		s.authorized(broken, time.Time{})
		s.sent(broken, 1, price)
		s.taken(broken, 500, true)
		s.taken(broken, price, false)
		s.pay(broken, events.PaymentCaptured{OrderID: broken, PaymentIntent: "pi_" + broken, Amount: gbp(price)})
	}, invariants.Finding{Invariant: "I2", Detail: "is captured a second time at sequence 17"}},
	{"SameCaptureTwice", func(s *shop) {
		s.authorized(broken, time.Time{})
		s.sent(broken, 1, 500)
		s.taken(broken, 500, true)
		s.pay(broken, events.PaymentCaptured{OrderID: broken, PaymentIntent: "pi_" + broken, Amount: gbp(500), More: true})
	}, invariants.Finding{Invariant: "I2", Detail: "is captured a second time at sequence 15"}},
	{"OrderDoesNotKnowTheCapture", func(s *shop) {
		s.authorized(broken, time.Time{})
		s.sent(broken, 1, 500)
		s.pay(broken, events.PaymentCaptured{OrderID: broken, PaymentIntent: "pi_" + broken, Amount: gbp(500), More: true})
	}, invariants.Finding{Invariant: "I1", Detail: "takes 0.00 GBP for captured, but its payment has captured 5.00 GBP"}},
	{"CancelledButNotReturned", func(s *shop) {
		s.authorized(broken, time.Time{})
		s.pay(broken, events.PaymentCancelled{OrderID: broken, PaymentIntent: "pi_" + broken})
		s.order(broken, events.OrderCancelled{Reason: events.CancelAuthorizationExpired, Restock: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
	}, invariants.Finding{Invariant: "I1", Detail: "is cancelled, but not all of its goods are in stock again"}},
	{"RefundedAndNotReturned", func(s *shop) {
		s.sold(broken)
		s.order(broken, events.OrderRefundRequested{RefundID: "r2", Amount: gbp(1), Lines: []events.RefundLine{{SKU: "MUG", Quantity: 1, Unsent: 1, Restock: 1}}})
		s.pay(broken, events.PaymentRefundRequested{OrderID: broken, RefundID: "r2", Amount: gbp(1)})
	}, invariants.Finding{Invariant: "I3", Detail: "the goods that are in stock again are not those that its refunds, its last parcel and the end of its authorization return"}},
	{"RefundNotRequestedOfStripe", func(s *shop) {
		s.sold(broken)
		s.order(broken, events.OrderRefundRequested{RefundID: "r1", Amount: gbp(500), Reason: "broken"})
	}, invariants.Finding{Invariant: "I5", Detail: "asks for refund r1 of 5.00 GBP, but its payment does not"}},
	{"RefundFailedAndOrderWaits", func(s *shop) {
		s.sold(broken)
		s.asked(broken, "r1", 500)
		s.pay(broken, events.PaymentRefundFailed{OrderID: broken, RefundID: "r1", Amount: gbp(500), Reason: "expired card"})
	}, invariants.Finding{Invariant: "I5", Detail: "waits for refund r1 of 5.00 GBP, which has failed"}},
	{"RefundsExceedTheCapture", func(s *shop) {
		s.sold(broken)
		s.asked(broken, "r1", 700)
		s.asked(broken, "r2", 700)
	}, invariants.Finding{Invariant: "I5", Detail: "its refunds are 14.00 GBP, but only 12.50 GBP was captured"}},
	{"RefundedAndOrderWaits", func(s *shop) {
		s.sold(broken)
		s.asked(broken, "r1", 500)
		s.pay(broken, events.PaymentRefunded{OrderID: broken, RefundID: "r1", StripeRefund: "re_1", Amount: gbp(500)})
	}, invariants.Finding{Invariant: "I5", Detail: "is confirmed and keeps 7.50 GBP for goods of 12.50 GBP"}},
}

func TestEachViolationOfDeliveryIsFound(t *testing.T) {
	t.Parallel()
	for _, test := range deliveries {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			test.violate(s)
			s.clock = time.Now()
			test.want.Subject = "order " + broken
			finds(t, check(t, s.options()), test.want)
		})
	}
}

// Parcels that are captured one after the other, a refund that fails after it succeeded, and an authorization that expires break no
// promise.
func TestDeliveriesInOrderHaveNoFindings(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.authorized("parcels", time.Now().Add(7*24*time.Hour))
	s.sent("parcels", 0, 500)
	s.taken("parcels", 500, true)
	s.order("parcels", events.OrderFulfilmentCreated{FulfilmentID: "g", Amount: gbp(450), Final: true, Released: gbp(300), Cancelled: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
	s.returned("parcels", "g")
	s.taken("parcels", 950, false)
	s.authorized("lost", time.Now())
	s.sent("lost", 0, 700)
	s.taken("lost", 500, false)
	s.order("lost", events.OrderAuthorizationLost{Unpaid: gbp(200), Released: gbp(550), Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
	s.returned("lost", "authorization lost")
	s.authorized("waiting", time.Now().Add(7*24*time.Hour))
	s.authorized("expired", time.Now())
	s.pay("expired", events.PaymentCancelled{OrderID: "expired", PaymentIntent: "pi_expired"})
	s.order("expired", events.OrderCancelled{Reason: events.CancelAuthorizationExpired, Restock: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
	s.returned("expired", "cancelled")
	s.sold("returned")
	s.asked("returned", "r1", 500)
	s.pay("returned", events.PaymentRefundPending{OrderID: "returned", RefundID: "r1", StripeRefund: "re_1", Amount: gbp(500)})
	s.sold("failed")
	s.asked("failed", "r2", 500)
	s.pay("failed", events.PaymentRefunded{OrderID: "failed", RefundID: "r2", StripeRefund: "re_2", Amount: gbp(500)})
	s.order("failed", events.OrderRefunded{RefundID: "r2", Amount: gbp(500)})
	s.pay("failed", events.PaymentRefundFailed{OrderID: "failed", RefundID: "r2", StripeRefund: "re_2", Amount: gbp(500), Reason: "account closed"})
	s.order("failed", events.OrderRefundFailed{RefundID: "r2", Amount: gbp(500), Reason: "account closed"})
	s.sold("replaced")
	s.asked("replaced", "r3", 500)
	s.pay("replaced", events.PaymentRefundFailed{OrderID: "replaced", RefundID: "r3", Amount: gbp(500), Reason: "account closed"})
	s.order("replaced", events.OrderRefundFailed{RefundID: "r3", Amount: gbp(500), Reason: "account closed"})
	s.pay("replaced", events.PaymentRefundRequested{OrderID: "replaced", RefundID: "r4", Amount: gbp(500), Replaces: "r3"})
	s.pay("replaced", events.PaymentRefunded{OrderID: "replaced", RefundID: "r4", StripeRefund: "re_4", Amount: gbp(500)})
	s.order("replaced", events.OrderRefunded{RefundID: "r4", Amount: gbp(500)})
	report := check(t, s.options())
	finds(t, report)
	want := []invariants.OpenItem{{Subject: "order failed", Detail: "refund r2 of 5.00 GBP failed: account closed"},
		{Subject: "order lost", Detail: "2.00 GBP of what was sent is not paid, because the authorization ended"},
		{Subject: "order returned", Detail: "refund r1 of 5.00 GBP is pending at the bank"}}
	if diff := cmp.Diff(want, report.OpenItems); diff != "" {
		t.Errorf("open items: -want +got:\n%s", diff)
	}
}

// Staff are told a day before the bank releases an authorization. A day after it, the order must have been cancelled.
func TestAuthorizationsThatEndAreOpenItems(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.clock = time.Now()
	at := s.clock.Add(2 * time.Minute).Truncate(time.Second) // the time of the check
	for id, until := range map[string]time.Time{"tomorrow": at.Add(23 * time.Hour), "today": at.Add(-time.Hour), "yesterday": at.Add(-25 * time.Hour)} {
		s.authorized(id, until)
	}
	s.authorized("early", at.Add(7*24*time.Hour))
	s.taken("early", price, false)
	report := check(t, s.options())
	text := func(d time.Duration) string { return at.Add(d).UTC().Format(time.RFC3339) }
	finds(t, report, invariants.Finding{Invariant: "I1", Subject: "order yesterday", Detail: "is confirmed, but the bank released its money on " + text(-25*time.Hour)})
	want := []invariants.OpenItem{{Subject: "order early", Detail: "12.50 GBP is captured, and nothing is sent yet"},
		{Subject: "order today", Detail: "nothing is captured, and the bank released its money on " + text(-time.Hour)},
		{Subject: "order tomorrow", Detail: "nothing is captured yet, and the bank releases its money on " + text(23*time.Hour)}}
	if diff := cmp.Diff(want, report.OpenItems); diff != "" {
		t.Errorf("open items: -want +got:\n%s", diff)
	}
}

// A parcel is sent and captured after the log is read and before Stripe is. The order is read again and is on its way.
func TestCaptureOfAParcelWhileStripeIsReadIsNoFinding(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.authorized("o1", time.Time{})
	s.sent("o1", 0, 500)
	s.taken("o1", 500, true)
	s.chargeAtStripe("pi_o1", "o1", price)
	options := s.options()
	options.StripeURL, options.StripeKey = s.serve().URL, "sk_test_1"
	report := check(t, options)
	finds(t, report, invariants.Finding{Invariant: "I2", Subject: "order o1", Detail: "captured 5.00 GBP in the log, 12.50 GBP at Stripe (pi_o1 is succeeded)"})
	var sent time.Time // earlier events are older than the settling time
	options.Now = func() time.Time {
		if sent.IsZero() {
			return time.Now().Add(2 * time.Minute)
		}
		return sent.Add(time.Minute)
	}
	options.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if sent.IsZero() {
			sent = time.Now()
			s.sent("o1", 1, 750)
			s.taken("o1", price, false)
		}
		return http.DefaultTransport.RoundTrip(r)
	})}
	finds(t, check(t, options))
}
