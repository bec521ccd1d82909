package payments

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tillstream/events"
)

// telling is one thing that Stripe tells the shop: an intent as it was, or the refunds of one as they are.
type report struct {
	intent Intent
	refund *StripeRefund
}

// drawReports draws what happens to one intent at Stripe, and what Stripe tells of it.
func drawReports(t *rapid.T) []report {
	var story []report
	for i := range rapid.IntRange(0, 3).Draw(t, "declines") {
		if rapid.Bool().Draw(t, "3-D Secure") {
			story = append(story, report{intent: snapshot(IntentRequiresAction)})
		}
		in := snapshotDeclined()
		in.LastError.Fact = fmt.Sprintf("ch_no_%d", i)
		story = append(story, report{intent: in})
	}
	end := rapid.SampledFrom([]IntentStatus{IntentSucceeded, IntentCanceled}).Draw(t, "end")
	if end == IntentSucceeded || rapid.Bool().Draw(t, "authorised before it was cancelled") {
		story = append(story, report{intent: snapshot(IntentProcessing)}, report{intent: snapshot(IntentRequiresCapture)})
	}
	story = append(story, report{intent: snapshot(end)})
	if end == IntentSucceeded {
		story = append(story, drawRefunds(t)...)
	}
	return story
}

// drawRefunds draws refunds within what was captured. Each is told together with the intent as it then is, because
// that is how the actor asks.
func drawRefunds(t *rapid.T) []report {
	var story []report
	left := gbp1250.Amount
	for i := range rapid.IntRange(0, 3).Draw(t, "refunds") {
		amount := rapid.Int64Range(1, max(1, left/2)).Draw(t, "amount")
		left -= amount
		r := StripeRefund{ID: fmt.Sprintf("re_%d", i), Amount: events.Money{Amount: amount, Currency: "GBP"}, Status: RefundPending}
		statuses := []RefundStatus{RefundPending, RefundSucceeded, RefundFailed}
		for _, status := range statuses[:rapid.IntRange(1, 3).Draw(t, "how far")] {
			r.Status = status
			told := r
			story = append(story, report{intent: snapshot(IntentSucceeded), refund: &told})
		}
	}
	return story
}

// tell lets the shop hear a story, in the order given.
func applyReports(t *rapid.T, p Payment, story []report) Payment {
	for _, told := range story {
		p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return RecordIntent(p, told.intent, false) })
		if told.refund != nil {
			p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return RecordRefund(p, *told.refund) })
		}
		checkInvariants(t, p)
	}
	return p
}

func decideAndApply(t *rapid.T, p Payment, rule func(Payment) ([]events.Payload, error)) Payment {
	facts, err := rule(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, fact := range facts {
		if p, err = p.Apply(events.Event{Type: fact.EventType(), Time: noon, Payload: fact}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// check holds at every moment: no more is taken than was asked for, no more goes back than came in.
func checkInvariants(t *rapid.T, p Payment) {
	if p.Captured.Amount > p.Amount.Amount || p.Captured.Amount < 0 {
		t.Fatalf("captured %s of %s", p.Captured, p.Amount)
	}
	refunded, err := p.Refunded()
	if err != nil || refunded.Amount > p.Captured.Amount {
		t.Fatalf("refunded %s of %s, %v", refunded, p.Captured, err)
	}
}

// Rows 22 and 42 of the fault matrix: whatever order and however often Stripe's events arrive, the payment ends up the same.
func TestAnyOrderOfStripesEventsEndsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		story := drawReports(t)
		shuffled := append(rapid.Permutation(story).Draw(t, "order of arrival"), rapid.SliceOfN(rapid.SampledFrom(story), 0, 5).Draw(t, "again")...)
		start := decideAndApply(t, Payment{}, func(p Payment) ([]events.Payload, error) { return Request(p, awaiting) })
		if rapid.Bool().Draw(t, "called off at the start") {
			start = decideAndApply(t, start, func(p Payment) ([]events.Payload, error) {
				return append([]events.Payload{factIntent}, factForce), nil
			})
		}
		inOrder, outOfOrder := applyReports(t, start, story), applyReports(t, start, shuffled)
		if diff := cmp.Diff(inOrder, outOfOrder); diff != "" {
			t.Fatalf("in order -, shuffled +:\n%s", diff)
		}
		if s := inOrder.Status(); s != StatusCaptured && s != StatusPartlyRefunded && s != StatusRefunded && s != StatusCancelled {
			t.Fatalf("the story ends as %s", s)
		}
	})
}

// Whatever orders, staff and Stripe do, and in whatever order: the money adds up, and a payment that has ended stays so.
func TestCapturesAndRefundsAddUpInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := decideAndApply(t, Payment{}, func(p Payment) ([]events.Payload, error) { return Request(p, awaiting) })
		refunds := 0
		t.Repeat(map[string]func(*rapid.T){
			"cancelled": func(t *rapid.T) {
				force := rapid.Bool().Draw(t, "force")
				p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return Cancel(p, force, "test") })
			},
			"heard": func(t *rapid.T) {
				in := snapshot(rapid.SampledFrom([]IntentStatus{IntentRequiresPaymentMethod, IntentRequiresAction, IntentProcessing,
					IntentRequiresCapture, IntentSucceeded, IntentCanceled}).Draw(t, "status"))
				before := p.Status()
				p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return RecordIntent(p, in, false) })
				if before == StatusCaptured && p.Status() != StatusCaptured {
					t.Fatalf("captured became %s", p.Status())
				}
			},
			"refunded": func(t *rapid.T) {
				refunds++
				amount := events.Money{Amount: rapid.Int64Range(-1, 2000).Draw(t, "amount"), Currency: "GBP"}
				facts, err := RequestRefund(p, fmt.Sprintf("r%d", refunds), amount, "test")
				if err == nil {
					p = decideAndApply(t, p, func(Payment) ([]events.Payload, error) { return facts, nil })
				}
			},
			"": func(t *rapid.T) {
				checkInvariants(t, p)
				// Nobody refunds in Stripe's dashboard here, so even what is only promised stays within what was captured.
				if left, err := p.refundable(); err != nil || left.Amount < 0 {
					t.Fatalf("promised back more than %s was captured: %v left, %v", p.Captured, left, err)
				}
			},
		})
	})
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int]time.Duration{-1: 500 * time.Millisecond, 1: 500 * time.Millisecond, 2: time.Second, 4: 4 * time.Second, 7: 30 * time.Second, 1 << 40: 30 * time.Second} {
		if got := backoff(attempt); got != want {
			t.Errorf("backoff(%d) = %s, want %s", attempt, got, want)
		}
	}
}
