package inventory_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/inventory"
)

// sell holds and sells an order of three units of A and one of B, of five each.
func (s *shop) sell(t *testing.T, orderID string) {
	t.Helper()
	s.stock(t, "A", 5)
	s.stock(t, "B", 5)
	s.appendOrder(t, orderID, events.OrderPlaced{OrderID: orderID, Lines: append(lines(3, "A"), lines(1, "B")...)},
		events.OrderConfirmed{OrderOutcome: outcome(orderID)})
	s.awaitState(t, orderID, inventory.StateCommitted)
}

func refundOf(orderID, refundID string, restock int64) events.OrderRefundRequested {
	return events.OrderRefundRequested{OrderOutcome: outcome(orderID), RefundID: refundID,
		Lines: []events.RefundLine{{SKU: "A", Quantity: 3, Restock: restock}, {SKU: "B", Quantity: 1}}}
}

// Row 48 of the fault matrix: a refund, a last parcel and a cancellation return their goods to stock, each once, however often the
// event arrives.
func TestGoodsReturnToStockOncePerCause(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell(t, "o1")
	refund := refundOf("o1", "r1", 1)
	parcel := events.OrderFulfilmentCreated{OrderOutcome: outcome("o1"), FulfilmentID: "f1", Lines: []events.ReservedLine{{SKU: "A", Quantity: 1}}, Final: true,
		Cancelled: []events.ReservedLine{{SKU: "A", Quantity: 1}}}
	cancelled := events.OrderCancelled{OrderOutcome: outcome("o1"), Reason: events.CancelAuthorizationExpired, Restock: []events.ReservedLine{{SKU: "A", Quantity: 1}, {SKU: "B", Quantity: 1}}}
	s.appendOrder(t, "o1", refund, refund, parcel, refund, parcel, cancelled, cancelled)
	s.awaitQueue(t, "o1-over")
	want := map[string][]events.ReservedLine{"r1": {{SKU: "A", Quantity: 1}}, "f1": {{SKU: "A", Quantity: 1}}, "cancelled": {{SKU: "A", Quantity: 1}, {SKU: "B", Quantity: 1}}}
	if diff := cmp.Diff(want, s.reservation(t, "o1").Returned); diff != "" {
		t.Errorf("returned (-want +got):\n%s", diff)
	}
	s.checkLevels(t, events.StockLevel{OnHand: 5, Available: 5})
	s.sell(t, "o2")
	lost := events.OrderAuthorizationLost{OrderOutcome: outcome("o2"), Lines: []events.ReservedLine{{SKU: "A", Quantity: 3}, {SKU: "B", Quantity: 1}}}
	s.appendOrder(t, "o2", lost, lost)
	s.awaitQueue(t, "o2-over")
	s.checkLevels(t, events.StockLevel{OnHand: 5, Available: 5})
	s.awaitDeadLetters(t, 0)
}

// awaitQueue waits until the events before it are handled: it appends an order of more than there is, and waits for its refusal.
func (s *shop) awaitQueue(t *testing.T, orderID string) {
	t.Helper()
	s.appendOrder(t, orderID, events.OrderPlaced{OrderID: orderID, Lines: lines(9, "A")})
	s.awaitState(t, orderID, inventory.StateRefused)
}

// checkLevels compares the levels of A and B.
func (s *shop) checkLevels(t *testing.T, want events.StockLevel) {
	t.Helper()
	for _, sku := range []string{"A", "B"} {
		if got := s.level(t, sku); got != want {
			t.Errorf("level of %s: got %+v, want %+v", sku, got, want)
		}
	}
}

// Goods that were not sold, or that are in stock again, cannot be returned: the event becomes a dead letter and changes nothing.
func TestOnlySoldGoodsReturnToStock(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell(t, "o1")
	s.appendOrder(t, "held", events.OrderPlaced{OrderID: "held", Lines: lines(1, "A")}, refundOf("held", "r1", 1))
	s.appendOrder(t, "o1", refundOf("o1", "r1", 2), refundOf("o1", "r2", 2), refundOf("o1", "r3", -1), refundOf("o1", "r4", 0))
	s.awaitDeadLetters(t, 3)
	if got, want := s.level(t, "A"), (events.StockLevel{OnHand: 4, Available: 3, Held: 1}); got != want {
		t.Errorf("level: got %+v, want %+v", got, want)
	}
}

// A cancelled order whose stock is still held releases it, whatever the event says.
func TestCancellingAHeldOrderReleasesItsStock(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "A", 5)
	s.appendOrder(t, "o1", events.OrderPlaced{OrderID: "o1", Lines: lines(3, "A")},
		events.OrderCancelled{OrderOutcome: outcome("o1"), Restock: []events.ReservedLine{{SKU: "A", Quantity: 3}}})
	s.awaitState(t, "o1", inventory.StateReleased)
	if got, want := s.level(t, "A"), (events.StockLevel{OnHand: 5, Available: 5}); got != want {
		t.Errorf("level: got %+v, want %+v", got, want)
	}
}
