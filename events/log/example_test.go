package log_test

import (
	"context"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
)

// stockLevels is the stock of each SKU. Every StockAdjusted event carries the level after it.
var stockLevels = eventlog.Entity[events.StockLevel]{
	Prefix: events.PrefixStock,
	Apply: func(_ events.StockLevel, e events.Event) (events.StockLevel, error) {
		adjusted, ok := e.Payload.(events.StockAdjusted)
		if !ok {
			return events.StockLevel{}, fmt.Errorf("unexpected event %s", e.Type)
		}
		return adjusted.After, nil
	},
}

// receive appends one event: quantity units of a SKU have arrived.
func receive(tx *eventlog.Tx, sku string, quantity int64) error {
	level, err := stockLevels.Load(tx, sku)
	if err != nil {
		return err
	}
	level.OnHand += quantity
	level.Available += quantity
	return stockLevels.Append(tx, sku, events.StockAdjusted{Reason: "received",
		StockMovement: events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: quantity, After: level}})
}

// Example starts a broker, opens the log, which creates its streams and buckets, appends to two entities in one
// transaction, and reads one of them back.
func Example() {
	if err := runExample(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// commit: both events or none
	// commit: both events or none
	// MUG has 15 on hand, last event at sequence 3
	// 1 inventory.stock.main.MUG inventory.stock_adjusted
	// 2 inventory.stock.main.CUP inventory.stock_adjusted
	// 3 inventory.stock.main.MUG inventory.stock_adjusted
	// 4 inventory.stock.main.CUP inventory.stock_adjusted
}

func runExample(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary directory
	server, err := embedded.StartNATS(embedded.NATSConfig{Dir: dir})
	if err != nil {
		return err
	}
	defer server.Stop()
	conn, err := nats.Connect(server.URL(), eventlog.HistoryQueue())
	if err != nil {
		return err
	}
	defer conn.Close()
	l, err := eventlog.Open(ctx, conn, eventlog.Config{Source: "inventory"})
	if err != nil {
		return err
	}
	defer l.Close()

	for _, quantity := range []int64{10, 5} {
		err := l.Do(ctx, func(tx *eventlog.Tx) error { // runs again when another writer was faster
			if err := receive(tx, "MUG", quantity); err != nil {
				return err
			}
			return receive(tx, "CUP", 2*quantity)
		})
		if err != nil {
			return err
		}
		fmt.Println("commit: both events or none")
	}
	level, sequence, err := stockLevels.Read(ctx, l, "MUG")
	if err != nil {
		return err
	}
	fmt.Printf("MUG has %d on hand, last event at sequence %d\n", level.OnHand, sequence)
	for sequence := uint64(1); sequence <= 4; sequence++ {
		m, err := l.Get(ctx, sequence)
		if err != nil {
			return err
		}
		fmt.Println(m.Sequence, m.Subject, m.Type())
	}
	return nil
}
