package invariants_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/embedded"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
)

// shop is a log that a test writes by hand, fact by fact, right or wrong.
type shop struct {
	t        testing.TB
	server   *embedded.NATS
	js       jetstream.JetStream
	reader   *replay.Reader
	level    map[string]events.StockLevel
	taken    []map[string]any            // intents at Stripe
	returned map[string][]map[string]any // refunds there, by intent
	mails    []string                    // Message-IDs in the mailbox
	clock    time.Time                   // what time it is; zero: the real time
}

func newShop(t testing.TB) *shop {
	t.Helper()
	server := logtest.Server(t)
	logtest.OpenOn(t, server)
	conn := logtest.Connect(t, server)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := replay.Open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	s := &shop{t: t, server: server, js: js, reader: reader, level: map[string]events.StockLevel{}}
	s.adjust("MUG", 100)
	return s
}

// say appends a fact to a subject and returns its event id.
func (s *shop) say(subject string, fact events.Payload) string {
	s.t.Helper()
	id := uuid.NewString()
	msg, err := events.Encode(events.Event{ID: id, Source: "test", Time: time.Now(), Subject: subject, Payload: fact})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.js.PublishMsg(s.t.Context(), msg); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *shop) order(id string, fact events.Payload) string {
	return s.say(events.PrefixOrder+id, fact)
}
func (s *shop) pay(id string, fact events.Payload) {
	s.say(events.PrefixPayment+events.FirstPaymentID(id), fact)
}
func (s *shop) reserve(id string, fact events.Payload) { s.say(events.PrefixReservation+id, fact) }
func (s *shop) notify(id string, fact events.Payload)  { s.say(events.PrefixNotification+id, fact) }

func gbp(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }

const price = 1250

func (s *shop) movement(sku string, quantity, onHand, available, held int64) events.StockMovement {
	l := s.level[sku]
	l.OnHand, l.Available, l.Held = l.OnHand+onHand, l.Available+available, l.Held+held
	s.level[sku] = l
	return events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: quantity, After: l}
}

func (s *shop) adjust(sku string, n int64) {
	s.say(events.PrefixStock+sku, events.StockAdjusted{StockMovement: s.movement(sku, n, n, n, 0), Reason: "received"})
}

