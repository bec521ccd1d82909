package invariants_test

import (
	"testing"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/log"
)

// broken is the order that the broken promises are about.
const broken = "o1"

// Each case breaks one promise in a shop that is otherwise in order, and must yield that one finding.
var brokenPromises = []struct {
	name    string
	breakIt func(*shop)
	want    invariants.Finding
}{
	{"PlacedAndForgotten", func(s *shop) { s.place(broken) },
		invariants.Finding{Invariant: "I1", Detail: "is placed and has not moved for 2m0s"}},
	{"NeverExpired", func(s *shop) { s.await(broken, time.Now().Add(-8*time.Minute)) },
		invariants.Finding{Invariant: "I1", Detail: "still waits for payment, 10m0s after its deadline"}},
	{"CaptureNeverDone", func(s *shop) {
		s.await(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderPaymentAccepted{OrderID: broken, Amount: gbp(price)})
	}, invariants.Finding{Invariant: "I1", Detail: "is capturing and has not moved for 2m0s"}},
	{"ConfirmedButStillHeld", func(s *shop) {
		s.await(broken, time.Now().Add(time.Hour))
		s.capture(broken, gbp(price))
		s.order(broken, events.OrderConfirmed{})
	}, invariants.Finding{Invariant: "I1", Detail: "is confirmed, but its reservation is held"}},
	{"CancelledButCardStillReserved", func(s *shop) {
		s.await(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderCancelled{Reason: events.CancelRequested})
		s.release(broken)
	}, invariants.Finding{Invariant: "I1", Detail: "is cancelled, but its payment is still open"}},
	{"ExpiredButStillHeld", func(s *shop) {
		s.await(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderExpired{})
		s.pay(broken, events.PaymentCancelled{OrderID: broken})
	}, invariants.Finding{Invariant: "I1", Detail: "is expired, but its reservation is held"}},
	{"PaymentWithoutOrder", func(s *shop) { s.pay(broken, events.PaymentRequested{OrderID: broken, Amount: gbp(price)}) },
		invariants.Finding{Invariant: "I1", Detail: "is not in the log, but it has a payment"}},
	{"CapturedTwice", func(s *shop) {
		s.sell(broken)
		s.pay(broken, events.PaymentCaptured{OrderID: broken, PaymentIntent: "pi_" + broken, Amount: gbp(0)})
	}, invariants.Finding{Invariant: "I2", Detail: "is captured a second time at 17"}},
	{"TwoIntents", func(s *shop) {
		s.sell(broken)
		s.pay(broken, events.PaymentIntentCreated{OrderID: broken, PaymentIntent: "pi_other", Amount: gbp(price)})
	}, invariants.Finding{Invariant: "I2", Detail: "has two intents, pi_o1 and pi_other"}},
	{"OtherCurrency", func(s *shop) {
		s.await(broken, time.Now().Add(time.Hour))
		s.capture(broken, events.Money{Amount: price, Currency: "JPY"})
		s.order(broken, events.OrderConfirmed{})
		s.commit(broken)
	}, invariants.Finding{Invariant: "I2", Detail: "is in GBP, its money moves in JPY"}},
	{"SoldUnpaid", func(s *shop) {
		s.await(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderConfirmed{})
		s.commit(broken)
	}, invariants.Finding{Invariant: "I5", Detail: "is confirmed and keeps 0.00 GBP for goods of 12.50 GBP"}},
	{"PaidAndExpired", func(s *shop) {
		s.await(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderExpired{})
		s.release(broken)
		s.capture(broken, gbp(price))
	}, invariants.Finding{Invariant: "I5", Detail: "is expired and keeps 12.50 GBP for goods of 0.00 GBP, with refunds of 0.00 GBP on their way"}},
	{"MoreBackThanCame", func(s *shop) {
		s.await(broken, time.Now().Add(time.Hour))
		s.order(broken, events.OrderCancelled{Reason: events.CancelRequested})
		s.release(broken)
		s.capture(broken, gbp(price))
		s.refund(broken, "r1", price+1)
	}, invariants.Finding{Invariant: "I5", Detail: "sent 12.51 GBP back, captured only 12.50 GBP"}},
	{"PaidAndStillWaiting", func(s *shop) {
		s.await(broken, time.Now().Add(time.Hour))
		s.pay(broken, events.PaymentAuthorized{OrderID: broken, PaymentIntent: "pi_" + broken, Amount: gbp(price)})
	}, invariants.Finding{Invariant: "I1", Detail: "still waits for payment, was paid, and has not moved for 2m0s"}},
	{"OtherGoodsThanOrdered", func(s *shop) {
		s.order(broken, events.OrderPlaced{OrderID: broken, Total: gbp(price), ExpiresAt: time.Now().Add(time.Hour),
			Lines: []events.OrderLine{{SKU: "MUG", Quantity: 2, UnitPrice: gbp(price / 2), Total: gbp(price)}}})
		s.hold(broken)
		s.order(broken, events.OrderAwaitingPayment{OrderID: broken, Amount: gbp(price), ExpiresAt: time.Now().Add(time.Hour)})
	}, invariants.Finding{Invariant: "I3", Detail: "its reservation is held, and not for the goods that were ordered"}},
	{"MailQueuedTwice", func(s *shop) {
		s.sell(broken)
		for range 2 {
			s.notify(broken, events.MessageQueued{OrderID: broken, MessageID: "m", Template: "order_refunded", Fact: "f", Facts: []byte("{}")})
		}
	}, invariants.Finding{Invariant: "I4", Detail: "mail order_refunded about event f is queued twice"}},
	{"MailSentTwice", func(s *shop) {
		s.sell(broken)
		s.notify(broken, events.MessageSent{OrderID: broken, MessageID: broken + ".order_confirmed@shop.example"})
	}, invariants.Finding{Invariant: "I4", Detail: "mail o1.order_confirmed@shop.example is sent twice"}},
	{"MailHandedOverAfterItWasSent", func(s *shop) {
		s.sell(broken)
		s.notify(broken, events.MessageSending{OrderID: broken, MessageID: broken + ".order_confirmed@shop.example", Attempt: 2})
	}, invariants.Finding{Invariant: "I4", Detail: "mail o1.order_confirmed@shop.example is handed over again after it was sent"}},
	{"MailNobodyQueued", func(s *shop) {
		s.sell(broken)
		s.notify(broken, events.MessageSending{OrderID: broken, MessageID: "m", Attempt: 1})
		s.notify(broken, events.MessageSent{OrderID: broken, MessageID: "m"})
	}, invariants.Finding{Invariant: "I4", Detail: "mail m is handed over and was never queued"}},
}

func TestEachBrokenPromiseIsFound(t *testing.T) {
	t.Parallel()
	for _, test := range brokenPromises {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			test.breakIt(s)
			s.clock = time.Now() // what comes now may take a slow machine seconds
			s.everyEnd()
			test.want.Subject = "order " + broken
			finds(t, check(t, s.options()), test.want)
		})
	}
}

// A ledger entry that was published again breaks the ledger until it is declared void.
func TestAVoidEventIsNotLookedAt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.say(events.PrefixStock+"MUG", events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: 7,
		After: events.StockLevel{OnHand: 7, Available: 7}}, Reason: "published by hand"})
	if report := check(t, s.options()); report.OK {
		t.Error("nothing is off at first")
	}
	last, err := s.reader.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.reader.Get(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Void(t.Context(), s.reader.Log(), m, "published by hand"); err != nil {
		t.Fatal(err)
	}
	finds(t, check(t, s.options()))
}
