package replay_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

func mug(order string, quantity int64) events.StockMovement {
	return events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: quantity, OrderID: order, After: events.StockLevel{OnHand: 9, Available: 9 - quantity, Held: quantity}}
}

// purchase appends the events of an order that is paid, and a dead letter about it.
func (s *shop) purchase(id string) {
	s.append(id+"-placed", "orders."+id, id, "", events.OrderPlaced{OrderID: id, Number: strings.ToUpper(id) + "-NUMBER", Lines: []events.OrderLine{{SKU: "MUG", Quantity: 1}}})
	s.append(id+"-reserved", "inventory.reservations."+id, id, id+"-placed", events.ReservationHeld{OrderID: id, Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
	s.append(id+"-held", "inventory.stock.main.MUG", id, id+"-placed", events.StockHeld{StockMovement: mug(id, 1)})
	s.append(id+"-awaited", "orders."+id, id, id+"-reserved", events.OrderAwaitingPayment{OrderID: id})
	s.append(id+"-requested", "payments."+events.FirstPaymentID(id), id, id+"-awaited", events.PaymentRequested{OrderID: id})
	s.append(id+"-intent", "payments."+events.FirstPaymentID(id), id, id+"-requested", events.PaymentIntentCreated{OrderID: id, PaymentIntent: "pi_" + id})
	body := fmt.Sprintf(`{"data":{"object":{"id":"ch_1","payment_intent":"pi_%s"}}}`, id)
	s.append(id+"-webhook", events.SubjectWebhooks, "", "", events.WebhookReceived{StripeEvent: "evt_" + id, StripeType: "charge.succeeded", Via: "webhook", Body: []byte(body)})
	s.append(id+"-captured", "payments."+events.FirstPaymentID(id), id, id+"-webhook", events.PaymentCaptured{OrderID: id})
	s.append(id+"-mail", "notifications."+id, id, id+"-captured", events.MessageQueued{OrderID: id, Facts: []byte("{}")})
	s.append(id+"-dead", "deadletters.orders."+id, "", "", events.DeadLettered{Worker: "orders", Sequence: 1 << 40, Subject: "orders." + id, Error: "no"})
}

func ids(h replay.History) (ids []string) {
	for _, e := range h.Entries {
		ids = append(ids, e.EventID)
	}
	return ids
}

func TestTimelineGathersEverythingAndNoOtherOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.purchase("a")
	s.purchase("b")
	s.append("item", "inventory.items.MUG", "", "", events.ItemChanged{SKU: "MUG"})
	history, err := s.Timeline(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"b-placed", "b-reserved", "b-held", "b-awaited", "b-requested", "b-intent", "b-webhook", "b-captured", "b-mail", "b-dead"}
	if diff := cmp.Diff(want, ids(history)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	causes := map[string]int{}
	for i, e := range history.Entries {
		causes[e.EventID] = e.Cause
		if e.Number != i+1 || e.Summary == "" && e.Type != "payments.cancelled" {
			t.Errorf("entry %d: got number %d and summary %q", i+1, e.Number, e.Summary)
		}
	}
	wantCauses := map[string]int{"b-placed": 0, "b-reserved": 1, "b-held": 1, "b-awaited": 2, "b-requested": 4, "b-intent": 5,
		"b-webhook": 0, "b-captured": 7, "b-mail": 8, "b-dead": 0}
	if diff := cmp.Diff(wantCauses, causes); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
}

// A forged effect that was stored before its cause is sorted after it, and a cycle of causes is included.
// A repair or a restore writes messages again, with new times of the broker. The timeline shows when the events happened.
func TestTimelineShowsTheTimeOfRewrittenEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.age = 24 * time.Hour
	s.append("a-placed", "orders.a", "a", "", events.OrderPlaced{OrderID: "a", Lines: []events.OrderLine{{SKU: "MUG", Quantity: 1}}})
	s.age = 0
	s.append("a-cancelled", "orders.a", "a", "", events.OrderCancelled{})
	history, err := s.Timeline(t.Context(), "a")
	if err != nil || len(history.Entries) != 2 {
		t.Fatalf("got %d entries, %v; want 2", len(history.Entries), err)
	}
	if after := history.Entries[1].After; after < 23*time.Hour || after > 25*time.Hour {
		t.Errorf("time between the events: got %s, want a day", after)
	}
}

// However many events an order has, those of the stock, which it shares with other orders, do not count as events that its entities lack.
func TestTimelineOfAWholeLogMissesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	stock := events.PrefixStock + "MUG"
	for n := range 3 {
		s.append(fmt.Sprint("other-", n), stock, "other", "", events.StockHeld{StockMovement: mug("other", 1)})
	}
	s.append("placed", events.PrefixOrder+"o1", "o1", "", events.OrderPlaced{OrderID: "o1"})
	s.append("held", stock, "o1", "placed", events.StockHeld{StockMovement: mug("o1", 1)})
	s.append("reserved", events.PrefixReservation+"o1", "o1", "placed", events.ReservationHeld{OrderID: "o1"})
	for n := range 40 {
		s.append(fmt.Sprint("mail-", n), events.PrefixNotification+"o1", "o1", "placed", events.MessageSent{OrderID: "o1", MessageID: fmt.Sprint(n)})
		h, err := s.Timeline(t.Context(), "o1")
		if err != nil {
			t.Fatal(err)
		}
		if len(h.Missing) > 0 || len(h.Entries) != n+4 {
			t.Fatalf("with %d mails: %d events, and missing: %v; want %d and none", n+1, len(h.Entries), h.Missing, n+4)
		}
	}
}

