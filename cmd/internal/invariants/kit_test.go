package invariants_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/embedded"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
)

// shop is a broker with a log to which a test appends events by hand, with a Stripe and a mailbox of its own.
type shop struct {
	t       testing.TB
	server  *embedded.NATS
	js      jetstream.JetStream
	reader  *replay.Reader
	level   map[string]events.StockLevel
	intents []map[string]any            // at Stripe
	refunds map[string][]map[string]any // at Stripe, by PaymentIntent
	mails   []string                    // Message-IDs in the mailbox
	clock   time.Time                   // the time of the shop; zero: the real time
}

func newShop(t testing.TB) *shop {
	t.Helper()
	server := logtest.Server(t)
	logtest.OpenOn(t, server)
	conn := logtest.Connect(t, server)
	reader, err := replay.Open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	s := &shop{t: t, server: server, js: logtest.JetStream(t, conn), reader: reader, level: map[string]events.StockLevel{}}
	s.adjusted("MUG", 100)
	return s
}

// publish appends an event and returns its id.
func (s *shop) publish(subject string, payload events.Payload) string {
	s.t.Helper()
	id := uuid.NewString()
	msg, err := events.Encode(events.Event{ID: id, Source: "test", Time: time.Now(), Subject: subject, Payload: payload})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.js.PublishMsg(s.t.Context(), msg); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *shop) order(id string, payload events.Payload) string {
	return s.publish(events.PrefixOrder+id, payload)
}

func (s *shop) pay(id string, payload events.Payload) {
	s.publish(events.PrefixPayment+events.FirstPaymentID(id), payload)
}

func (s *shop) reserve(id string, payload events.Payload) {
	s.publish(events.PrefixReservation+id, payload)
}

func (s *shop) notify(id string, payload events.Payload) {
	s.publish(events.PrefixNotification+id, payload)
}

func gbp(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }

const price = 1250

// movement changes the stock of a SKU and returns the movement.
func (s *shop) movement(sku string, quantity, onHand, available, held int64) events.StockMovement {
	l := s.level[sku]
	l.OnHand, l.Available, l.Held = l.OnHand+onHand, l.Available+available, l.Held+held
	s.level[sku] = l
	return events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: quantity, After: l}
}

func (s *shop) adjusted(sku string, n int64) {
	s.publish(events.PrefixStock+sku, events.StockAdjusted{StockMovement: s.movement(sku, n, n, n, 0), Reason: "received"})
}

func (s *shop) held(id string) {
	s.reserve(id, events.ReservationHeld{OrderID: id, Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
	s.publish(events.PrefixStock+"MUG", events.StockHeld{StockMovement: s.movement("MUG", 1, 0, -1, 1)})
}

func (s *shop) released(id string) {
	s.reserve(id, events.ReservationReleased{OrderID: id})
	s.publish(events.PrefixStock+"MUG", events.StockReleased{StockMovement: s.movement("MUG", 1, 0, 1, -1)})
}

func (s *shop) committed(id string) {
	s.reserve(id, events.ReservationCommitted{OrderID: id})
	s.publish(events.PrefixStock+"MUG", events.StockCommitted{StockMovement: s.movement("MUG", 1, -1, 0, -1)})
}

// returned appends that a mug which was sold is in stock again.
func (s *shop) returned(id, cause string) {
	s.reserve(id, events.ReservationReturned{OrderID: id, Cause: cause, Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
	s.publish(events.PrefixStock+"MUG", events.StockReturned{StockMovement: s.movement("MUG", 1, 1, 1, 0)})
}

func (s *shop) placed(id string) {
	s.order(id, events.OrderPlaced{OrderID: id, Number: strings.ToUpper(id), Total: gbp(price), ExpiresAt: time.Now().Add(time.Hour),
		Lines: []events.OrderLine{{SKU: "MUG", Quantity: 1, UnitPrice: gbp(price), Total: gbp(price)}}})
}

// awaiting appends an order whose stock is held and whose payment is requested.
func (s *shop) awaiting(id string, deadline time.Time) {
	s.placed(id)
	s.held(id)
	s.order(id, events.OrderAwaitingPayment{OrderID: id, Amount: gbp(price), ExpiresAt: deadline})
	s.pay(id, events.PaymentRequested{OrderID: id, Amount: gbp(price)})
	s.pay(id, events.PaymentIntentCreated{OrderID: id, PaymentIntent: "pi_" + id, Amount: gbp(price)})
}

func (s *shop) captured(id string, amount events.Money) {
	s.pay(id, events.PaymentAuthorized{OrderID: id, PaymentIntent: "pi_" + id, Amount: amount})
	s.pay(id, events.PaymentCaptured{OrderID: id, PaymentIntent: "pi_" + id, Amount: amount})
	s.chargeAtStripe("pi_"+id, id, amount.Amount)
}

func (s *shop) chargeAtStripe(intent, id string, received int64) {
	s.intents = append(s.intents, map[string]any{"id": intent, "amount_received": received, "currency": "gbp", "status": "succeeded",
		"created": time.Now().Unix(), "metadata": map[string]string{"order_id": id, "payment_id": events.FirstPaymentID(id)}})
}

func (s *shop) refundAtStripe(intent string, amount int64, status string) {
	if s.refunds == nil {
		s.refunds = map[string][]map[string]any{}
	}
	s.refunds[intent] = append(s.refunds[intent], map[string]any{"amount": amount, "currency": "gbp", "status": status})
}

// mailed appends a mail that is sent. Its Message-ID depends on the order and the template.
func (s *shop) mailed(id, template, fact string) {
	messageID := id + "." + template + "@shop.example"
	s.notify(id, events.MessageQueued{OrderID: id, MessageID: messageID, Template: template, Fact: fact, Facts: []byte("{}")})
	s.notify(id, events.MessageSending{OrderID: id, MessageID: messageID, Attempt: 1})
	s.notify(id, events.MessageSent{OrderID: id, MessageID: messageID})
	s.mails = append(s.mails, messageID)
}

// sold appends a complete purchase.
func (s *shop) sold(id string) {
	s.awaiting(id, time.Now().Add(time.Hour))
	s.order(id, events.OrderPaymentAccepted{OrderID: id, Amount: gbp(price)})
	s.captured(id, gbp(price))
	fact := s.order(id, events.OrderConfirmed{OrderOutcome: events.OrderOutcome{OrderID: id}})
	s.committed(id)
	s.mailed(id, "order_confirmed", fact)
}

// everyKind appends an order of each status in which an order may stay.
func (s *shop) everyKind() {
	s.sold("sold")
	s.placed("short")
	s.reserve("short", events.ReservationRefused{OrderID: "short", Short: []events.Shortage{{SKU: "MUG", Requested: 1}}})
	s.order("short", events.OrderRejected{OrderOutcome: events.OrderOutcome{OrderID: "short"}, Reason: events.RejectedNoStock})
	for id, end := range map[string]events.Payload{
		"slow":   events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: "slow"}},
		"unsure": events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: "unsure"}, Reason: events.CancelRequested}} {
		s.awaiting(id, time.Now().Add(time.Hour))
		s.order(id, end)
		s.pay(id, events.PaymentCancelRequested{OrderID: id})
		s.pay(id, events.PaymentCancelled{OrderID: id})
		s.released(id)
	}
	s.sold("returned")
	s.refunded("returned", "r1", price)
	s.order("returned", events.OrderRefunded{OrderOutcome: events.OrderOutcome{OrderID: "returned"}, RefundID: "r1", Amount: gbp(price)})
	s.awaiting("thinking", time.Now().Add(time.Hour))
}

