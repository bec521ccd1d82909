package replay_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// A timeline shows everything about one order, each effect after its cause.
func ExampleReader_Timeline() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "replay")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary directory
	broker, err := embedded.StartNATS(embedded.NATSConfig{Dir: dir})
	if err != nil {
		panic(err)
	}
	defer broker.Stop()
	conn, err := nats.Connect(broker.URL(), eventlog.HistoryQueue())
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	if err := refuseOrder(ctx, conn); err != nil {
		panic(err)
	}

	reader, err := replay.Open(ctx, conn)
	if err != nil {
		panic(err)
	}
	defer reader.Close()
	orderID, err := reader.FindOrder(ctx, "8F3K2-MQD7A")
	if err != nil {
		panic(err)
	}
	history, err := reader.Timeline(ctx, orderID)
	if err != nil {
		panic(err)
	}
	for _, e := range history.Entries {
		fmt.Printf("%d (cause %d) %s: %s\n", e.Number, e.Cause, e.Type, e.Summary)
	}
	// Output:
	// 1 (cause 0) orders.placed: 8F3K2-MQD7A: 2 × MUG for 25.00 GBP, to be paid by 12:30:00
	// 2 (cause 1) inventory.reservation_refused: nothing held: MUG (2 requested, 1 available)
	// 3 (cause 2) orders.rejected: because out_of_stock: MUG (2 requested, 1 available)
}

// refuseOrder appends the events of an order for two mugs that is rejected because only one is left.
func refuseOrder(ctx context.Context, conn *nats.Conn) error {
	l, err := eventlog.Open(ctx, conn, eventlog.Config{Source: "shop", Owns: []string{""}})
	if err != nil {
		return err
	}
	defer l.Close()
	short := []events.Shortage{{SKU: "MUG", Requested: 2, Available: 1}}
	cause := ""
	for i, e := range []events.Event{
		{Subject: events.PrefixOrder + "o1", Revision: 1, Payload: events.OrderPlaced{OrderID: "o1", Number: "8F3K2-MQD7A", Lines: []events.OrderLine{{SKU: "MUG", Quantity: 2}},
			Total: events.Money{Amount: 2500, Currency: "GBP"}, ExpiresAt: time.Date(2026, 11, 1, 12, 30, 0, 0, time.UTC)}},
		{Subject: events.PrefixReservation + "o1", Revision: 1, Payload: events.ReservationRefused{OrderID: "o1", Short: short}},
		{Subject: events.PrefixOrder + "o1", Revision: 2, Payload: events.OrderRejected{Reason: "out_of_stock", Short: short}},
	} {
		e.ID, e.Source, e.Actor, e.Time = fmt.Sprintf("event-%d", i+1), "shop", "guest", time.Now()
		e.CorrelationID, e.CausationID = "o1", cause
		cause = e.ID
		m, err := events.Encode(e)
		if err != nil {
			return err
		}
		if _, err := l.JetStream().PublishMsg(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
