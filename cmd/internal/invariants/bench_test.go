package invariants_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
)

// benchOrders is how many purchases the benchmark's shop has seen; each is fourteen events.
const benchOrders = 20_000

type note struct {
	subject string
	fact    events.Payload
}

// purchases are whole good purchases.
func purchases(n int) (notes []note) {
	say := func(subject string, fact events.Payload) {
		notes = append(notes, note{subject, fact})
	}
	level := events.StockLevel{OnHand: int64(n), Available: int64(n)}
	say("inventory.stock.main.MUG", events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: int64(n), After: level}})
	lines := []events.OrderLine{{SKU: "MUG", Title: "A mug", Quantity: 1, UnitPrice: gbp(price), Total: gbp(price)}}
	for range n {
		id := uuid.NewString()
		outcome, customer := events.OrderOutcome{OrderID: id, PaymentID: events.FirstPaymentID(id)}, events.Customer{Email: "a@example.com", Name: "A Shopper", Locale: "en"}
		say("orders."+id, events.OrderPlaced{OrderID: id, Number: "8F3K2-MQD7A", Lines: lines, Total: gbp(price), Customer: customer, ExpiresAt: time.Now()})
		say("inventory.reservations."+id, events.ReservationHeld{OrderID: id, Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
		level.Available, level.Held = level.Available-1, level.Held+1
		say("inventory.stock.main.MUG", events.StockHeld{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: 1, OrderID: id, After: level}})
		say("orders."+id, events.OrderAwaitingPayment{OrderID: id, Amount: gbp(price)})
		say("payments."+outcome.PaymentID, events.PaymentRequested{OrderID: id, Amount: gbp(price)})
		say("payments."+outcome.PaymentID, events.PaymentIntentCreated{OrderID: id, PaymentIntent: "pi_" + id, Amount: gbp(price)})
		say(events.SubjectWebhooks, events.WebhookReceived{StripeEvent: "evt_" + id, Body: []byte(fmt.Sprintf(`{"id":"pi_%s","metadata":{"order_id":"%s"}}`, id, id))})
		say("payments."+outcome.PaymentID, events.PaymentCaptured{OrderID: id, PaymentIntent: "pi_" + id, Amount: gbp(price)})
		say("orders."+id, events.OrderConfirmed{OrderOutcome: outcome})
		say("inventory.reservations."+id, events.ReservationCommitted{OrderID: id})
		level.OnHand, level.Held = level.OnHand-1, level.Held-1
		say("inventory.stock.main.MUG", events.StockCommitted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: 1, OrderID: id, After: level}})
		say("notifications."+id, events.MessageQueued{OrderID: id, MessageID: id + "@shop", Template: "order_confirmed", Fact: id, Facts: []byte("{}")})
		say("notifications."+id, events.MessageSending{OrderID: id, MessageID: id + "@shop", Attempt: 1})
		say("notifications."+id, events.MessageSent{OrderID: id, MessageID: id + "@shop"})
	}
	return notes
}

// BenchmarkCheck reads a shop of 280,000 events; events/s says how long a larger one takes.
func BenchmarkCheck(b *testing.B) {
	server := logtest.Server(b)
	l := logtest.OpenOn(b, server)
	notes := purchases(benchOrders)
	for batch := range slices.Chunk(notes, log.MaxBatch) {
		err := l.Do(b.Context(), func(tx *log.Tx) error {
			for _, n := range batch {
				if err := (log.Journal{Subject: n.subject}).Append(tx, n.fact); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	reader, err := replay.Open(b.Context(), logtest.Connect(b, server))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(reader.Close)
	options := invariants.Options{Log: reader, Now: func() time.Time { return time.Now().Add(2 * time.Minute) }}
	for b.Loop() {
		report, err := invariants.Check(b.Context(), options)
		if err != nil || !report.OK || report.Counts.Orders != benchOrders {
			b.Fatal(report.Findings[:min(len(report.Findings), 5)], report.Counts, err)
		}
	}
	b.ReportMetric(float64(len(notes))*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
