package coretest_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"tillstream/cmd/internal/proof/coretest"
	"tillstream/events"
	"tillstream/orders"
)

// publish appends a message without any check, as a faulty program might.
func publish(t *testing.T, shop *coretest.Shop, subject string, fact events.Payload, body string) {
	t.Helper()
	msg, err := events.Encode(events.Event{ID: uuid.NewString(), Source: "broken", Time: time.Now(), Subject: subject, Revision: 1, Payload: fact})
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		msg.Data = []byte(body)
	}
	if _, err := shop.Log.JetStream().PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

func awaiting(id, amount string) string {
	return `{"order_id":"` + id + `","payment_id":"` + events.FirstPaymentID(id) + `","number":"N","amount":{"amount":` + amount + `,"currency":"GBP"},"expires_at":"2030-01-01T00:00:00Z"}`
}

// Row 63 of the fault matrix, for events: impossible amounts and quantities become dead letters. No payment is requested, no stock
// moves, and a later order is confirmed.
func TestImpossibleAmountsBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	shop := coretest.Open(t, coretest.Config{AutoPay: true})
	shop.Stock(t, "LAMP", 5)
	stop := shop.Run(t, "payments", "inventory")
	bad := map[string]string{"negative": "-1", "zero": "0", "fraction": "12.5", "nan": "NaN", "infinite": "1e999", "overflow": "9223372036854775808", "text": `"1250"`}
	for id, amount := range bad {
		publish(t, shop, events.PrefixOrder+id, events.OrderAwaitingPayment{}, awaiting(id, amount))
	}
	quantities := map[string][]events.OrderLine{
		"q-zero": {{SKU: "LAMP", Quantity: 0}}, "q-negative": {{SKU: "LAMP", Quantity: -5}}, "q-much": {{SKU: "LAMP", Quantity: 1 << 62}},
		"q-sum": {{SKU: "LAMP", Quantity: 1_000_000_000}, {SKU: "LAMP", Quantity: 1_000_000_000}}, "q-none": nil,
	}
	for id, lines := range quantities {
		publish(t, shop, events.PrefixOrder+id, events.OrderPlaced{OrderID: id, Lines: lines}, "")
	}
	shop.Settle(t)
	stop()
	if got := shop.Level(t, "LAMP"); got != (events.StockLevel{OnHand: 5, Available: 5}) {
		t.Errorf("got stock level %+v, want 5 available", got)
	}
	if about := shop.History(t, events.PrefixPayment+"*"); len(about) != 0 {
		t.Errorf("got %d payment events, want none", len(about))
	}
	dead := map[string]bool{}
	for _, d := range shop.DeadLetters(t) {
		dead[d.Subject] = true
	}
	if want := len(bad) + len(quantities); len(dead) != want {
		t.Errorf("got dead letters of %d orders, want %d: %v", len(dead), want, dead)
	}
	shop.Run(t)
	place(t, shop, "good")
	shop.Await(t, "good", orders.Confirmed)
}