func (s *shop) refunded(id, refundID string, amount int64) {
	s.pay(id, events.PaymentRefundRequested{OrderID: id, RefundID: refundID, Amount: gbp(amount), Reason: "test"})
	s.pay(id, events.PaymentRefunded{OrderID: id, RefundID: refundID, StripeRefund: "re_" + refundID, Amount: gbp(amount)})
}

// options returns options to check the shop as if two minutes had passed, so that no order is on its way.
func (s *shop) options() invariants.Options {
	now := func() time.Time {
		if s.clock.IsZero() {
			return time.Now().Add(2 * time.Minute)
		}
		return s.clock.Add(2 * time.Minute)
	}
	return invariants.Options{Log: s.reader, Now: now, Patience: time.Millisecond}
}

// serve starts Stripe and the mailbox. Pages have two items, so that paging is tested.
func (s *shop) serve() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/payment_intents", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sk_test_1" {
			http.Error(w, "unknown key", http.StatusUnauthorized)
			return
		}
		from := 0
		for i, intent := range s.intents {
			if intent["id"] == r.URL.Query().Get("starting_after") {
				from = i + 1
			}
		}
		to := min(from+2, len(s.intents))
		s.answer(w, map[string]any{"object": "list", "data": s.intents[from:to], "has_more": to < len(s.intents)})
	})
	mux.HandleFunc("GET /v1/refunds", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, map[string]any{"object": "list", "data": s.refunds[r.URL.Query().Get("payment_intent")]})
	})
	mux.HandleFunc("GET /mail/messages", func(w http.ResponseWriter, _ *http.Request) {
		messages := []map[string]any{}
		for i, id := range s.mails {
			messages = append(messages, map[string]any{"subject": fmt.Sprint("mail ", i), "message_id": "<" + id + ">"})
		}
		s.answer(w, map[string]any{"total": map[string]int{"n": len(messages)}, "messages": messages})
	})
	server := httptest.NewServer(mux)
	s.t.Cleanup(server.Close)
	return server
}

func (s *shop) answer(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.t.Error(err)
	}
}

// check runs a check that must not fail.
func check(t *testing.T, options invariants.Options) invariants.Report {
	t.Helper()
	report, err := invariants.Check(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if report.OK != (len(report.Findings) == 0) {
		t.Errorf("got ok %v with %d findings", report.OK, len(report.Findings))
	}
	return report
}

// finds requires exactly these findings.
func finds(t *testing.T, report invariants.Report, want ...invariants.Finding) {
	t.Helper()
	if want == nil {
		want = []invariants.Finding{}
	}
	if diff := cmp.Diff(want, report.Findings); diff != "" {
		t.Errorf("findings: -want +got:\n%s", diff)
	}
}

// roundTrip is a transport that a test implements.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
