package invariants_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

const debit = "sepa_debit"

// processed appends an order whose deadline passes at once and whose payment a bank processes for days.
func (s *shop) processed(id, method string) {
	s.awaiting(id, time.Now().Add(-time.Hour))
	s.pay(id, events.PaymentProcessing{OrderID: id, PaymentIntent: "pi_" + id, Method: method})
}

// deadline appends a change of an order's deadline.
func (s *shop) deadline(id, reason string, at time.Time) {
	s.order(id, events.OrderDeadlineChanged{OrderID: id, ExpiresAt: at, Reason: reason})
}

func (s *shop) declined(id string) {
	s.pay(id, events.PaymentDeclined{OrderID: id, PaymentIntent: "pi_" + id, Fact: "py_" + id, Code: "payment_intent_payment_attempt_failed"})
}

// cancelled appends that the shopper has cancelled the order, and that its stock is free.
func (s *shop) cancelled(id string) {
	s.order(id, events.OrderCancelled{Reason: events.CancelRequested})
	s.released(id)
	s.pay(id, events.PaymentCancelRequested{OrderID: id, Force: true})
}

// An order is held for as long as the bank may take and no longer: the changed deadline counts, not the first one.
func TestDeadlineFollowsTheBank(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	later, failed := time.Now().Add(events.ProcessingTime(debit)), time.Now().Add(time.Hour)
	for _, id := range []string{"waits", "failed", "asked"} {
		s.processed(id, debit)
		s.deadline(id, events.DeadlineProcessing, later)
	}
	s.declined("failed")
	s.pay("asked", events.PaymentActionRequired{OrderID: "asked", PaymentIntent: "pi_asked"})
	for _, id := range []string{"failed", "asked"} {
		s.deadline(id, events.DeadlineProcessingFailed, failed)
	}
	s.awaiting("card", failed)
	s.pay("card", events.PaymentProcessing{OrderID: "card", PaymentIntent: "pi_card", Method: events.MethodCard})
	s.awaiting("older", failed) // of an earlier release
	s.pay("older", events.PaymentProcessing{OrderID: "older", PaymentIntent: "pi_older"})
	report := check(t, s.options())
	finds(t, report)
	if report.Counts.Progressing != 5 {
		t.Errorf("got %d orders on their way, want 5", report.Counts.Progressing)
	}
}

// Each of these logs has a deadline that does not follow the bank.
func TestDeadlinesThatDoNotFollowTheBankAreFound(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(events.ProcessingTime(debit))
	day, soon := later.UTC().Format(time.DateOnly), time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		violate func(*shop)
		want    string
	}{
		"HeldAfterTheFailure": {func(s *shop) {
			s.processed(broken, debit)
			s.deadline(broken, events.DeadlineProcessing, later)
			s.declined(broken)
		}, "is held until " + day + " for a bank, but no bank processes its payment"},
		"NotHeldWhileProcessing": {func(s *shop) {
			s.awaiting(broken, soon)
			s.pay(broken, events.PaymentProcessing{OrderID: broken, PaymentIntent: "pi_" + broken, Method: debit})
		}, "is held until " + soon.UTC().Format(time.DateOnly) + ", but a bank may process its payment by sepa_debit until " + day},
		"NotExpired": {func(s *shop) {
			s.awaiting(broken, soon)
			s.deadline(broken, events.DeadlineProcessingFailed, time.Now().Add(-8*time.Minute))
		}, "still awaits payment 10m0s after its deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			c.violate(s)
			s.clock = time.Now()
			finds(t, check(t, s.options()), invariants.Finding{Invariant: "I1", Subject: "order " + broken, Detail: c.want})
		})
	}
}

// The payment of an order that the shopper cancelled while a bank processes it stays open for as long as the bank may take, and no longer.
// Then it is cancelled, or its money is refunded.
func TestPaymentThatABankProcessesMayOutliveItsOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, id := range []string{"open", "failed", "closed", "refunded", "paid"} {
		s.processed(id, debit)
		s.deadline(id, events.DeadlineProcessing, time.Now().Add(events.ProcessingTime(debit)))
		s.cancelled(id)
	}
	s.processed("card", events.MethodCard)
	s.cancelled("card")
	s.declined("failed")
	s.declined("closed")
	s.pay("closed", events.PaymentCancelled{OrderID: "closed", PaymentIntent: "pi_closed"})
	s.captured("refunded", gbp(price))
	s.refunded("refunded", "r1", price)
	s.captured("paid", gbp(price))
	find := func(invariant, id, detail string) invariants.Finding {
		return invariants.Finding{Invariant: invariant, Subject: "order " + id, Detail: detail}
	}
	wrong := []invariants.Finding{find("I1", "card", "is cancelled, but its payment is still open"), find("I1", "failed", "is cancelled, but its payment is still open"),
		find("I5", "paid", "is cancelled and keeps 12.50 GBP for goods of 0.00 GBP, with pending refunds of 0.00 GBP")}
	report := check(t, s.options())
	finds(t, report, wrong...)
	until := time.Now().Add(events.ProcessingTime(debit))
	want := []invariants.OpenItem{{Subject: "order open", Detail: "is cancelled, and the bank may still pay by sepa_debit until " + until.UTC().Format(time.DateOnly)}}
	if diff := cmp.Diff(want, report.OpenItems); diff != "" {
		t.Errorf("open items: -want +got:\n%s", diff)
	}
	s.clock = until
	late := check(t, s.options())
	finds(t, late, wrong[0], wrong[1], find("I1", "open", "is cancelled, but its payment is still open"), wrong[2])
}
