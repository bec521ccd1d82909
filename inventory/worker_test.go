package inventory_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/inventory"
)

func TestOrderIsHeldAndSold(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "A", 5)
	s.stock(t, "B", 1)
	s.appendOrder(t, "o1", events.OrderPlaced{OrderID: "o1", Lines: append(lines(2, "A", "B", "A")[:1], lines(1, "B", "A")...)})
	s.awaitState(t, "o1", inventory.StateHeld)
	if diff := cmp.Diff([]events.ReservedLine{{SKU: "A", Quantity: 3}, {SKU: "B", Quantity: 1}}, s.reservation(t, "o1").Lines); diff != "" {
		t.Fatal(diff)
	}
	if got, want := s.level(t, "A"), (events.StockLevel{OnHand: 5, Available: 2, Held: 3}); got != want {
		t.Fatalf("held: got %+v, want %+v", got, want)
	}
	s.appendOrder(t, "o1", events.OrderConfirmed{OrderOutcome: outcome("o1")})
	s.awaitState(t, "o1", inventory.StateCommitted)
	if got, want := s.level(t, "A"), (events.StockLevel{OnHand: 2, Available: 2}); got != want {
		t.Fatalf("sold: got %+v, want %+v", got, want)
	}
}

func TestShortOrderIsRefusedWithEveryShortLine(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "A", 5)
	s.stock(t, "B", 1)
	s.appendOrder(t, "o1", events.OrderPlaced{OrderID: "o1", Lines: lines(2, "A", "B", "UNLISTED")})
	s.awaitState(t, "o1", inventory.StateRefused)
	want := []events.Shortage{{SKU: "B", Requested: 2, Available: 1}, {SKU: "UNLISTED", Requested: 2}}
	if diff := cmp.Diff(want, s.reservation(t, "o1").Short); diff != "" {
		t.Fatal(diff)
	}
	if got := s.level(t, "A"); got.Held != 0 {
		t.Fatalf("level after the refusal: got %+v, want nothing held", got)
	}
}

func TestEveryUnpaidEndReleasesTheStock(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "A", 3)
	for id, end := range map[string]events.Payload{
		"expired": events.OrderExpired{OrderOutcome: outcome("expired")}, "cancelled": events.OrderCancelled{OrderOutcome: outcome("cancelled")},
		"rejected": events.OrderRejected{OrderOutcome: outcome("rejected")},
	} {
		s.appendOrder(t, id, events.OrderPlaced{OrderID: id, Lines: lines(3, "A")})
		s.awaitState(t, id, inventory.StateHeld)
		s.appendOrder(t, id, end)
		s.awaitState(t, id, inventory.StateReleased)
	}
	if got, want := s.level(t, "A"), (events.StockLevel{OnHand: 3, Available: 3}); got != want {
		t.Fatalf("got level %+v, want %+v", got, want)
	}
}

func TestALatePaymentHoldsTheStockThatIsLeft(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "A", 1)
	for _, id := range []string{"first", "second"} {
		s.appendOrder(t, id, events.OrderPlaced{OrderID: id, Lines: lines(1, "A")})
		s.awaitState(t, id, inventory.StateHeld)
		s.appendOrder(t, id, events.OrderExpired{OrderOutcome: outcome(id)})
		s.awaitState(t, id, inventory.StateReleased)
	}
	// Both pay late, and there is one unit. The expiry, delivered again, does not release it.
	s.appendOrder(t, "first", events.OrderPaidLate{OrderID: "first", Lines: lines(1, "A")}, events.OrderExpired{OrderOutcome: outcome("first")})
	s.appendOrder(t, "second", events.OrderPaidLate{OrderID: "second", Lines: lines(1, "A")})
	s.awaitState(t, "second", inventory.StateRefused)
	if got := s.reservation(t, "first"); got.State != inventory.StateHeld || !got.Late {
		t.Fatalf("first reservation: got %+v, want held and late", got)
	}
	s.appendOrder(t, "first", events.OrderConfirmed{OrderOutcome: outcome("first")})
	s.awaitState(t, "first", inventory.StateCommitted)
	if got := s.level(t, "A"); got != (events.StockLevel{}) {
		t.Fatalf("got level %+v, want 0", got)
	}
}

