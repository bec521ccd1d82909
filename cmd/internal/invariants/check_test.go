package invariants_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

func check(t *testing.T, options invariants.Options) invariants.Report {
	t.Helper()
	report, err := invariants.Check(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if report.OK != (len(report.Findings) == 0) {
		t.Errorf("ok is %v with %d findings", report.OK, len(report.Findings))
	}
	return report
}

func finds(t *testing.T, report invariants.Report, want ...invariants.Finding) {
	t.Helper()
	if want == nil {
		want = []invariants.Finding{}
	}
	if diff := cmp.Diff(want, report.Findings); diff != "" {
		t.Error(diff)
	}
}

func TestACleanShopHasNoFindings(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.everyEnd()
	outside := s.outside()
	options := s.options()
	options.Acknowledged = []string{"sold", "short", "slow", "unsure", "returned", "thinking"}
	options.StripeURL, options.StripeKey, options.Mail = outside.URL, "sk_test_1", outside.URL
	report := check(t, options)
	finds(t, report)
	want := map[string]int{"confirmed": 2, "rejected": 1, "expired": 1, "cancelled": 1, "awaiting_payment": 1}
	if diff := cmp.Diff(want, report.Counts.ByStatus); diff != "" {
		t.Error(diff)
	}
	if report.Counts.Orders != 6 || report.Counts.Progressing != 1 || report.Counts.SKUs != 1 || report.Counts.Mails != 2 {
		t.Errorf("counts: %+v", report.Counts)
	}
}

func TestAnEmptyShopIsClean(t *testing.T) {
	t.Parallel()
	finds(t, check(t, newShop(t).options()))
}

// Captured more than the total breaks two promises: the charge is too high, and the surplus is kept for nothing.
func TestCapturedTooMuch(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.await("o1", time.Now().Add(time.Hour))
	s.capture("o1", gbp(price+1))
	s.order("o1", events.OrderConfirmed{})
	s.commit("o1")
	finds(t, check(t, s.options()),
		invariants.Finding{Invariant: "I2", Subject: "order o1", Detail: "captured 12.51 GBP, its total is 12.50 GBP"},
		invariants.Finding{Invariant: "I5", Subject: "order o1", Detail: "is confirmed and keeps 12.51 GBP for goods of 12.50 GBP, with refunds of 0.00 GBP on their way"})
}

func TestStockThatDoesNotAddUpIsFound(t *testing.T) {
	t.Parallel()
	held := func(sku string, quantity int64, after events.StockLevel) events.Payload {
		return events.StockHeld{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: quantity, After: after}}
	}
	mug := func(detail string) invariants.Finding {
		return invariants.Finding{Invariant: "I3", Subject: "SKU MUG", Detail: detail}
	}
	tests := []struct {
		name  string
		entry events.Payload
		want  []invariants.Finding
	}{
		{"BalanceFromNowhere", held("MUG", 1, events.StockLevel{OnHand: 90, Available: 90}), []invariants.Finding{
			mug("inventory.stock_held at 2: 100 on hand = 100 available + 0 held and then +1 gives 100 on hand = 99 available + 1 held, the entry says 90 on hand = 90 available + 0 held")}},
		{"Oversold", held("MUG", 101, events.StockLevel{OnHand: 100, Available: -1, Held: 101}), []invariants.Finding{
			mug("inventory.stock_held at 2: 100 on hand = -1 available + 101 held is below zero"),
			mug("its ledger says 101 held, the reservations that are held sum to 0")}},
		{"HeldForNobody", held("MUG", 1, events.StockLevel{OnHand: 100, Available: 99, Held: 1}), []invariants.Finding{
			mug("its ledger says 1 held, the reservations that are held sum to 0")}},
		{"OtherSKU", held("CUP", 1, events.StockLevel{OnHand: 100, Available: 99, Held: 1}), []invariants.Finding{
			mug(`inventory.stock_held at 2 is about SKU "CUP"`)}},
		{"NoLedgerEntry", events.ItemChanged{SKU: "MUG"}, []invariants.Finding{
			mug("inventory.item_changed at 2 is no ledger entry")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.say(events.PrefixStock+"MUG", test.entry)
			finds(t, check(t, s.options()), test.want...)
		})
	}
	t.Run("ReservedWithoutLedger", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.await("o1", time.Now().Add(time.Hour))
		s.await("o2", time.Now().Add(time.Hour))
		s.reserve("o2", events.ReservationHeld{OrderID: "o2", Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}, {SKU: "GHOST", Quantity: 2}}})
		finds(t, check(t, s.options()),
			invariants.Finding{Invariant: "I3", Subject: "SKU GHOST", Detail: "reservations hold 2, and there is no ledger"},
			invariants.Finding{Invariant: "I3", Subject: "order o2", Detail: "its reservation is held, and not for the goods that were ordered"})
	})
}

