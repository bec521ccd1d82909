package invariants_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

// disputed appends a dispute of an order, as payments and orders record it.
func (s *shop) disputed(id, status string, amount int64) {
	d := events.PaymentDisputeUpdated{OrderID: id, Dispute: "dp_" + id, Status: status, Amount: gbp(amount), EvidenceDue: time.Date(2026, 12, 9, 23, 59, 59, 0, time.UTC)}
	s.pay(id, d)
	if events.DisputeClosed(status) {
		s.order(id, events.OrderDisputeClosed{Dispute: d.Dispute, Status: status, Amount: d.Amount})
		return
	}
	s.order(id, events.OrderDisputed{Dispute: d.Dispute, Status: status, Amount: d.Amount, EvidenceDue: d.EvidenceDue})
}

// A lost dispute counts like a refund, an open one is an open item, and the order has to know what Stripe answered.
func TestDisputesCountForTheMoney(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, id := range []string{"lost", "won", "open", "partly", "behind"} {
		s.sold(id)
		s.disputed(id, events.DisputeNeedsResponse, price)
	}
	s.disputed("lost", events.DisputeLost, price)
	s.disputed("won", events.DisputeWon, price)
	s.disputed("partly", events.DisputeLost, 300)
	s.pay("behind", events.PaymentDisputeUpdated{OrderID: "behind", Dispute: "dp_behind", Status: events.DisputeWon, Amount: gbp(price)})
	s.awaiting("cancelled", time.Now().Add(time.Hour))
	s.order("cancelled", events.OrderCancelled{Reason: events.CancelRequested})
	s.released("cancelled")
	s.captured("cancelled", gbp(price))
	s.disputed("cancelled", events.DisputeLost, price)

	report := check(t, s.options())
	finds(t, report, invariants.Finding{Invariant: "I5", Subject: "order behind", Detail: `dispute dp_behind is "won" at its payment and "needs_response" at the order`})
	want := []invariants.OpenItem{{Subject: "order open", Detail: "dispute dp_open of 12.50 GBP is needs_response, evidence is due by 2026-12-09"}}
	if diff := cmp.Diff(want, report.OpenItems); diff != "" {
		t.Errorf("open items: -want +got:\n%s", diff)
	}
}
