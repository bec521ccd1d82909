package replay_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
)

// shop is a log that a test writes by hand.
type shop struct {
	t      testing.TB
	server *embedded.NATS
	log    *eventlog.Log
	js     jetstream.JetStream
	*replay.Reader
}

func newShop(t testing.TB) *shop {
	t.Helper()
	return openShop(t, logtest.Server(t))
}

// openShop opens the log of a server, creating it where it is not there, and a reader of it.
func openShop(t testing.TB, server *embedded.NATS) *shop {
	t.Helper()
	l, conn := logtest.OpenOn(t, server), logtest.Connect(t, server)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := replay.Open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	return &shop{t: t, server: server, log: l, js: js, Reader: reader}
}

// say appends a fact; its id is the fact's type, unless that is taken by a name.
func (s *shop) say(id, subject, order, cause string, fact events.Payload) {
	s.t.Helper()
	msg, err := events.Encode(events.Event{ID: id, Source: "test", Time: time.Now(), Subject: subject, Revision: s.revision(subject) + 1,
		CorrelationID: order, CausationID: cause, Payload: fact})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.js.PublishMsg(s.t.Context(), msg); err != nil {
		s.t.Fatal(err)
	}
}

// revision is how many events an entity has.
func (s *shop) revision(subject string) uint64 {
	s.t.Helper()
	last, err := s.Newest(s.t.Context(), subject)
	if errors.Is(err, replay.ErrNotFound) {
		return 0
	}
	if err != nil {
		s.t.Fatal(err)
	}
	e, err := events.DecodeEnvelope(last.Subject, last.Header)
	if err != nil { // published by hand
		return 0
	}
	return e.Revision
}

func mug(order string, quantity int64) events.StockMovement {
	return events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: quantity, OrderID: order, After: events.StockLevel{OnHand: 9, Available: 9 - quantity, Held: quantity}}
}

// purchase writes an order that is awaited and paid, with another order's events in between.
func (s *shop) purchase(id string) {
	s.say(id+"-placed", "orders."+id, id, "", events.OrderPlaced{OrderID: id, Number: strings.ToUpper(id) + "-NUMBER", Lines: []events.OrderLine{{SKU: "MUG", Quantity: 1}}})
	s.say(id+"-reserved", "inventory.reservations."+id, id, id+"-placed", events.ReservationHeld{OrderID: id, Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
	s.say(id+"-held", "inventory.stock.main.MUG", id, id+"-placed", events.StockHeld{StockMovement: mug(id, 1)})
	s.say(id+"-awaited", "orders."+id, id, id+"-reserved", events.OrderAwaitingPayment{OrderID: id})
	s.say(id+"-requested", "payments."+events.FirstPaymentID(id), id, id+"-awaited", events.PaymentRequested{OrderID: id})
	s.say(id+"-intent", "payments."+events.FirstPaymentID(id), id, id+"-requested", events.PaymentIntentCreated{OrderID: id, PaymentIntent: "pi_" + id})
	body := fmt.Sprintf(`{"data":{"object":{"id":"ch_1","payment_intent":"pi_%s"}}}`, id)
	s.say(id+"-webhook", events.SubjectWebhooks, "", "", events.WebhookReceived{StripeEvent: "evt_" + id, StripeType: "charge.succeeded", Via: "webhook", Body: []byte(body)})
	s.say(id+"-captured", "payments."+events.FirstPaymentID(id), id, id+"-webhook", events.PaymentCaptured{OrderID: id})
	s.say(id+"-mail", "notifications."+id, id, id+"-captured", events.MessageQueued{OrderID: id, Facts: []byte("{}")})
	s.say(id+"-dead", "deadletters.orders."+id, "", "", events.DeadLettered{Worker: "orders", Sequence: 1 << 40, Subject: "orders." + id, Error: "no"})
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
	s.say("item", "inventory.items.MUG", "", "", events.ItemChanged{SKU: "MUG"})
	history, err := s.Timeline(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"b-placed", "b-reserved", "b-held", "b-awaited", "b-requested", "b-intent", "b-webhook", "b-captured", "b-mail", "b-dead"}
	if diff := cmp.Diff(want, ids(history)); diff != "" {
		t.Error(diff)
	}
	causes := map[string]int{}
	for i, e := range history.Entries {
		causes[e.EventID] = e.Cause
		if e.Number != i+1 || e.Summary == "" && e.Type != "payments.cancelled" {
			t.Errorf("entry %d is numbered %d and says %q", i+1, e.Number, e.Summary)
		}
	}
	wantCauses := map[string]int{"b-placed": 0, "b-reserved": 1, "b-held": 1, "b-awaited": 2, "b-requested": 4, "b-intent": 5,
		"b-webhook": 0, "b-captured": 7, "b-mail": 8, "b-dead": 0}
	if diff := cmp.Diff(wantCauses, causes); diff != "" {
		t.Error(diff)
	}
}

// An effect that was stored before its cause (by a forger) is shown after it all the same, and
// a circle of causes is shown at all.
func TestTimelinePutsCausesFirst(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.say("effect", "orders.o1", "o1", "cause", events.OrderConfirmed{})
	s.say("cause", "payments."+events.FirstPaymentID("o1"), "o1", "", events.PaymentCaptured{OrderID: "o1"})
	s.say("hen", "orders.o1", "o1", "egg", events.OrderExpired{})
	s.say("egg", "orders.o1", "o1", "hen", events.OrderExpired{})
	s.say("self", "orders.o1", "o1", "self", events.OrderExpired{})
	history, err := s.Timeline(t.Context(), "o1")
	if err != nil {
		t.Fatal(err)
	}
	got := ids(history)
	if slices.Index(got, "cause") > slices.Index(got, "effect") {
		t.Errorf("the effect stands before its cause: %v", got)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"cause", "effect", "egg", "hen", "self"}, got); diff != "" {
		t.Error(diff)
	}
}

// The ledger entries of an order of 800 lines stand in one batch with its reservation, up to a thousand messages away.
func TestTimelineFindsTheStockOfLargeOrders(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.say("placed", "orders.big", "big", "", events.OrderPlaced{OrderID: "big"})
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
		t.Errorf("%d entries, %v; want 802", len(history.Entries), err)
	}
}

func TestTimelineShowsWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.say("placed", "orders.o1", "o1", "", events.OrderPlaced{OrderID: "o1"})
	if _, err := s.js.Publish(t.Context(), "orders.o1", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	history, err := s.Timeline(t.Context(), "o1")
	if err != nil || len(history.Entries) != 2 || !strings.HasPrefix(history.Entries[1].Summary, "cannot be read") {
		t.Errorf("got %+v, %v", history.Entries, err)
	}
}

// A dead letter points to an event: it belongs to the order that the event is about, and stands behind it.
func TestTimelineShowsDeadLettersOfItsEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.say("a-placed", "orders.a", "a", "", events.OrderPlaced{OrderID: "a"})
	s.say("b-placed", "orders.b", "b", "", events.OrderPlaced{OrderID: "b"})
	for i, id := range []string{"a", "b"} {
		s.say(id+"-dead", "deadletters.inventory."+id, "", id+"-placed", events.DeadLettered{Worker: "inventory", Sequence: uint64(1 + i), Error: "bad payload"})
	}
	s.say("b-expired", "orders.b", "b", "", events.OrderExpired{})
	history, err := s.Timeline(t.Context(), "b")
	if diff := cmp.Diff([]string{"b-placed", "b-dead", "b-expired"}, ids(history)); err != nil || diff != "" {
		t.Fatalf("%v: %s", err, diff)
	}
	if dead := history.Entries[1]; dead.Cause != 1 || dead.Stream != events.StreamDeadLetters || dead.Summary != "inventory could not handle 2: bad payload" {
		t.Errorf("got %+v", dead)
	}
}

func TestNoSuchOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.purchase("a")
	if _, err := s.Timeline(t.Context(), "nobody"); !errors.Is(err, replay.ErrNotFound) {
		t.Errorf("unknown id: %v", err)
	}
	for _, hostile := range []string{"*", ">", "a.b", "", strings.Repeat("x", 5000)} {
		if _, err := s.Timeline(t.Context(), hostile); !errors.Is(err, events.ErrBadID) {
			t.Errorf("id %.10q: %v", hostile, err)
		}
	}
	if _, err := s.FindOrder(t.Context(), "B-NUMBER"); !errors.Is(err, replay.ErrNotFound) {
		t.Errorf("unknown number: %v", err)
	}
	if id, err := s.FindOrder(t.Context(), "a-number"); err != nil || id != "a" {
		t.Errorf("number: %q, %v", id, err)
	}
}

// Every fact that the shop can state has a summary: a new type without one would show as an empty line.
func TestEveryFactHasASummary(t *testing.T) {
	t.Parallel()
	for _, d := range events.Definitions() {
		switch d.Zero.(type) {
		case events.PaymentCancelRequested, events.PaymentCancelled, events.MessageSent:
			continue // these say what stands in them, and the zero value is empty
		}
		if replay.Summary(events.Event{Type: d.Type, Payload: d.Zero}) == "" {
			t.Errorf("%s has no summary", d.Type)
		}
	}
}
