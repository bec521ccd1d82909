package payments

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"tillstream/events"
)

// orderWith returns the order of buyWith.
func (f *fixture) orderWith(card string) string {
	f.t.Helper()
	orderID, _ := f.buyWith(card)
	return orderID
}

// disputeOf waits until an order's payment has a dispute with a status.
func (f *fixture) disputeOf(orderID, status string) (id string, d Dispute) {
	f.t.Helper()
	f.waitUntil("the dispute of "+orderID+" is "+status, func() bool {
		for id, d = range f.payment(orderID).Disputes {
			if d.Status == status {
				return true
			}
		}
		return false
	})
	return id, d
}

// sendEvidence answers a dispute, as staff do in Stripe's dashboard. Stripe's texts for tests decide it.
func (f *fixture) sendEvidence(dispute, text string) {
	f.t.Helper()
	if answer := f.callStripe("disputes/"+dispute, url.Values{"evidence[uncategorized_text]": {text}, "submit": {"true"}}); answer["id"] != dispute {
		f.t.Fatalf("send evidence: got %v", answer)
	}
}

// Row 51 of the fault matrix: disputes that are won and lost at Stripe are booked with the money that was taken and returned, the fees
// are known, and a payout with all of it adds up to the cent.
func TestDisputesAtStripe(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	won, lost, inquiry := f.orderWith("pm_card_createDispute"), f.orderWith("pm_card_createDisputeProductNotReceived"), f.orderWith("pm_card_createDisputeInquiry")
	wonID, opened := f.disputeOf(won, events.DisputeNeedsResponse)
	lostID, _ := f.disputeOf(lost, events.DisputeNeedsResponse)
	inquiryID, asked := f.disputeOf(inquiry, events.DisputeWarningNeedsResponse)
	if opened.Reason != "fraudulent" || opened.Withdrawn.Amount != 1250 || opened.EvidenceDue.Before(time.Now()) || !asked.Withdrawn.IsZero() {
		t.Errorf("got %+v and an inquiry %+v, want 12.50 GBP withdrawn for the dispute alone", opened, asked)
	}
	f.sendEvidence(wonID, "winning_evidence")
	f.sendEvidence(lostID, "losing_evidence")
	f.sendEvidence(inquiryID, "winning_evidence")
	f.disputeOf(lost, events.DisputeLost)
	f.disputeOf(inquiry, events.DisputeWarningClosed)
	f.waitUntil("the money is returned", func() bool {
		_, d := f.disputeOf(won, events.DisputeWon)
		return d.Withdrawn.IsZero() && d.Bookings == 2
	})

	if err := f.service.reconcileBalance(t.Context()); err != nil {
		t.Fatal(err)
	}
	gbp := func(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }
	for orderID, want := range map[string]Settlement{
		won:     {Gross: gbp(1250), Refunded: gbp(0), Disputed: gbp(0), Fees: gbp(66), Net: gbp(1184)},
		lost:    {Gross: gbp(1250), Refunded: gbp(0), Disputed: gbp(1250), Fees: gbp(1566), Net: gbp(-1566)},
		inquiry: {Gross: gbp(1250), Refunded: gbp(0), Disputed: gbp(0), Fees: gbp(66), Net: gbp(1184)},
	} {
		if got, ok := f.payment(orderID).Settlement(); !ok || got != want {
			t.Errorf("settlement: got %+v, %t; want %+v", got, ok, want)
		}
	}
	f.checkPayout(1184 - 1566 + 1184)
	f.expectNoDeadLetters()
}

// checkPayout moves Stripe's clock until it pays out, and checks that the report of the payout adds up to an amount.
func (f *fixture) checkPayout(want int64) {
	f.t.Helper()
	if _, err := f.stripe.Advance(3 * 24 * time.Hour); err != nil {
		f.t.Fatal(err)
	}
	var list PayoutsBody
	if status := f.asStaff("/ops/api/payouts", &list); status != http.StatusOK || len(list.Payouts) != 1 {
		f.t.Fatalf("payouts: HTTP %d, %+v; want one", status, list)
	}
	var report PayoutReport
	if status := f.asStaff("/ops/api/payouts/"+list.Payouts[0].ID, &report); status != http.StatusOK || !report.Difference.IsZero() || report.Net.Amount != want {
		f.t.Errorf("payout: HTTP %d, net %s, difference %s; want %d and 0", status, report.Net, report.Difference, want)
	}
	for _, row := range report.Rows {
		if row.OrderID == "" {
			f.t.Errorf("row %+v: got no order", row)
		}
	}
}

// Row 51 of the fault matrix: no webhook about a dispute arrives, and the reconciler finds it in Stripe's list of events.
func TestReconcilerFindsDisputes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_createDispute")
	f.clockOffset.Store(int64(time.Minute)) // the reconciler skips events of the last seconds, whose webhooks may still arrive
	f.reconcileFromStart()
	f.waitForStatus(orderID, StatusAuthorized)
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	for range 2 {
		f.reconcileFromStart()
	}
	f.disputeOf(orderID, events.DisputeNeedsResponse)
	if got := f.countByType(events.PrefixPayment + events.FirstPaymentID(orderID))["dispute_updated"]; got != 1 {
		t.Errorf("events of the dispute: got %d, want 1", got)
	}
	f.expectNoDeadLetters()
}
