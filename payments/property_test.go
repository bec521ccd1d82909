package payments

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tillstream/events"
)

// report is one report of Stripe: an intent at some moment, and optionally a refund.
type report struct {
	intent Intent
	refund *StripeRefund
}

// drawReports draws the life of one intent at Stripe, as a list of reports.
func drawReports(t *rapid.T) []report {
	var reports []report
	for i := range rapid.IntRange(0, 3).Draw(t, "declines") {
		if rapid.Bool().Draw(t, "3-D Secure") {
			reports = append(reports, report{intent: snapshot(IntentRequiresAction)})
		}
		in := snapshotDeclined()
		in.LastError.Fact = fmt.Sprintf("ch_no_%d", i)
		reports = append(reports, report{intent: in})
	}
	end := rapid.SampledFrom([]IntentStatus{IntentSucceeded, IntentCanceled}).Draw(t, "end")
	if end == IntentSucceeded || rapid.Bool().Draw(t, "authorized before it was cancelled") {
		reports = append(reports, report{intent: snapshot(IntentProcessing)}, report{intent: snapshot(IntentRequiresCapture)})
	}
	reports = append(reports, report{intent: snapshot(end)})
	if end == IntentSucceeded {
		reports = append(reports, drawRefunds(t)...)
	}
	return reports
}

// drawRefunds draws refunds within the captured amount. Each comes with the current intent, because the lane retrieves both.
func drawRefunds(t *rapid.T) []report {
	var reports []report
	left := gbp1250.Amount
	for i := range rapid.IntRange(0, 3).Draw(t, "refunds") {
		amount := rapid.Int64Range(1, max(1, left/2)).Draw(t, "amount")
		left -= amount
		r := StripeRefund{ID: fmt.Sprintf("re_%d", i), Amount: events.Money{Amount: amount, Currency: "GBP"}, Status: RefundPending}
		statuses := []RefundStatus{RefundPending, RefundSucceeded, RefundFailed}
		for _, status := range statuses[:rapid.IntRange(1, 3).Draw(t, "how far")] {
			r.Status = status
			current := r
			reports = append(reports, report{intent: snapshot(IntentSucceeded), refund: &current})
		}
	}
	return reports
}

// applyReports records reports in the given order.
func applyReports(t *rapid.T, p Payment, reports []report) Payment {
	for _, r := range reports {
		p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return RecordIntent(p, r.intent, false) })
		if r.refund != nil {
			p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return RecordRefund(p, *r.refund) })
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

// checkInvariants checks that the capture is at most the requested amount, and the refunds at most the capture.
func checkInvariants(t *rapid.T, p Payment) {
	if p.Captured.Amount > p.Amount.Amount || p.Captured.Amount < 0 {
		t.Fatalf("captured: got %s, want 0 to %s", p.Captured, p.Amount)
	}
	refunded, err := p.Refunded()
	if err != nil || refunded.Amount > p.Captured.Amount {
		t.Fatalf("refunded: got %s, %v; want at most %s", refunded, err, p.Captured)
	}
}

// Rows 22 and 42 of the fault matrix: Stripe's events arrive in any order and repeatedly, and the payment ends in the same state.
func TestAnyOrderOfStripesEventsEndsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		reports := drawReports(t)
		shuffled := append(rapid.Permutation(reports).Draw(t, "order of arrival"), rapid.SliceOfN(rapid.SampledFrom(reports), 0, 5).Draw(t, "again")...)
		start := decideAndApply(t, Payment{}, func(p Payment) ([]events.Payload, error) { return Request(p, awaiting, Terms{}) })
		if rapid.Bool().Draw(t, "cancelled at the start") {
			start = decideAndApply(t, start, func(p Payment) ([]events.Payload, error) {
				return append([]events.Payload{factIntent}, factForce), nil
			})
		}
		inOrder, outOfOrder := applyReports(t, start, reports), applyReports(t, start, shuffled)
		if diff := cmp.Diff(inOrder, outOfOrder); diff != "" {
			t.Fatalf("in order -, shuffled +:\n%s", diff)
		}
		if s := inOrder.Status(); s != StatusCaptured && s != StatusPartlyRefunded && s != StatusRefunded && s != StatusCancelled {
			t.Fatalf("final status: got %s, want captured, refunded or cancelled", s)
		}
	})
}

// The shop, staff and Stripe act in any order. The money adds up, and a captured payment stays captured.
func TestCapturesAndRefundsAddUpInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := decideAndApply(t, Payment{}, func(p Payment) ([]events.Payload, error) { return Request(p, awaiting, Terms{}) })
		refunds := 0
		t.Repeat(map[string]func(*rapid.T){
			"cancelled": func(t *rapid.T) {
				force := rapid.Bool().Draw(t, "force")
				p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return Cancel(p, force, "test") })
			},
			"reported": func(t *rapid.T) {
				in := snapshot(rapid.SampledFrom([]IntentStatus{IntentRequiresPaymentMethod, IntentRequiresAction, IntentProcessing,
					IntentRequiresCapture, IntentSucceeded, IntentCanceled}).Draw(t, "status"))
				before := p.Status()
				p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return RecordIntent(p, in, false) })
				if before == StatusCaptured && p.Status() != StatusCaptured {
					t.Fatalf("status after captured: got %s, want captured", p.Status())
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
			"refunded by the order": func(t *rapid.T) {
				refunds++
				asked := events.OrderRefundRequested{RefundID: fmt.Sprintf("r%d", refunds), Amount: events.Money{Amount: rapid.Int64Range(1, 2000).Draw(t, "amount"), Currency: "GBP"}}
				for range 2 { // the second one is a repetition
					p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return AcceptRefund(p, asked) })
				}
			},
			"refund reported": func(t *rapid.T) {
				for _, id := range slices.Sorted(maps.Keys(p.Refunds)) {
					known := p.Refunds[id]
					if known.Failed && known.StripeRefund == "" {
						continue // it was never at Stripe
					}
					r := StripeRefund{ID: "re_" + id, RefundID: id, Amount: known.Amount, Status: rapid.SampledFrom([]RefundStatus{RefundPending, RefundRequiresAction, RefundSucceeded, RefundFailed}).Draw(t, "status")}
					p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return RecordRefund(p, r) })
				}
			},
			"": func(t *rapid.T) {
				checkInvariants(t, p)
				// There are no refunds in Stripe's dashboard here, so even the pending ones stay within the capture.
				if left, err := p.refundable(); err != nil || left.Amount < 0 {
					t.Fatalf("refundable of %s: got %v, %v; want 0 or more", p.Captured, left, err)
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
