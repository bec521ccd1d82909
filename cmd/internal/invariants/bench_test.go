package invariants_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
)

// benchOrders is the number of purchases in the benchmark's log. Each is fourteen events.
const benchOrders = 20_000

// record is an event to append.
type record struct {
	subject string
	payload events.Payload
}

// purchases returns the events of n complete purchases.
func purchases(n int) (records []record) {
	add := func(subject string, payload events.Payload) {
		records = append(records, record{subject, payload})
	}
	level := events.StockLevel{OnHand: int64(n), Available: int64(n)}
	add("inventory.stock.main.MUG", events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: int64(n), After: level}})
	lines := []events.OrderLine{{SKU: "MUG", Title: "A mug", Quantity: 1, UnitPrice: gbp(price), Total: gbp(price)}}
	for range n {
		id := uuid.NewString()
		outcome, customer := events.OrderOutcome{OrderID: id, PaymentID: events.FirstPaymentID(id)}, events.Customer{Email: "a@example.com", Name: "A Shopper", Locale: "en"}
		add("orders."+id, events.OrderPlaced{OrderID: id, Number: "8F3K2-MQD7A", Lines: lines, Total: gbp(price), Customer: customer, ExpiresAt: time.Now()})
		add("inventory.reservations."+id, events.ReservationHeld{OrderID: id, Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}})
		level.Available, level.Held = level.Available-1, level.Held+1
		add("inventory.stock.main.MUG", events.StockHeld{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: 1, OrderID: id, After: level}})
		add("orders."+id, events.OrderAwaitingPayment{OrderID: id, Amount: gbp(price)})
		add("payments."+outcome.PaymentID, events.PaymentRequested{OrderID: id, Amount: gbp(price)})
		add("payments."+outcome.PaymentID, events.PaymentIntentCreated{OrderID: id, PaymentIntent: "pi_" + id, Amount: gbp(price)})
		add(events.SubjectWebhooks, events.WebhookReceived{StripeEvent: "evt_" + id, Body: []byte(fmt.Sprintf(`{"id":"pi_%s","metadata":{"order_id":"%s"}}`, id, id))})
		add("payments."+outcome.PaymentID, events.PaymentCaptured{OrderID: id, PaymentIntent: "pi_" + id, Amount: gbp(price)})
		add("orders."+id, events.OrderConfirmed{OrderOutcome: outcome})
		add("inventory.reservations."+id, events.ReservationCommitted{OrderID: id})
		level.OnHand, level.Held = level.OnHand-1, level.Held-1
		add("inventory.stock.main.MUG", events.StockCommitted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: 1, OrderID: id, After: level}})
		add("notifications."+id, events.MessageQueued{OrderID: id, MessageID: id + "@shop", Template: "order_confirmed", Fact: id, Facts: []byte("{}")})
		add("notifications."+id, events.MessageSending{OrderID: id, MessageID: id + "@shop", Attempt: 1})
		add("notifications."+id, events.MessageSent{OrderID: id, MessageID: id + "@shop"})
	}
	return records
}

// BenchmarkCheck checks a log of 280,000 events. From events/s follows how long a larger one takes.
func BenchmarkCheck(b *testing.B) {
	server := logtest.Server(b)
	l := logtest.OpenOn(b, server)
	records := purchases(benchOrders)
	for batch := range slices.Chunk(records, eventlog.MaxBatch) {
		err := l.Do(b.Context(), func(tx *eventlog.Tx) error {
			for _, r := range batch {
				if err := (eventlog.Journal{Subject: r.subject}).Append(tx, r.payload); err != nil {
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
	b.ReportMetric(float64(len(records))*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