func TestTimelineSortsCausesBeforeEffects(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.append("effect", "orders.o1", "o1", "cause", events.OrderConfirmed{})
	s.append("cause", "payments."+events.FirstPaymentID("o1"), "o1", "", events.PaymentCaptured{OrderID: "o1"})
	s.append("hen", "orders.o1", "o1", "egg", events.OrderExpired{})
	s.append("egg", "orders.o1", "o1", "hen", events.OrderExpired{})
	s.append("self", "orders.o1", "o1", "self", events.OrderExpired{})
	history, err := s.Timeline(t.Context(), "o1")
	if err != nil {
		t.Fatal(err)
	}
	got := ids(history)
	if slices.Index(got, "cause") > slices.Index(got, "effect") {
		t.Errorf("entries: got %v, want cause before effect", got)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"cause", "effect", "egg", "hen", "self"}, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// The stock movements of an order with 800 lines are in one batch with its reservation, up to a thousand messages away.
func TestTimelineFindsStockMovementsOfLargeOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.append("placed", "orders.big", "big", "", events.OrderPlaced{OrderID: "big"})
	reservations := eventlog.Entity[int]{Prefix: events.PrefixReservation, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}
	stocks := eventlog.Entity[int]{Prefix: events.PrefixStock, Apply: reservations.Apply}
	err := s.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		tx.WithCorrelation("big")
		for i := range 800 {
			sku := fmt.Sprintf("SKU-%d", i)
			if err := stocks.Append(tx, sku, events.StockHeld{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: 1, OrderID: "big"}}); err != nil {
				return err
			}
		}
		return reservations.Append(tx, "big", events.ReservationHeld{OrderID: "big"})
	})
	if err != nil {
		t.Fatal(err)
	}
	history, err := s.Timeline(t.Context(), "big")
	if err != nil || len(history.Entries) != 802 {
		t.Errorf("entries: got %d, %v; want 802", len(history.Entries), err)
	}
}

func TestTimelineIncludesUnreadableMessage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.append("placed", "orders.o1", "o1", "", events.OrderPlaced{OrderID: "o1"})
	if _, err := s.js.Publish(t.Context(), "orders.o1", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	history, err := s.Timeline(t.Context(), "o1")
	if err != nil || len(history.Entries) != 2 || !strings.HasPrefix(history.Entries[1].Summary, "cannot be read") {
		t.Errorf("entries: got %+v, %v; want an unreadable second one", history.Entries, err)
	}
}

// A dead letter belongs to the order of its event, and comes after the event.
func TestTimelineIncludesDeadLettersOfItsEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.append("a-placed", "orders.a", "a", "", events.OrderPlaced{OrderID: "a"})
	s.append("b-placed", "orders.b", "b", "", events.OrderPlaced{OrderID: "b"})
	for i, id := range []string{"a", "b"} {
		s.append(id+"-dead", "deadletters.inventory."+id, "", id+"-placed", events.DeadLettered{Worker: "inventory", Sequence: uint64(1 + i), Error: "bad payload"})
	}
	s.append("b-expired", "orders.b", "b", "", events.OrderExpired{})
	history, err := s.Timeline(t.Context(), "b")
	if diff := cmp.Diff([]string{"b-placed", "b-dead", "b-expired"}, ids(history)); err != nil || diff != "" {
		t.Fatalf("entries: %v (-want +got):\n%s", err, diff)
	}
	if dead := history.Entries[1]; dead.Cause != 1 || dead.Stream != events.StreamDeadLetters || dead.Summary != "inventory could not handle 2: bad payload" {
		t.Errorf("dead letter: got %+v, want the summary of the event that entry 1 caused", dead)
	}
}

func TestTimelineAndFindOrderRefuseUnknownOrders(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.purchase("a")
	if _, err := s.Timeline(t.Context(), "unknown"); !errors.Is(err, replay.ErrNotFound) {
		t.Errorf("timeline of an unknown order: got %v, want %v", err, replay.ErrNotFound)
	}
	for _, hostile := range []string{"*", ">", "a.b", "", strings.Repeat("x", 5000)} {
		if _, err := s.Timeline(t.Context(), hostile); !errors.Is(err, events.ErrBadID) {
			t.Errorf("timeline of %.10q: got %v, want %v", hostile, err, events.ErrBadID)
		}
	}
	if _, err := s.FindOrder(t.Context(), "B-NUMBER"); !errors.Is(err, replay.ErrNotFound) {
		t.Errorf("find an unknown number: got %v, want %v", err, replay.ErrNotFound)
	}
	if id, err := s.FindOrder(t.Context(), "a-number"); err != nil || id != "a" {
		t.Errorf("find a-number: got %q, %v; want a", id, err)
	}
}

// Every event type has a summary: a type without one would show as an empty line.
func TestEveryEventTypeHasSummary(t *testing.T) {
	t.Parallel()
	for _, d := range events.Definitions() {
		switch d.Zero.(type) {
		case events.PaymentCancelRequested, events.PaymentCancelled, events.MessageSent:
			continue // the summary is a field, which is empty in the zero value
		}
		if replay.Summary(events.Event{Type: d.Type, Payload: d.Zero}) == "" {
			t.Errorf("summary of %s: got none", d.Type)
		}
	}
}