func (s *shop) hold(id string) {
	s.reserve(id, events.ReservationHeld{OrderID: id, Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
	s.say(events.PrefixStock+"MUG", events.StockHeld{StockMovement: s.movement("MUG", 1, 0, -1, 1)})
}

func (s *shop) release(id string) {
	s.reserve(id, events.ReservationReleased{OrderID: id})
	s.say(events.PrefixStock+"MUG", events.StockReleased{StockMovement: s.movement("MUG", 1, 0, 1, -1)})
}

func (s *shop) commit(id string) {
	s.reserve(id, events.ReservationCommitted{OrderID: id})
	s.say(events.PrefixStock+"MUG", events.StockCommitted{StockMovement: s.movement("MUG", 1, -1, 0, -1)})
}

func (s *shop) place(id string) {
	s.order(id, events.OrderPlaced{OrderID: id, Number: strings.ToUpper(id), Total: gbp(price), ExpiresAt: time.Now().Add(time.Hour),
		Lines: []events.OrderLine{{SKU: "MUG", Quantity: 1, UnitPrice: gbp(price), Total: gbp(price)}}})
}

// await places an order, holds its stock and asks for its money.
func (s *shop) await(id string, deadline time.Time) {
	s.place(id)
	s.hold(id)
	s.order(id, events.OrderAwaitingPayment{OrderID: id, Amount: gbp(price), ExpiresAt: deadline})
	s.pay(id, events.PaymentRequested{OrderID: id, Amount: gbp(price)})
	s.pay(id, events.PaymentIntentCreated{OrderID: id, PaymentIntent: "pi_" + id, Amount: gbp(price)})
}

func (s *shop) capture(id string, amount events.Money) {
	s.pay(id, events.PaymentAuthorized{OrderID: id, PaymentIntent: "pi_" + id, Amount: amount})
	s.pay(id, events.PaymentCaptured{OrderID: id, PaymentIntent: "pi_" + id, Amount: amount})
	s.atStripe("pi_"+id, id, amount.Amount)
}

func (s *shop) atStripe(intent, id string, received int64) {
	s.taken = append(s.taken, map[string]any{"id": intent, "amount_received": received, "currency": "gbp", "status": "succeeded",
		"created": time.Now().Unix(), "metadata": map[string]string{"order_id": id}})
}

func (s *shop) giveBack(intent string, amount int64, status string) {
	if s.returned == nil {
		s.returned = map[string][]map[string]any{}
	}
	s.returned[intent] = append(s.returned[intent], map[string]any{"amount": amount, "currency": "gbp", "status": status})
}

// mail queues and sends one; its Message-ID is the same for the same order and template.
func (s *shop) mail(id, template, fact string) {
	messageID := id + "." + template + "@shop.example"
	s.notify(id, events.MessageQueued{OrderID: id, MessageID: messageID, Template: template, Fact: fact, Facts: []byte("{}")})
	s.notify(id, events.MessageSending{OrderID: id, MessageID: messageID, Attempt: 1})
	s.notify(id, events.MessageSent{OrderID: id, MessageID: messageID})
	s.mails = append(s.mails, messageID)
}

// sell is a whole good purchase.
func (s *shop) sell(id string) {
	s.await(id, time.Now().Add(time.Hour))
	s.order(id, events.OrderPaymentAccepted{OrderID: id, Amount: gbp(price)})
	s.capture(id, gbp(price))
	fact := s.order(id, events.OrderConfirmed{OrderOutcome: events.OrderOutcome{OrderID: id}})
	s.commit(id)
	s.mail(id, "order_confirmed", fact)
}

// everyEnd has one order of each good end, and one that waits for its shopper.
func (s *shop) everyEnd() {
	s.sell("sold")
	s.place("short")
	s.reserve("short", events.ReservationRefused{OrderID: "short", Short: []events.Shortage{{SKU: "MUG", Requested: 1}}})
	s.order("short", events.OrderRejected{OrderOutcome: events.OrderOutcome{OrderID: "short"}, Reason: events.RejectedNoStock})
	for id, end := range map[string]events.Payload{
		"slow":   events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: "slow"}},
		"unsure": events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: "unsure"}, Reason: events.CancelRequested}} {
		s.await(id, time.Now().Add(time.Hour))
		s.order(id, end)
		s.pay(id, events.PaymentCancelRequested{OrderID: id})
		s.pay(id, events.PaymentCancelled{OrderID: id})
		s.release(id)
	}
	s.sell("returned")
	s.refund("returned", "r1", price)
	s.order("returned", events.OrderRefunded{OrderOutcome: events.OrderOutcome{OrderID: "returned"}, RefundID: "r1", Amount: gbp(price)})
	s.await("thinking", time.Now().Add(time.Hour))
}

func (s *shop) refund(id, refundID string, amount int64) {
	s.pay(id, events.PaymentRefundRequested{OrderID: id, RefundID: refundID, Amount: gbp(amount), Reason: "test"})
	s.pay(id, events.PaymentRefunded{OrderID: id, RefundID: refundID, StripeRefund: "re_" + refundID, Amount: gbp(amount)})
}

// options check the shop two minutes from now, when nothing is on its way any more.
func (s *shop) options() invariants.Options {
	now := func() time.Time {
		if s.clock.IsZero() {
			return time.Now().Add(2 * time.Minute)
		}
		return s.clock.Add(2 * time.Minute)
	}
	return invariants.Options{Log: s.reader, Now: now, Patience: time.Millisecond}
}

// outside serves what Stripe and the mailbox have, in pages of two so that paging is seen to work.
func (s *shop) outside() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/payment_intents", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sk_test_1" {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		from := 0
		for i, intent := range s.taken {
			if intent["id"] == r.URL.Query().Get("starting_after") {
				from = i + 1
			}
		}
		to := min(from+2, len(s.taken))
		s.answer(w, map[string]any{"object": "list", "data": s.taken[from:to], "has_more": to < len(s.taken)})
	})
	mux.HandleFunc("GET /v1/refunds", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, map[string]any{"object": "list", "data": s.returned[r.URL.Query().Get("payment_intent")]})
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