// 800 is the greatest limit of lines that can be configured.
func TestAnOrderOf800LinesIsHeldAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	skus, ten := make([]string, 800), int64(10)
	listings := make([]inventory.Listing, len(skus))
	for i := range skus {
		skus[i] = fmt.Sprintf("SKU-%03d", i)
		listings[i] = inventory.Listing{SKU: skus[i], Title: skus[i], Price: events.Money{Amount: 1, Currency: "GBP"}, OnHand: &ten}
	}
	if _, err := s.service.PutItems(t.Context(), listings, events.Author{Actor: "staff:me"}); err != nil {
		t.Fatal(err)
	}
	s.appendOrder(t, "big", events.OrderPlaced{OrderID: "big", Lines: lines(4, skus...)})
	s.appendOrder(t, "small", events.OrderPlaced{OrderID: "small", Lines: lines(7, skus[799])})
	s.awaitState(t, "small", inventory.StateRefused)
	s.appendOrder(t, "big", events.OrderConfirmed{OrderOutcome: outcome("big")})
	s.awaitState(t, "big", inventory.StateCommitted)
	if got, want := s.level(t, skus[0]), (events.StockLevel{OnHand: 6, Available: 6}); got != want {
		t.Fatalf("got level %+v, want %+v", got, want)
	}
}

func TestImpossibleEventsBecomeDeadLettersAndOthersAreHandled(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "A", 5)
	s.appendOrder(t, "o1", events.OrderConfirmed{OrderOutcome: outcome("o1")})           // nothing is held
	s.appendOrder(t, "o2", events.OrderPlaced{OrderID: "o2", Lines: lines(-1, "A")})     // bad quantity
	s.appendOrder(t, "o3", events.OrderPlaced{OrderID: "o3", Lines: lines(1, " ", "A")}) // no SKU
	s.appendOrder(t, "o4", events.OrderPlaced{OrderID: "o5", Lines: lines(1, "A")})      // another order's subject
	s.appendOrder(t, "o6", events.OrderPlaced{OrderID: "o6", Lines: lines(1, "A")})
	s.awaitState(t, "o6", inventory.StateHeld)
	s.awaitDeadLetters(t, 4)
	if got := s.level(t, "A"); got.Held != 1 {
		t.Fatalf("got level %+v, want 1 held", got)
	}
}

// Row 21 of the fault matrix, for the events that inventory handles.
func TestOrderEventsDeliveredAgainAppendNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "A", 3)
	appendAll := func() {
		s.appendOrder(t, "sold", events.OrderPlaced{OrderID: "sold", Lines: lines(1, "A")}, events.OrderConfirmed{OrderOutcome: outcome("sold")})
		s.appendOrder(t, "short", events.OrderPlaced{OrderID: "short", Lines: lines(9, "A")}, events.OrderRejected{OrderOutcome: outcome("short")})
		s.appendOrder(t, "late", events.OrderPlaced{OrderID: "late", Lines: lines(1, "A")}, events.OrderExpired{OrderOutcome: outcome("late")},
			events.OrderPaidLate{OrderID: "late", Lines: lines(1, "A")})
	}
	appendAll()
	s.wait(t, "late is held again", func() bool { return s.reservation(t, "late").Late })
	before := s.messages(t)
	appendAll()
	s.appendOrder(t, "end", events.OrderPlaced{OrderID: "end", Lines: lines(9, "A")})
	s.awaitState(t, "end", inventory.StateRefused)
	if after := s.messages(t); after != before+1 {
		t.Fatalf("got %d events, want %d", after, before+1)
	}
}

// awaitDeadLetters waits until a number of events are dead letters.
func (s *shop) awaitDeadLetters(t *testing.T, n uint64) {
	t.Helper()
	stream, err := s.log.JetStream().Stream(t.Context(), events.StreamDeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	s.wait(t, fmt.Sprintf("%d events are dead letters", n), func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == n
	})
}

// messages returns how many events inventory has appended.
func (s *shop) messages(t *testing.T) uint64 {
	t.Helper()
	stream, err := s.log.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter("inventory.>"))
	if err != nil {
		t.Fatal(err)
	}
	total := uint64(0)
	for _, n := range info.State.Subjects {
		total += n
	}
	return total
}