// Goods that are sold and yet go back to the shelf, or the other way round, leave every balance right and are oversold.
func TestStockThatIsSoldLeavesTheShelf(t *testing.T) {
	t.Parallel()
	mug := func(detail string) invariants.Finding {
		return invariants.Finding{Invariant: "I3", Subject: "SKU MUG", Detail: detail}
	}
	for name, test := range map[string]struct {
		reservation, stock func(*shop)
		want               invariants.Finding
	}{
		"SoldAndBackOnTheShelf": {
			func(s *shop) { s.reserve("o1", events.ReservationCommitted{OrderID: "o1"}) },
			func(s *shop) {
				s.say(events.PrefixStock+"MUG", events.StockReleased{StockMovement: s.movement("MUG", 1, 0, 1, -1)})
			},
			mug("its ledger says 1 sold, the reservations that are committed sum to 2")},
		"GivenBackAndGone": {
			func(s *shop) { s.reserve("o1", events.ReservationReleased{OrderID: "o1"}) },
			func(s *shop) {
				s.say(events.PrefixStock+"MUG", events.StockCommitted{StockMovement: s.movement("MUG", 1, -1, 0, -1)})
			},
			mug("its ledger says 2 sold, the reservations that are committed sum to 1")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.sell("sold")
			s.await("o1", time.Now().Add(time.Hour))
			test.reservation(s)
			test.stock(s)
			finds(t, check(t, s.options()), test.want)
		})
	}
	t.Run("SoldWithoutLedger", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.order("o1", events.OrderPlaced{OrderID: "o1", Total: gbp(price), ExpiresAt: time.Now().Add(time.Hour),
			Lines: []events.OrderLine{{SKU: "GHOST", Quantity: 2, UnitPrice: gbp(price / 2), Total: gbp(price)}}})
		s.reserve("o1", events.ReservationHeld{OrderID: "o1", Lines: []events.ReservedLine{{SKU: "GHOST", Quantity: 2}}})
		s.order("o1", events.OrderAwaitingPayment{OrderID: "o1", Amount: gbp(price), ExpiresAt: time.Now().Add(time.Hour)})
		s.reserve("o1", events.ReservationCommitted{OrderID: "o1"})
		finds(t, check(t, s.options()), invariants.Finding{Invariant: "I3", Subject: "SKU GHOST", Detail: "reservations sold 2, and there is no ledger"})
	})
}

func TestAcknowledgedOrdersMustExist(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sell("o1")
	options := s.options()
	options.Acknowledged = []string{"o1", "lost"}
	finds(t, check(t, options), invariants.Finding{Invariant: "I1", Subject: "order lost", Detail: "was answered 201 and is not in the log"})
}

// Money that is known not to be where it belongs is an open item with a name, not a broken promise.
func TestRefundsOnTheirWayAreOpenItems(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, id := range []string{"asked", "failed"} {
		s.await(id, time.Now().Add(time.Hour))
		s.order(id, events.OrderCancelled{Reason: events.CancelRequested})
		s.release(id)
		s.capture(id, gbp(price))
		s.pay(id, events.PaymentRefundRequested{OrderID: id, RefundID: id + "-void", Amount: gbp(price), Reason: "cancelled"})
	}
	s.pay("failed", events.PaymentRefundFailed{OrderID: "failed", RefundID: "failed-void", Amount: gbp(price), Reason: "account closed"})
	report := check(t, s.options())
	finds(t, report)
	want := []invariants.OpenItem{
		{Subject: "order asked", Detail: "refund asked-void of 12.50 GBP is asked for and not done: cancelled"},
		{Subject: "order failed", Detail: "refund failed-void of 12.50 GBP failed: account closed"}}
	if diff := cmp.Diff(want, report.OpenItems); diff != "" {
		t.Error(diff)
	}
}

// What moved a moment ago may be on its way: the same half-done orders that are findings later are none now.
func TestOrdersOnTheirWayRaiseNoAlarm(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.place("o1")
	s.await("o2", time.Now().Add(time.Hour))
	s.capture("o2", gbp(price))
	s.order("o2", events.OrderConfirmed{})
	s.pay("o3", events.PaymentRequested{OrderID: "o3", Amount: gbp(price)})
	options := s.options()
	options.Now = time.Now
	report := check(t, options)
	finds(t, report)
	if report.Counts.Progressing != 3 {
		t.Errorf("%d on their way, want 3", report.Counts.Progressing)
	}
}

// An order that looks half done where the reading of the log ended is read again until it is whole.
func TestOrdersAreReadAgainUntilTheyAreWhole(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.await("o1", time.Now().Add(time.Hour))
	s.capture("o1", gbp(price))
	s.order("o1", events.OrderConfirmed{})
	options := s.options()
	options.Now, options.Patience = time.Now, 20*time.Second
	seen := false
	options.Progress = func(p invariants.Progress) {
		if p.Stage == "orders again" && !seen {
			seen = true
			s.commit("o1")
		}
	}
	report := check(t, options)
	finds(t, report)
	if !seen || report.Counts.Progressing != 0 || report.Counts.ByStatus["confirmed"] != 1 {
		t.Errorf("read again: %v, counts %+v; want the order whole", seen, report.Counts)
	}
}
