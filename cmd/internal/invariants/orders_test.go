package invariants_test

import (
	"testing"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

func TestAcknowledgedOrdersMustExist(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sold("o1")
	options := s.options()
	options.Acknowledged = []string{"o1", "lost"}
	finds(t, check(t, options), invariants.Finding{Invariant: "I1", Subject: "order lost", Detail: "was answered 201 and is not in the log"})
}

// Unfinished orders are findings only after the settling time.
func TestOrdersOnTheirWayAreNoFindings(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.placed("o1")
	s.awaiting("o2", time.Now().Add(time.Hour))
	s.captured("o2", gbp(price))
	s.order("o2", events.OrderConfirmed{})
	s.pay("o3", events.PaymentRequested{OrderID: "o3", Amount: gbp(price)})
	options := s.options()
	options.Now = time.Now
	report := check(t, options)
	finds(t, report)
	if report.Counts.Progressing != 3 {
		t.Errorf("got %d orders on their way, want 3", report.Counts.Progressing)
	}
}

// An order that is unfinished at the cut is read again until it is complete.
func TestUnfinishedOrdersAreReadAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.awaiting("o1", time.Now().Add(time.Hour))
	s.captured("o1", gbp(price))
	s.order("o1", events.OrderConfirmed{})
	options := s.options()
	options.Now, options.Patience = time.Now, 20*time.Second
	seen := false
	options.Progress = func(p invariants.Progress) {
		if p.Stage == "orders again" && !seen {
			seen = true
			s.committed("o1")
		}
	}
	report := check(t, options)
	finds(t, report)
	if !seen || report.Counts.Progressing != 0 || report.Counts.ByStatus["confirmed"] != 1 {
		t.Errorf("got read again %v, counts %+v; want the order complete", seen, report.Counts)
	}
}
