package orders

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// changed applies an event that changes the deadline, with its cause.
func changed(t *testing.T, o Order, cause string, facts []events.Payload) Order {
	t.Helper()
	if len(facts) != 1 {
		t.Fatalf("event %s: got facts %v, want one", cause, facts)
	}
	o, err := o.Apply(events.Event{ID: "after-" + cause, CausationID: cause, Type: facts[0].EventType(), Time: start, Payload: facts[0]})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// An order whose payment a bank processes for days is held for as long as that may take; when it fails, for as long as a new order; and
// when the shopper tries again, for days again. Events that are delivered again change nothing.
func TestDeadlineFollowsThePaymentMethod(t *testing.T) {
	t.Parallel()
	const hold = 30 * time.Minute
	o := states(t)["awaiting"]
	if facts := o.PaymentProcessing("p1", events.MethodCard, start); facts != nil {
		t.Errorf("a card that is processed: got %v, want no change", facts)
	}
	o = changed(t, o, "p1", o.PaymentProcessing("p1", "sepa_debit", start))
	until := start.Add(events.ProcessingTime("sepa_debit"))
	if !o.ExpiresAt.Equal(until) || o.Expire(until.Add(-time.Second)) != nil || o.Expire(until) == nil {
		t.Errorf("processing: deadline %s, want %s, and that the order expires no earlier", o.ExpiresAt, until)
	}
	if body := newOrderBody(o); body.DeadlineReason != events.DeadlineProcessing || !body.ExpiresAt.Equal(until) {
		t.Errorf("the API shows %q until %s", body.DeadlineReason, body.ExpiresAt)
	}
	later := start.Add(72 * time.Hour)
	o = changed(t, o, "f1", o.ProcessingFailed("f1", later, hold))
	if !o.ExpiresAt.Equal(later.Add(hold)) || o.Status != AwaitingPayment {
		t.Errorf("failed: the order is %s until %s, want it to await payment until %s", o.Status, o.ExpiresAt, later.Add(hold))
	}
	if facts := o.PaymentProcessing("p1", "sepa_debit", later); facts != nil {
		t.Errorf("the processing that failed, delivered again: got %v, want nothing", facts)
	}
	o = changed(t, o, "p2", o.PaymentProcessing("p2", "sepa_debit", later))
	if facts := append(o.ProcessingFailed("f1", later, hold), o.PaymentProcessing("p3", "sepa_debit", later)...); facts != nil {
		t.Errorf("an old failure and a second report of the processing: got %v, want nothing", facts)
	}
	if diff := cmp.Diff([]events.Payload{events.OrderConfirmed{OrderOutcome: o.outcome()}}, o.PaymentCaptured(o.Total, false)); diff != "" {
		t.Errorf("success (-want +got):\n%s", diff)
	}
}

func TestDeadlineOfAnOrderThatDoesNotWaitIsNotChanged(t *testing.T) {
	t.Parallel()
	for name, o := range states(t) {
		if facts := o.PaymentProcessing("p1", "sepa_debit", start); (facts != nil) != (name == "awaiting") {
			t.Errorf("%s: got %v after the bank has begun to process the payment", name, facts)
		}
		if facts := o.ProcessingFailed("f1", start, time.Minute); facts != nil {
			t.Errorf("%s: got %v after a decline, want nothing", name, facts)
		}
	}
}

// The timer leaves an order that waits for days to the periodic job, and takes it back after the failure.
func TestTimerLeavesLongDeadlinesToThePeriodicJob(t *testing.T) {
	t.Parallel()
	timer := (&Service{}).deadlines()
	for reason, want := range map[string]time.Time{events.DeadlineProcessing: {}, events.DeadlineProcessingFailed: deadline} {
		e := events.Event{Subject: events.PrefixOrder + "o1", Payload: events.OrderDeadlineChanged{OrderID: "o1", ExpiresAt: deadline, Reason: reason}}
		if id, at := timer.At(e); id != "o1" || !at.Equal(want) {
			t.Errorf("%s: got deadline %s of %s, want %s", reason, at, id, want)
		}
	}
}

// Orders whose payment is being processed hold stock, so they count as unpaid.
func TestProcessedOrderCountsAsUnpaidUntilItsDeadline(t *testing.T) {
	t.Parallel()
	open := newOpenOrders()
	until := start.Add(events.ProcessingTime("sepa_debit"))
	for i, fact := range []events.Payload{placed(), events.OrderDeadlineChanged{OrderID: "o1", ExpiresAt: until, Reason: events.DeadlineProcessing}} {
		open.apply(events.Event{Subject: events.PrefixOrder + "o1", Revision: uint64(i) + 1, Payload: fact})
	}
	count := func(at time.Time, want int) {
		t.Helper()
		got, undo := open.begin("o2", "a@example.com", "", at, at.Add(time.Hour))
		undo()
		if got.ByEmail != want {
			t.Errorf("at %s: %d unpaid orders, want %d", at, got.ByEmail, want)
		}
	}
	count(deadline.Add(time.Hour), 1)
	count(until, 0)
	if got := duration(until.Sub(start)); got != "22 days" {
		t.Errorf("wait of the shopper: got %s, want 22 days", got)
	}
}
